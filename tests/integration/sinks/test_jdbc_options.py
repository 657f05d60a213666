"""Options of the three JDBC sink families, on a real server: names, keys, columns, and what a batch may hold."""

import asyncio
from decimal import Decimal

import psycopg
import pytest

from pycdc.config.layers import Layered
from pycdc.errors import BadRow, ConfigError, SinkError, TargetSchemaError
from pycdc.model.record import Header, Record
from pycdc.model.schema import INT32, STRING, Schema, struct
from pycdc.plugins.contracts import SinkContext
from pycdc.plugins.join import load_sink

DEBEZIUM = {"connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector"}
CONFLUENT = {"connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector"}
AIVEN = {"connector.class": "io.aiven.connect.jdbc.JdbcSinkConnector"}


@pytest.fixture
def sql(target):
    with psycopg.connect(target.dsn, autocommit=True) as conn:
        yield conn


@pytest.fixture
def sink(target):
    def make(family, parameters="", **options):
        user = "connection.username" if family is DEBEZIUM else "connection.user"
        config = {
            "name": "s", "topics": "t", "bootstrap.servers": "x:1", **family, user: target.user,
            "connection.url": f"jdbc:postgresql://{target.host}:{target.port}/{target.dbname}{parameters}", **options,
        }  # fmt: skip
        return load_sink(Layered.of(config)).make_sink()

    return make


async def put(sink, *records, tolerant=False):
    await sink.open(SinkContext("s", "0", tolerant=tolerant))
    try:
        sink.put(records)
        await sink.flush()
    finally:
        await sink.close()


KEY = struct([("id", INT32)])
ROW = struct([("id", INT32), ("V", STRING.replace(optional=True))])


def record(offset, row, key="id", topic="t", headers=(), partition=0):
    """A flattened record, with schemas; row None is a tombstone."""
    keyed = {"id": row["id"]} if key == "id" and row is not None else key
    key_schema = None if keyed is None else KEY if isinstance(keyed, dict) else INT32
    return Record(topic=topic, partition=partition, offset=offset, key=keyed, key_schema=key_schema, value=row,
                  value_schema=None if row is None else ROW, headers=headers)  # fmt: skip


UPSERT = {"insert.mode": "upsert", "primary.key.mode": "record_key", "schema.evolution": "basic"}
C_UPSERT = {"insert.mode": "upsert", "pk.mode": "record_key", "auto.create": "true", "auto.evolve": "true"}


def rows(sql, table, order="1"):
    return sql.execute(f"SELECT * FROM {table} ORDER BY {order}").fetchall()


# ---- names


@pytest.mark.parametrize(
    ("family", "options", "topic", "table"),
    [
        (DEBEZIUM, UPSERT, "srv.Shop.Orders", 'public."srv_shop_orders"'),
        (DEBEZIUM, UPSERT | {"quote.identifiers": "true"}, "srv.Shop.Orders", 'public."srv_Shop_Orders"'),
        (DEBEZIUM, UPSERT | {"collection.naming.strategy": "io.debezium.connector.jdbc.naming.PassthroughCollectionNamingStrategy"}, "shop.Orders", "shop.orders"),
        (DEBEZIUM, UPSERT | {"table.name.format": "copy_${topic}"}, "orders", "copy_orders"),
        (CONFLUENT, C_UPSERT, "shop.Orders", 'shop."Orders"'),
        (CONFLUENT, C_UPSERT | {"quote.sql.identifiers": "NEVER"}, "shop.Orders", "shop.orders"),
        (CONFLUENT, C_UPSERT | {"table.name.format": "kafka_${topic}"}, "Orders", '"kafka_Orders"'),
        (AIVEN, C_UPSERT | {"table.name.normalize": "true"}, "a-b", "a_b"),
        (AIVEN, C_UPSERT | {"topics.to.tables.mapping": "a-b:shop.other,c:d"}, "a-b", "shop.other"),
        (CONFLUENT, C_UPSERT, "t" * 80, "t" * 63),
    ],
)  # fmt: skip
async def test_a_topics_table(family, options, topic, table, sql, sink):
    sql.execute("CREATE SCHEMA shop")
    await put(sink(family, **options), record(0, {"id": 1, "V": "x"}, topic=topic))
    await put(sink(family, **options), record(1, {"id": 1, "V": "y"}, topic=topic))
    assert rows(sql, table) == [(1, "y")]


