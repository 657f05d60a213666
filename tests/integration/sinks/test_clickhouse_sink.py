"""The ClickHouse sink against the real engine, embedded (chDB)."""

import datetime
import json
from decimal import Decimal
from pathlib import Path

import pytest

pytest.importorskip("chdb")

from pycdc.config.layers import Layered
from pycdc.converters.json import JsonConverter, JsonConverterConfig
from pycdc.errors import BadRow, TargetSchemaError
from pycdc.model.record import Record
from pycdc.plugins.contracts import SinkContext
from pycdc.plugins.join import load_sink

GOLDEN = Path(__file__).parents[2] / "differential" / "golden"


def records(case, topic):
    """The captured messages of a topic, as a consumer would give them."""
    import re

    document = json.loads((GOLDEN / f"{case}.json").read_text())
    converter = JsonConverter(JsonConverterConfig.of(), is_key=False)

    def read(text):
        if text is None:
            return None, None
        full = re.sub("\u00a7(s\\d+)\u00a7", lambda m: document["schemas_raw"][m.group(1)], text)
        return converter.read(topic, full.encode())

    for offset, r in enumerate(document["records"][topic]):
        (key_schema, key), (schema, value) = read(r["key_raw"]), read(r["value_raw"])
        yield Record(topic=topic, partition=0, offset=offset, key_schema=key_schema, key=key, value_schema=schema, value=value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("chdb")


def make(folder, **more):
    config = {
        "name": "ch", "connector.class": "com.clickhouse.kafka.connect.ClickHouseSinkConnector", "topics": "t",
        "bootstrap.servers": "x:1", "clickhouse.dsn": f"chdb://{folder}/data", "auto.create": "true", **more,
    }  # fmt: skip
    return load_sink(Layered.of(config)).make_sink()


async def put(sink, *given, position=None):
    sink.put(given)
    await sink.flush(position)


async def test_captured_events_leave_the_newest_rows_deletes_included(folder):
    sink = make(folder)
    await sink.open(SinkContext("ch", "0"))
    try:
        await put(sink, *records("ri_full", "ri_full.public.full_t"))
        rows = sink._client.query("SELECT * EXCEPT (_version, _is_deleted) FROM full_t FINAL").result_rows
        assert rows == []
        assert sink._client.query("SELECT count() FROM full_t").result_rows[0][0] > 0
    finally:
        await sink.close()


async def test_types_arrive_exactly(folder):
    sink = make(folder)
    await sink.open(SinkContext("ch", "0"))
    try:
        first = next(iter(records("ri_full", "ri_full.public.full_t")))
        typed = first.replace(topic="x.public.typed", value={**first.value, "source": {**first.value["source"], "table": "typed"}})
        await put(sink, typed)
        row = sink._client.query("SELECT id, a, n, ts, j, _is_deleted FROM typed FINAL").result_rows[0]
        moment = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        assert (row[0], row[1], row[2], row[4], row[5]) == (1, "a", Decimal("1.00"), "{}", 0)
        assert row[3].replace(tzinfo=datetime.UTC) == moment
    finally:
        await sink.close()


async def test_the_position_is_found_again(folder):
    sink = make(folder)
    await sink.open(SinkContext("ch", "0"))
    try:
        await sink.load_position()
        await put(sink, position={"lsn": 5})
        await put(sink, position={"lsn": 6})
        assert await sink.load_position() == {"lsn": 6}
    finally:
        await sink.close()


async def test_an_update_without_all_columns_is_refused_with_what_mends_it(folder):
    sink = make(folder)
    value = {"op": "u", "after": {"id": 1, "v": "__debezium_unavailable_value"}, "source": {"schema": "public", "table": "t"}}
    with pytest.raises(BadRow, match="REPLICA IDENTITY FULL"):
        sink.put([Record(topic="t", partition=0, offset=1, key={"id": 1}, value=value)])


async def test_a_missing_table_is_told(folder):
    sink = make(folder, **{"auto.create": "false"})
    await sink.open(SinkContext("ch", "0"))
    try:
        value = {"op": "c", "after": {"id": 1}, "source": {"table": "nowhere"}}
        with pytest.raises(TargetSchemaError, match="auto.create"):
            await put(sink, Record(topic="t", partition=0, offset=1, key={"id": 1}, value=value))
    finally:
        await sink.close()
