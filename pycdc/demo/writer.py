"""The demo's load: inserts, updates, deletes and key changes on two tables, in transactions of several rows."""

from __future__ import annotations

import random
import threading

import psycopg

TABLES = """
CREATE TABLE customers (id serial PRIMARY KEY, name text NOT NULL, email varchar(80), balance numeric(12,2), since date, active boolean);
CREATE TABLE orders (id bigserial PRIMARY KEY, customer int, amount numeric(10,2) NOT NULL, note text, placed timestamptz DEFAULT now(), paid timestamp);
INSERT INTO customers(name, email, balance, since, active)
  SELECT 'customer ' || g, 'c' || g || '@example.org', g * 1.5, date '2020-01-01' + g % 1000, g % 3 > 0 FROM generate_series(1, 5000) g;
INSERT INTO orders(customer, amount, note) SELECT g % 5000 + 1, g * 0.37, 'order ' || g FROM generate_series(1, 20000) g;
"""


class Writer(threading.Thread):
    """Writes until told to stop."""

    def __init__(self, dsn: str) -> None:
        super().__init__(daemon=True)
        self._dsn = dsn
        self._ended = threading.Event()
        self.changes = 0

    def finish(self) -> None:
        """Stop and wait."""
        self._ended.set()
        self.join()

    def run(self) -> None:
        chance = random.Random()  # noqa: S311 - a load, no secret
        with psycopg.connect(self._dsn, autocommit=True) as conn:
            while not self._ended.is_set():
                with conn.transaction():
                    self.changes += self._act(conn, chance)
                self._ended.wait(0.002)  # the copies share the machine with the writer

    @staticmethod
    def _act(conn: psycopg.Connection, chance: random.Random) -> int:
        kind = chance.random()
        if kind < 0.4:
            sql = "INSERT INTO orders(customer, amount, note) SELECT %s, g * 1.25, 'late order' FROM generate_series(1, 20) g"
            values = [chance.randint(1, 5000)]
        elif kind < 0.75:
            first = chance.randint(1, 5000)
            sql = "UPDATE customers SET balance = balance + 1.01, active = NOT active WHERE id BETWEEN %s AND %s"
            values = [first, first + 10]
        elif kind < 0.95:
            first = chance.randint(1, 20000)
            sql = "DELETE FROM orders WHERE id BETWEEN %s AND %s"
            values = [first, first + 5]
        else:
            first = chance.randint(1, 5000)
            sql = "UPDATE customers SET id = id + 1000000 WHERE id = %s AND NOT EXISTS (SELECT FROM customers WHERE id = %s)"
            values = [first, first + 1_000_000]
        return max(conn.execute(sql, values).rowcount, 0)