async def test_columns_that_differ_in_case_only_are_found(sql, sink):
    sql.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    await put(sink(DEBEZIUM, **UPSERT | {"quote.identifiers": "true"}), record(0, {"id": 1, "V": "x"}))
    assert rows(sql, "t") == [(1, "x")]
    sql.execute('CREATE TABLE u (id int PRIMARY KEY, v text, "V" text)')
    await put(sink(DEBEZIUM, **UPSERT), record(1, {"id": 1, "V": "x"}, topic="u"))
    assert rows(sql, "u") == [(1, None, "x")]


async def test_the_url_says_schema_and_limits(sql, sink, target):
    sql.execute("CREATE SCHEMA shop; CREATE TABLE t (id int PRIMARY KEY, v text)")
    s = sink(CONFLUENT, "?currentSchema=shop&ApplicationName=mine&socketTimeout=7&sslmode=disable", **C_UPSERT)
    await s.open(SinkContext("s", "0"))
    shown = await (await s._conn.execute("SELECT current_setting('search_path'), current_setting('statement_timeout'), current_setting('application_name')")).fetchone()
    await s.close()
    assert shown == ("shop", "7s", "mine")


# ---- keys


@pytest.mark.parametrize(
    ("family", "mode"),
    [(DEBEZIUM, {"primary.key.mode": "kafka", "schema.evolution": "basic"}), (CONFLUENT, {"pk.mode": "kafka", "auto.create": "true"})],
    ids=["debezium", "confluent"],
)
async def test_the_place_in_kafka_as_key(family, mode, sql, sink):
    again = [record(n, {"id": 1, "V": "x"}, key=None, partition=3) for n in (5, 6)]
    for _ in range(2):  # what comes twice is one row
        await put(sink(family, **mode, **{"insert.mode": "upsert"}), *again)
    assert sorted(sql.execute("SELECT __connect_topic, __connect_partition, __connect_offset, id FROM t").fetchall()) == [("t", 3, 5, 1), ("t", 3, 6, 1)]


async def test_the_place_in_kafka_under_names_of_ones_own(sql, sink):
    await put(sink(CONFLUENT, **{"pk.mode": "kafka", "pk.fields": "a,b,c", "auto.create": "true"}), record(5, {"id": 1, "V": "x"}))
    assert sql.execute("SELECT a, b, c FROM t").fetchall() == [("t", 0, 5)]


async def test_a_key_of_a_single_value(sql, sink):
    one = {"primary.key.fields": "code"}
    await put(sink(DEBEZIUM, **UPSERT, **one, **{"delete.enabled": "true"}), record(0, {"id": 1, "V": "x"}, key=7), record(1, {"id": 2, "V": "y"}, key=8), record(2, None, key=7))
    assert sql.execute("SELECT code, id, v FROM t").fetchall() == [(8, 2, "y")]
    with pytest.raises(BadRow, match="single value"):
        await put(sink(DEBEZIUM, **UPSERT), record(0, {"id": 1, "V": "x"}, key=7))


async def test_a_key_that_the_value_does_not_hold_becomes_columns(sql, sink):
    key = struct([("region", STRING), ("id", INT32)])
    await put(sink(CONFLUENT, **C_UPSERT), Record(topic="t", partition=0, offset=1, key={"region": "eu", "id": 1}, key_schema=key, value={"id": 1, "V": "x"}, value_schema=ROW))
    assert sql.execute('SELECT region, id, "V" FROM t').fetchall() == [("eu", 1, "x")]
    assert sql.execute("SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass AND indisprimary AND indnkeyatts = 2").fetchone() == (1,)


