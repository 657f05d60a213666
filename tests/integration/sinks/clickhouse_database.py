"""A database of ClickHouse that a test writes to, and the sinks that do."""

import asyncio
import contextlib
import itertools

from pycdc.config.layers import Layered
from pycdc.plugins.contracts import SinkContext, no_topic_id
from pycdc.plugins.join import load_sink

NUMBER = itertools.count()


class ClickHouse:
    """A database of its own in the real engine, which all tests share. `place`: how a sink's configuration names it."""

    def __init__(self, place, client):
        self.place, self.database, self._client = place, f"d{next(NUMBER)}", client
        self._client.command(f"CREATE DATABASE {self.database}")
        self._client.database = self.database

    def rows(self, statement):
        return [tuple(r) for r in self._client.query(statement).result_rows]

    def command(self, statement):
        self._client.command(statement)

    def insert(self, table, columns, lines, **settings):
        self._client.raw_insert(table, column_names=columns, insert_block=lines, fmt="TSV", settings=settings)

    def config(self, **options):
        return {
            "name": "ch", "connector.class": "com.clickhouse.kafka.connect.ClickHouseSinkConnector", "topics": "t", "bootstrap.servers": "x:1",
            "database": self.database, **self.place, **options,
        }  # fmt: skip

    def sink(self, **options):
        return load_sink(Layered.of(self.config(**options))).make_sink()

    @contextlib.asynccontextmanager
    async def opened(self, incarnation="", tolerant=False, **options):
        """A sink that is open. `incarnation` is the id of every topic."""

        async def topic_id(_topic):
            await asyncio.sleep(0)
            return incarnation

        sink = self.sink(**options)
        await sink.open(SinkContext("ch", "0", topic_id if incarnation else no_topic_id, tolerant))
        try:
            yield sink
        finally:
            await sink.close()

    def close(self):
        self._client.command(f"DROP DATABASE {self.database}")
        self._client.database = "default"
