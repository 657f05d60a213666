"""Two tables, a connector over them, and who writes to them while a scenario runs."""

import contextlib
import random
import threading
import time

import psycopg

CONNECTOR = {
    "name": "source",
    "config": {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "database.user": "postgres", "database.password": "postgres",
        "plugin.name": "pgoutput", "table.include.list": "public.users,public.orders", "column.propagate.source.type": ".*",
        "key.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    },
}  # fmt: skip
SCHEMA = (
    "CREATE TYPE mood AS ENUM ('ok', 'sad'); CREATE TABLE users (id serial PRIMARY KEY, name varchar(20), at timestamptz DEFAULT now(), m mood); "
    "CREATE TABLE orders (user_id int, n int, amount numeric(8,2), note text, PRIMARY KEY (user_id, n))"
)


def change(conn, statement):
    """Executes while a Writer is at work, with whom it may deadlock."""
    for _ in range(20):
        with contextlib.suppress(psycopg.errors.DeadlockDetected):
            conn.execute(statement)
            return
    raise AssertionError(f"always a deadlock: {statement}")


class Writer(threading.Thread):
    """Inserts, updates, deletes, keys that change, in transactions of which some are undone."""

    def __init__(self, dsn):
        super().__init__()
        self.dsn, self.ended, self.chance = dsn, threading.Event(), random.Random(5)

    def run(self):
        with psycopg.connect(self.dsn) as conn:
            while not self.ended.is_set():
                try:
                    for _ in range(self.chance.randint(1, 5)):
                        self.change(conn)
                    conn.rollback() if self.chance.random() < 0.1 else conn.commit()
                except psycopg.errors.DeadlockDetected:  # with what the test itself changes
                    conn.rollback()
                time.sleep(0.002)

    def change(self, conn):
        i, n = self.chance.randrange(1, 60), self.chance.randrange(1, 6)
        match self.chance.randrange(6):
            case 0:
                conn.execute("INSERT INTO users (name, m) VALUES (%s, 'ok')", [f"user {i}"])
            case 1:
                conn.execute("UPDATE users SET name = name || '.', m = 'sad' WHERE id = %s AND length(name) < 20", [i])
            case 2:
                conn.execute("INSERT INTO orders VALUES (%s, %s, 1.5, repeat('x', 3000)) ON CONFLICT (user_id, n) DO UPDATE SET amount = orders.amount + 1", [i, n])
            case 3:
                conn.execute("UPDATE orders SET user_id = user_id + 100 WHERE user_id = %s AND n = %s AND NOT EXISTS (SELECT FROM orders WHERE user_id = %s AND n = %s)", [i, n, i + 100, n])
            case 4:
                conn.execute("DELETE FROM orders WHERE user_id IN (%s, %s)", [i, i + 100])
            case _:
                conn.execute("UPDATE orders SET amount = -amount WHERE n = %s", [n])
