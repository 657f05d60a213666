CREATE TABLE users (id serial PRIMARY KEY, name text, created timestamptz DEFAULT now());
CREATE TABLE orders (id serial PRIMARY KEY, user_id int REFERENCES users, amount numeric(10,2), status text);
INSERT INTO users (name) SELECT 'user ' || g FROM generate_series(1, 100) g;
INSERT INTO orders (user_id, amount, status) SELECT g % 100 + 1, g * 1.5, 'NEW' FROM generate_series(1, 1000) g;
