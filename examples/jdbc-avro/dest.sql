-- The primary key is safe: the sink keeps its positions beside the rows (exactly.once.enabled).
CREATE TABLE pg_source_t_orders (id integer PRIMARY KEY, num varchar(100), dt date);
CREATE TABLE orders_upsert (id integer PRIMARY KEY, num varchar(100), dt date);
