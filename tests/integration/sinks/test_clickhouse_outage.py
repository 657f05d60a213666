"""The ClickHouse sink while its server is away, killed in the middle of writes and started again."""

import asyncio
import random

import clickhouse_connect
import pytest
from clickhouse_database import ClickHouse

from pycdc.errors import ConnectionLost
from pycdc.model.record import Record
from pycdc.testing.clickhouse import ClickHouseProcess

TABLE = "CREATE TABLE t (id Int64, v String) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100"


@pytest.fixture
def server(tmp_path):
    pytest.importorskip("chdb")
    with ClickHouseProcess(tmp_path / "data") as server:
        yield server


def reached(server):
    client = clickhouse_connect.get_client(host="127.0.0.1", port=server.port, compress=False)
    return ClickHouse({"hostname": "127.0.0.1", "port": str(server.port)}, client)


def rows(first, count):
    return [Record(topic="t", partition=0, offset=o, value={"id": o, "v": f"row {o}"}) for o in range(first, first + count)]


async def test_a_write_goes_on_when_the_server_is_back(server):
    clickhouse = reached(server)
    clickhouse.command(TABLE)
    async with clickhouse.opened() as sink:
        sink.put(rows(0, 10))
        await sink.flush()
        server.kill()
        sink.put(rows(10, 10))
        write = asyncio.ensure_future(sink.flush())
        await asyncio.sleep(0.3)
        assert not write.done()
        await asyncio.to_thread(server.__enter__)
        await write
        assert sink.retries > 0
        assert clickhouse.rows("SELECT count(), uniqExact(id) FROM t") == [(20, 20)]


async def test_a_server_that_stays_away_ends_the_write_with_its_reason(server):
    clickhouse = reached(server)
    clickhouse.command(TABLE)
    async with clickhouse.opened(retryCount="1") as sink:
        server.kill()
        sink.put(rows(0, 10))
        with pytest.raises(ConnectionLost) as caught:
            await sink.flush()
        assert f"127.0.0.1:{server.port}" in str(caught.value)
        assert "Connection refused" in caught.value.cause
        assert "?" not in caught.value.cause, "no URL with all settings"


async def test_a_kill_in_the_middle_of_writes_leaves_each_record_once(server):
    """Whether a block was written before the server died is told by its token, which the table remembers."""
    clickhouse = reached(server)
    clickhouse.command(TABLE)
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    chance, written = random.Random(seed), 0

    async def kills():
        for _ in range(5):
            await asyncio.sleep(chance.uniform(0.05, 0.4))
            server.kill()
            await asyncio.to_thread(server.__enter__)

    async with clickhouse.opened(incarnation="one", exactlyOnce="true", retryCount="8") as sink:
        await sink.claim([("t", 0)])
        killing = asyncio.ensure_future(kills())
        while not killing.done():
            sink.put(rows(written, 200))
            written += 200
            await sink.flush_to({("t", 0): written})
        await killing
    assert sink.retries > 0
    assert clickhouse.rows("SELECT count(), uniqExact(id) FROM t") == [(written, written)]