async def test_the_key_from_the_value(sql, sink):
    mode = {"insert.mode": "upsert", "primary.key.mode": "record_value", "primary.key.fields": "id", "schema.evolution": "basic"}
    await put(sink(DEBEZIUM, **mode), record(0, {"id": 1, "V": "x"}, key=None), record(1, {"id": 1, "V": "y"}, key=None), record(2, None, key={"id": 1}))
    assert rows(sql, "t") == [(1, "y")]
    with pytest.raises(BadRow, match="offset 3"):
        await put(sink(DEBEZIUM, **mode | {"primary.key.fields": "nothing"}), record(3, {"id": 1, "V": "x"}, key=None))


async def test_the_key_from_headers(sql, sink):
    mode = {"insert.mode": "upsert", "primary.key.mode": "record_header", "schema.evolution": "basic"}
    headers = (Header("tenant", STRING, "a"), Header("n", INT32, 5))
    await put(sink(DEBEZIUM, **mode), record(0, {"id": 1, "V": "x"}, key=None, headers=headers), record(1, {"id": 2, "V": "y"}, key=None, headers=headers))
    assert sql.execute("SELECT tenant, n, id, v FROM t").fetchall() == [("a", 5, 2, "y")]


async def test_a_record_without_key_is_told(sql, sink):
    with pytest.raises(BadRow, match="no key") as error:
        await put(sink(DEBEZIUM, **UPSERT), record(0, {"id": 1, "V": "x"}), record(1, {"id": 2, "V": "x"}, key=None))
    assert "offset 1" in str(error.value)
    assert "message.key.columns" in error.value.hint


