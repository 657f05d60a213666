"""What sinks write to: a database of ClickHouse, embedded and over HTTP."""

import asyncio
import contextlib
import itertools

import pytest

from pycdc.config.layers import Layered
from pycdc.plugins.contracts import SinkContext, no_topic_id
from pycdc.plugins.join import load_sink
from pycdc.testing.clickhouse import ClickHouseProcess

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


@pytest.fixture(scope="session")
def embedded(tmp_path_factory):
    """The engine in this process, and a client; making one takes a tenth of a second."""
    pytest.importorskip("chdb")
    import clickhouse_connect

    dsn = f"chdb://{tmp_path_factory.mktemp('chdb') / 'data'}"
    client = clickhouse_connect.get_client(dsn=dsn)
    yield {"clickhouse.dsn": dsn}, client
    client.close()


@pytest.fixture(scope="session")
def over_http(tmp_path_factory):
    """The same behind HTTP, as a server is."""
    pytest.importorskip("chdb")
    import clickhouse_connect

    with ClickHouseProcess(tmp_path_factory.mktemp("clickhouse")) as server:
        client = clickhouse_connect.get_client(host="127.0.0.1", port=server.port, compress=False)
        yield {"hostname": "127.0.0.1", "port": str(server.port)}, client
        client.close()


@pytest.fixture(params=["embedded", "over_http"])
def clickhouse(request):
    made = ClickHouse(*request.getfixturevalue(request.param))
    yield made
    made.close()
