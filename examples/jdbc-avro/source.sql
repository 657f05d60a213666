CREATE TABLE t_orders (id serial PRIMARY KEY, num varchar(100));
INSERT INTO t_orders (num) VALUES ('100-456468');