@pytest.mark.parametrize(
    ("family", "options", "fault"),
    [
        (DEBEZIUM, {"insert.mode": "upsert"}, "primary.key.mode"), (CONFLUENT, {"insert.mode": "update"}, "pk.mode"),
        (CONFLUENT, {"delete.enabled": "true"}, "pk.mode"), (CONFLUENT, {"pk.mode": "kafka", "pk.fields": "a"}, "pk.fields"),
        (DEBEZIUM, {"field.include.list": "a", "field.exclude.list": "b"}, "field.exclude.list"), (CONFLUENT, {"pk.mode": "record_header"}, "pk.mode"),
        (AIVEN, {"topics.to.tables.mapping": "a"}, "topics.to.tables.mapping"), (CONFLUENT, {"connection.url": "jdbc:mysql://h/d"}, "connection.url"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_told(family, options, fault, sink):
    with pytest.raises(ConfigError) as error:
        sink(family, **options)
    assert fault in str(error.value)


# ---- columns


@pytest.mark.parametrize(
    ("family", "options", "kept"),
    [
        (CONFLUENT, C_UPSERT | {"fields.whitelist": "b"}, {"id", "b"}), (DEBEZIUM, UPSERT | {"field.include.list": "t:b,other:c"}, {"id", "b"}),
        (DEBEZIUM, UPSERT | {"field.exclude.list": "b.*,id"}, {"id", "a"}), (DEBEZIUM, UPSERT | {"field.exclude.list": "other:a"}, {"id", "a", "b"}),
    ],
)  # fmt: skip
async def test_only_the_fields_that_are_wanted(family, options, kept, sql, sink):
    row = struct([("id", INT32), ("a", INT32), ("b", INT32)])
    await put(sink(family, **options), Record(topic="t", partition=0, offset=0, key={"id": 1}, key_schema=KEY, value={"id": 1, "a": 2, "b": 3}, value_schema=row))
    assert set(sql.execute("SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0").fetchall()) == {(c,) for c in kept}
    assert sql.execute("SELECT id FROM t").fetchall() == [(1,)]


async def test_identity_columns_take_the_sources_values(sql, sink):
    sql.execute("CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text)")
    for text in ("x", "y"):
        await put(sink(DEBEZIUM, **UPSERT), record(0, {"id": 7, "V": text}))
    assert rows(sql, "t") == [(7, "y")]
    sql.execute("CREATE TABLE u (id int PRIMARY KEY, v text, n int GENERATED ALWAYS AS IDENTITY)")
    row = struct([("id", INT32), ("n", INT32)])
    for n in (5, 6):
        await put(sink(DEBEZIUM, **UPSERT), Record(topic="u", partition=0, offset=0, key={"id": 1}, key_schema=KEY, value={"id": 1, "n": n}, value_schema=row))
    assert sql.execute("SELECT id, n FROM u").fetchall() == [(1, 5)]


async def test_partitioned_targets(sql, sink):
    sql.execute("CREATE TABLE t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10); CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20)")
    s = {**UPSERT, "delete.enabled": "true"}
    await put(sink(DEBEZIUM, **s), record(0, {"id": 1, "V": "x"}), record(1, {"id": 11, "V": "y"}))
    await put(sink(DEBEZIUM, **s), record(2, {"id": 11, "V": "z"}), record(3, None, key={"id": 1}))
    assert rows(sql, "t2") == [(11, "z")]
    assert rows(sql, "t1") == []
    with pytest.raises(BadRow, match="offset 4"):
        await put(sink(DEBEZIUM, **s), record(4, {"id": 99, "V": "no partition"}))


# ---- what a batch holds


async def test_plain_inserts_are_all_written_though_keys_repeat(sql, sink):
    sql.execute("CREATE TABLE t (id int, v text)")
    await put(sink(CONFLUENT, **{"insert.mode": "insert", "pk.mode": "record_key"}), *(record(n, {"id": 1, "V": str(n)}) for n in range(5)))
    assert rows(sql, "t", "2") == [(1, str(n)) for n in range(5)]


async def test_a_unique_value_that_moves_between_rows_within_one_batch(sql, sink):
    sql.execute("CREATE TABLE t (id int PRIMARY KEY, v text UNIQUE)")
    await put(sink(DEBEZIUM, **UPSERT), record(0, {"id": 1, "V": "a"}), record(1, {"id": 2, "V": "b"}))
    # in their own order no two rows ever hold the same value
    await put(sink(DEBEZIUM, **UPSERT), record(2, {"id": 2, "V": "c"}), record(3, {"id": 1, "V": "b"}), record(4, {"id": 2, "V": "a"}))
    assert rows(sql, "t") == [(1, "b"), (2, "a")]


async def test_the_version_before_a_bad_one_is_written(sql, sink):
    sql.execute("CREATE TABLE t (id int PRIMARY KEY, v varchar(3))")
    s = sink(DEBEZIUM, **UPSERT)
    good = [record(n, {"id": n, "V": "ok"}) for n in range(10, 200)]
    await put(s, record(0, {"id": 1, "V": "old"}), *good[:100], record(500, {"id": 1, "V": "too long"}), *good[100:], record(501, {"id": 2, "V": "long, too"}), tolerant=True)
    assert sql.execute("SELECT v FROM t WHERE id = 1").fetchall() == [("old",)]
    assert sql.execute("SELECT count(*) FROM t").fetchone() == (191,)
    assert [(r.topic, r.partition, r.offset) for r in s.refused] == [("t", 0, 500), ("t", 0, 501)]
    assert all("too" not in str(r.error).replace("too long for", "") for r in s.refused), "no row values in errors"


async def test_a_bad_row_beside_foreign_keys(sql, sink):
    sql.execute("CREATE TABLE parent (id int PRIMARY KEY, v text); CREATE TABLE child (id int PRIMARY KEY REFERENCES parent, v text)")
    s = sink(DEBEZIUM, **UPSERT)
    await put(s, record(0, {"id": 1, "V": "p"}, topic="parent"), record(0, {"id": 1, "V": "c"}, topic="child"), record(1, {"id": 9, "V": "c"}, topic="child"), tolerant=True)
    assert rows(sql, "child") == [(1, "c")]
    assert [r.offset for r in s.refused] == [1]


async def test_a_deferred_constraint_that_fails_at_the_end_is_told(sql, sink):
    sql.execute("CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY REFERENCES parent DEFERRABLE INITIALLY DEFERRED, v text)")
    with pytest.raises(SinkError, match="violates foreign key"):
        await put(sink(DEBEZIUM, **UPSERT), record(0, {"id": 1, "V": "x"}))
    assert rows(sql, "t") == []


async def test_deletes_that_are_not_enabled(sql, sink):
    await put(sink(DEBEZIUM, **UPSERT), record(0, {"id": 1, "V": "x"}), record(1, None, key={"id": 1}))
    assert rows(sql, "t") == [(1, "x")]
    with pytest.raises(BadRow, match="delete"):
        await put(sink(CONFLUENT, **C_UPSERT), record(0, {"id": 1, "V": "x"}), record(1, None, key={"id": 1}))


async def test_without_evolution_a_missing_table_is_told(sql, sink):
    with pytest.raises(TargetSchemaError, match="public.t"):
        await put(sink(CONFLUENT, **{"insert.mode": "insert"}), record(0, {"id": 1, "V": "x"}))


async def test_two_sinks_that_make_the_same_table(sql, sink):
    await asyncio.gather(*(put(sink(CONFLUENT, **C_UPSERT), record(n, {"id": n, "V": "x"})) for n in range(6)))
    assert len(rows(sql, "t")) == 6




# ---- types of columns that the sink makes or widens


def typed(kind, length=None, scale=None, base="string", **more):
    """A schema as column.propagate.source.type leaves it."""
    parameters = [("__debezium.source.column.type", kind)]
    parameters += [(f"__debezium.source.column.{n}", str(v)) for n, v in (("length", length), ("scale", scale)) if v is not None]
    return Schema(type=base, optional=True, parameters=tuple(parameters), **more)


def decimal(precision, scale):
    return Schema(type="bytes", name="org.apache.kafka.connect.data.Decimal", optional=True,
                  parameters=(("scale", str(scale)), ("connect.decimal.precision", str(precision))))  # fmt: skip


def column_types(sql, table="t"):
    query = "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
    return dict(sql.execute(query, [table]).fetchall())


async def one(sink, schemas, values=None, offset=0):
    row = struct([("id", INT32), *schemas.items()])
    value = {"id": 1, **{n: (values or {}).get(n) for n in schemas}}
    await put(sink, Record(topic="t", partition=0, offset=offset, key={"id": 1}, key_schema=KEY, value=value, value_schema=row))


async def test_columns_become_what_they_are_at_the_source(sql, sink):
    sql.execute("CREATE EXTENSION citext; CREATE TYPE mood AS ENUM ('ok')")
    array = Schema(type="array", items=STRING, optional=True, parameters=(("__debezium.source.column.type", "_TEXT"),))
    await one(sink(DEBEZIUM, **UPSERT), {
        "v": typed("VARCHAR", 20, 0), "vv": typed("VARCHAR", 2147483647, 0), "c": typed("BPCHAR", 5, 0), "i": typed("INET", 2147483647), "ci": typed("CITEXT"),
        "m": typed("MOOD"), "l": typed("LTREE"), "r": typed("INT4RANGE"), "n": typed("NUMERIC", 8, 2, base="bytes", name="org.apache.kafka.connect.data.Decimal"),
        "s": typed("SERIAL", 10, 0, base="int32"), "u": typed("UUID", name="io.debezium.data.Uuid"), "a": array, "x": typed("x'); DROP TABLE t; --"),
        "h": Schema(type="map", keys=STRING, values=STRING, optional=True),
    }, {"v": "x", "i": "10.0.0.0/8", "ci": "A", "m": "ok", "r": "[1,5)", "a": ["p", "q"], "h": {"k": "v"}})  # fmt: skip
    assert column_types(sql) == {
        "id": "integer", "v": "character varying(20)", "vv": "character varying", "c": "character(5)", "i": "inet", "ci": "citext", "m": "mood",
        "l": "text", "r": "int4range", "n": "numeric(8,2)", "s": "integer", "u": "uuid", "a": "text[]", "x": "text", "h": "jsonb",
    }  # fmt: skip
    assert sql.execute("SELECT i::text, ci::text, m::text, r::text, a::text, h::text FROM t").fetchone() == ("10.0.0.0/8", "A", "ok", "[1,5)", "{p,q}", '{"k": "v"}')


async def test_columns_widen_and_never_narrow(sql, sink):
    sql.execute("CREATE TABLE t (id int PRIMARY KEY, a smallint, b int, f real, n numeric(6,2), m numeric(10,4), v varchar(5), w varchar(50), k bigint)")
    wide = {"a": Schema(type="int32", optional=True), "b": Schema(type="int64", optional=True), "f": Schema(type="float64", optional=True), "n": decimal(10, 3),
            "m": decimal(5, 2), "v": typed("VARCHAR", 9, 0), "w": typed("VARCHAR", 9, 0), "k": Schema(type="int32", optional=True)}  # fmt: skip
    values = {"a": 1 << 20, "b": 1 << 40, "f": 0.1, "n": Decimal("1234567.125"), "v": "12345678", "k": 1}
    await one(sink(DEBEZIUM, **UPSERT), wide, values)
    assert column_types(sql) == {
        "id": "integer", "a": "integer", "b": "bigint", "f": "double precision", "n": "numeric(10,3)", "m": "numeric(10,4)", "v": "character varying(9)",
        "w": "character varying(50)", "k": "bigint",
    }  # fmt: skip
    assert sql.execute("SELECT a, b, f, n::text, v FROM t").fetchone() == (1 << 20, 1 << 40, 0.1, "1234567.125", "12345678")
    await one(sink(DEBEZIUM, **UPSERT), {"v": typed("TEXT")}, {"v": "x" * 100}, 1)
    assert column_types(sql)["v"] == "text"


async def test_without_evolution_nothing_is_altered(sql, sink):
    sql.execute("CREATE TABLE t (id int PRIMARY KEY, a smallint)")
    with pytest.raises(BadRow, match="22003"):
        await one(sink(DEBEZIUM, **UPSERT | {"schema.evolution": "none"}), {"a": Schema(type="int32", optional=True)}, {"a": 1 << 20})
    assert column_types(sql)["a"] == "smallint"
    with pytest.raises(TargetSchemaError, match="lacks b") as error:
        await one(sink(DEBEZIUM, **UPSERT | {"schema.evolution": "validate-only"}), {"b": STRING})
    assert error.value.hint == 'ALTER TABLE "public"."t" ADD COLUMN "b" text'


# ---- what is no row


@pytest.mark.parametrize(
    "extra",
    [
        Record(topic="__debezium-heartbeat.srv", partition=0, offset=1, key={"serverName": "srv"}, value={"ts_ms": 1}),
        Record(topic="srv.transaction", partition=0, offset=1, key={"id": "5:6"},
               value={"status": "END", "id": "5:6", "event_count": 1, "data_collections": [], "ts_ms": 1}),
        Record(topic="srv", partition=0, offset=1, key={"databaseName": "d"},
               value={"source": {}, "ts_ms": 1, "databaseName": "d", "schemaName": "s", "ddl": "CREATE TABLE x", "tableChanges": []}),
        Record(topic="srv.message", partition=0, offset=1, key={"prefix": "p"}, value={"op": "m", "ts_ms": 1, "source": {}, "message": {"prefix": "p"}}),
    ],
    ids=["heartbeat", "transaction", "schema change", "message"],
)  # fmt: skip
async def test_what_debezium_writes_beside_rows_is_passed_over(extra, sql, sink):
    sql.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    await put(sink(DEBEZIUM, **UPSERT | {"schema.evolution": "none"}), extra, record(0, {"id": 1, "V": "x"}))
    assert rows(sql, "t") == [(1, "x")]


# ---- what users of the originals report


async def test_keys_of_types_that_need_a_cast_are_updated_and_deleted(sql, sink):
    """cJ #1084: DELETE and UPDATE by a uuid key."""
    sql.execute("CREATE TYPE mood AS ENUM ('ok', 'sad'); CREATE TABLE t (u uuid, m mood, at timestamptz, i inet, v text, PRIMARY KEY (u, m, at, i))")
    key = {"u": "11111111-1111-1111-1111-111111111111", "m": "sad", "at": "2024-02-29T12:00:00.000000Z", "i": "10.0.0.1"}
    other = {**key, "m": "ok"}
    options = UPSERT | {"schema.evolution": "none", "delete.enabled": "true"}
    await put(sink(DEBEZIUM, **options), *(Record(topic="t", partition=0, offset=n, key=k, value={**k, "v": "x"}) for n, k in enumerate((key, other))))
    await put(sink(DEBEZIUM, **options), Record(topic="t", partition=0, offset=2, key=key, value=None), Record(topic="t", partition=0, offset=3, key=other, value={**other, "v": "y"}))
    assert sql.execute("SELECT m::text, v FROM t").fetchall() == [("ok", "y")]


async def test_a_required_field_becomes_a_column_of_a_table_with_rows(sql, sink):
    """cJ #896: auto.evolve refuses a field that is required and has no default."""
    await put(sink(CONFLUENT, **C_UPSERT), record(0, {"id": 1, "V": "x"}))
    wider = struct([*((f.name, f.schema) for f in ROW.fields), ("n", INT32)])
    await put(sink(CONFLUENT, **C_UPSERT), Record(topic="t", partition=0, offset=1, key={"id": 2}, key_schema=KEY, value={"id": 2, "V": "y", "n": 5}, value_schema=wider))
    assert rows(sql, "t") == [(1, "x", None), (2, "y", 5)]


async def test_a_table_of_nothing_but_its_key(sql, sink):
    """cJ #667: an upsert without other columns is no valid statement."""
    only = struct([("id", INT32)])
    for _ in range(2):
        await put(sink(CONFLUENT, **C_UPSERT), Record(topic="t", partition=0, offset=1, key={"id": 2}, key_schema=KEY, value={"id": 2}, value_schema=only))
    assert rows(sql, "t") == [(2,)]


async def test_writers_of_the_same_rows_in_another_order_do_not_lock_each_other_out(sql, sink):
    """cJ #385: deadlocks with several tasks on one table. What one takes first the other takes first too."""
    sql.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'x' FROM generate_series(1, 3000) g")

    async def write(order, text):
        s = sink(DEBEZIUM, **UPSERT)
        for round_ in range(5):
            await put(s, *(record(n, {"id": i, "V": f"{text}{round_}"}) for n, i in enumerate(order)))
        return s.retries

    before = sql.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    retries = await asyncio.gather(write(range(1, 3001), "a"), write(range(3000, 0, -1), "b"))
    assert retries == [0, 0]
    assert sql.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone() == before
    assert sql.execute("SELECT count(*) FROM t WHERE v IN ('a4', 'b4')").fetchone() == (3000,)


async def test_parents_come_before_their_children(sql, sink):
    """cJ PR #1625: tables are flushed in the order of a hash table, and foreign keys fail."""
    sql.execute("CREATE TABLE z_parent (id int PRIMARY KEY, v text); CREATE TABLE a_child (id int PRIMARY KEY REFERENCES z_parent, v text)")
    await put(sink(DEBEZIUM, **UPSERT), *(record(n, {"id": n, "V": "x"}, topic=t) for n in range(50) for t in ("z_parent", "a_child")))
    assert sql.execute("SELECT count(*) FROM a_child").fetchone() == (50,)


async def test_a_key_that_changes_across_batches(sql, sink):
    """dbz#2549: the delete of the old key and the create of the new one in different batches."""
    options = UPSERT | {"delete.enabled": "true"}
    await put(sink(DEBEZIUM, **options), record(0, {"id": 1, "V": "x"}), record(1, None, key={"id": 1}))
    await put(sink(DEBEZIUM, **options), record(2, None, key={"id": 1}), record(3, {"id": 2, "V": "x"}))
    assert rows(sql, "t") == [(2, "x")]


# ---- moments


@pytest.mark.parametrize(("zone", "moment", "clock"), [
    ("UTC", "2024-01-15 23:30:00.123", "10:00:00"),
    ("Asia/Shanghai", "2024-01-16 07:30:00.123", "18:00:00"),
    ("America/New_York", "2024-01-15 18:30:00.123", "05:00:00"),
])  # fmt: skip
async def test_connect_timestamps_are_on_the_clock_of_db_timezone(zone, moment, clock, sink, sql):
    sql.execute("DROP TABLE IF EXISTS zoned; CREATE TABLE zoned (id int PRIMARY KEY, at timestamp, atz timestamptz, t time, micro timestamp)")
    connect = Schema(type="int64", name="org.apache.kafka.connect.data.Timestamp")
    schema = struct([
        ("id", INT32), ("at", connect), ("atz", connect), ("t", Schema(type="int32", name="org.apache.kafka.connect.data.Time")),
        ("micro", Schema(type="int64", name="io.debezium.time.MicroTimestamp")),
    ])  # fmt: skip
    ms = 1_705_361_400_123
    row = {"id": 1, "at": ms, "atz": ms, "t": 36_000_000, "micro": ms * 1000}
    given = Record(topic="zoned", partition=0, offset=0, key={"id": 1}, key_schema=KEY, value=row, value_schema=schema)
    await put(sink(CONFLUENT, **{"pk.mode": "record_key", "insert.mode": "upsert", "db.timezone": zone}), given)
    assert sql.execute("SELECT at::text, t::text, micro::text, extract(epoch FROM atz) * 1000 FROM zoned").fetchall() == [
        (moment, clock, "2024-01-15 23:30:00.123", ms)
    ]  # a moment with zone is the same everywhere, and Debezium's are wall clocks already


def test_a_zone_that_is_none_is_told(sink):
    with pytest.raises(ConfigError, match=r"db.timezone.*time zone"):
        sink(CONFLUENT, **{"db.timezone": "Mars/Olympus"})


@pytest.mark.parametrize(("precision", "number"), [("microseconds", 1_705_361_400_123_456), ("nanoseconds", 1_705_361_400_123_456_789)])
async def test_listed_fields_are_timestamps(precision, number, sink, sql):
    sql.execute("DROP TABLE IF EXISTS listed")
    schema = struct([("id", INT32), ("a", Schema(type="int64", optional=True)), ("b", STRING), ("c", Schema(type="int64"))])
    row = {"id": 1, "a": number, "b": "2024-01-15T23:30:00.5", "c": number}
    given = Record(topic="listed", partition=0, offset=0, key={"id": 1}, key_schema=KEY, value=row, value_schema=schema)
    options = {"pk.mode": "record_key", "auto.create": "true", "timestamp.fields.list": "a,b", "timestamp.precision.mode": precision}
    await put(sink(CONFLUENT, **options), given)
    assert sql.execute("SELECT a::text, b::text, c FROM listed").fetchall() == [("2024-01-15 23:30:00.123456", "2024-01-15 23:30:00.5", number)]
    types = sql.execute("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'listed' ORDER BY 1").fetchall()
    assert types == [
        ("a", "timestamp without time zone"), ("b", "timestamp without time zone"), ("c", "bigint"), ("id", "integer"),
    ]  # fmt: skip
