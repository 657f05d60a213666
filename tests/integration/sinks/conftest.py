"""What sinks write to: a database of ClickHouse, embedded and over HTTP."""

import pytest
from clickhouse_database import ClickHouse

from pycdc.sinks.starrocks import catalog, load, pace, positions
from pycdc.testing.clickhouse import ClickHouseProcess


@pytest.fixture
def quick(monkeypatch):
    """Pauses of the StarRocks sink between tries and looks, which tests need not sit through."""
    monkeypatch.setattr(load, "PAUSE", 0.01)
    monkeypatch.setattr(load, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(pace, "SLOWED", 0.01)
    monkeypatch.setattr(positions, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(catalog, "ALTER_LOOK_EVERY", 0.02)


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
