"""What of the ClickHouse sink needs no server: names of types and engines, SQL, units, options, faults, sessions."""

import asyncio
import threading

import pytest

from pycdc.config.layers import Layered
from pycdc.errors import ConnectionLost, SinkError, TargetSchemaError
from pycdc.model.change import Changes
from pycdc.model.schema import DECIMAL, Schema, struct
from pycdc.plugins.join import load_sink
from pycdc.sinks.clickhouse import client, statements
from pycdc.sinks.clickhouse.client import Session, Sessions
from pycdc.sinks.clickhouse.kinds import arguments, bare, first_call, nullable, split
from pycdc.sinks.clickhouse.naming import Naming
from pycdc.sinks.clickhouse.tables import Tables
from pycdc.sinks.clickhouse.target import _given, load
from pycdc.sinks.clickhouse.types import widened
from pycdc.sinks.ranges import Range, range_of, split_behind
from pycdc.sinks.units import MICROSECOND, MILLISECOND, NANOSECOND, Units


def settings(**options):
    config = {"name": "ch", "connector.class": "clickhouse", "topics": "t", "bootstrap.servers": "x:1", **options}
    plan = load_sink(Layered.of(config))
    return plan.settings, plan.warnings


# ---- names of types and engines


@pytest.mark.parametrize(
    ("full", "replicated", "given"),
    [
        ("ReplacingMergeTree ORDER BY (a, b)", False, []),
        ("ReplacingMergeTree(v, d) PARTITION BY toYYYYMM(x) ORDER BY id", False, ["v", "d"]),
        ("ReplicatedReplacingMergeTree('/p/{shard}(x)', '{replica}', _version, `del, 1`) ORDER BY id", True, ["_version", "del, 1"]),
        ("SharedReplacingMergeTree('/p', 'r', _version)", True, ["_version"]),
        ("ReplicatedReplacingMergeTree ORDER BY id", True, []),
        ("CollapsingMergeTree(`a``b)`) ORDER BY id", False, ["a``b)"]),
    ],
)
def test_columns_that_an_engine_is_given(full, replicated, given):
    assert _given(full, replicated=replicated) == given


def test_types_are_taken_apart():
    assert arguments("Map(String, Array(Tuple(a Int8, b Enum8('x, (' = 1))))") == ["String", "Array(Tuple(a Int8, b Enum8('x, (' = 1)))"]
    assert split("a, f(b, c), 'd, e', `g, h`") == ["a", "f(b, c)", "'d, e'", "`g, h`"]
    assert first_call("E('a)', b) ORDER BY (c)") == "E('a)', b)"
    assert bare("LowCardinality(Nullable(String))") == "String"
    assert nullable("LowCardinality(String)") == "LowCardinality(Nullable(String))"


def decimal(precision, scale):
    return Schema(type="bytes", name=DECIMAL, parameters=(("scale", str(scale)), ("connect.decimal.precision", str(precision))))


@pytest.mark.parametrize(
    ("schema", "kind", "wider"),
    [
        (Schema(type="int64"), "Int16", "Int64"), (Schema(type="int16"), "Int64", None), (Schema(type="int64"), "Nullable(Int32)", "Nullable(Int64)"),
        (Schema(type="int64"), "UInt32", None), (Schema(type="int64", name="io.debezium.time.MicroTime"), "Int32", None), (Schema(type="string"), "Int32", None),
        (Schema(type="float64"), "Float32", "Float64"), (decimal(10, 2), "Decimal(8, 2)", "Decimal(10, 2)"), (decimal(8, 4), "Decimal(8, 2)", "Decimal(10, 4)"),
        (decimal(5, 1), "Decimal(8, 2)", None), (decimal(90, 2), "Decimal(8, 2)", None), (decimal(10, 2), "String", None),
    ],
)  # fmt: skip
def test_columns_are_only_ever_widened(schema, kind, wider):
    assert widened(schema, kind) == wider


# ---- SQL for clusters, which the embedded engine has not


def test_statements_for_a_cluster():
    place = ("db", "it`s")
    assert statements.create(place, {"a": "Int8"}, "E", order_by="a", cluster="c") == "CREATE TABLE IF NOT EXISTS `db`.`it\\`s` ON CLUSTER `c` (`a` Int8) ENGINE = E ORDER BY a"
    assert statements.alter(("", "t"), {"a": "Int8"}, {"b": "Int16"}, cluster="c") == "ALTER TABLE `t` ON CLUSTER `c` ADD COLUMN IF NOT EXISTS `a` Int8, MODIFY COLUMN `b` Int16"
    assert statements.truncate(("", "t"), cluster="c") == "TRUNCATE TABLE `t` ON CLUSTER `c`"
    assert statements.own("o", "a Int8", sorted_by="a", version="v", cluster="c") == "CREATE TABLE IF NOT EXISTS o ON CLUSTER `c` (a Int8) ENGINE = ReplicatedReplacingMergeTree(v) ORDER BY a"


# ---- units


def test_a_number_beyond_every_moment_is_of_the_smaller_unit():
    now_ms, now_us = 1_700_000_000_000, 1_700_000_000_000_000
    assert Units("adaptive").of_moments([now_ms], 3) == MILLISECOND
    assert Units("adaptive").of_moments([now_us], 3) == MICROSECOND
    assert Units("adaptive").of_moments([now_ms], 6) == MICROSECOND
    assert Units("nanoseconds").of_moments([now_ms], 3) == NANOSECOND
    assert Units("adaptive").of_moments([9_223_372_036_825_200, now_ms], 3) == MILLISECOND, "infinity is no moment"
    seen = Units("adaptive")
    assert [seen.of_moments([v], 3) for v in (0, now_us, 0)] == [MILLISECOND, MICROSECOND, MICROSECOND]


# ---- ranges


def changes(*offsets, truncate=False):
    keys = [{"id": o} for o in offsets]
    return Changes("t", {}, None, None, keys, [] if truncate else keys, 0, list(offsets), truncate=truncate)


def test_changes_are_split_behind_an_offset():
    given = [changes(1, 2), changes(3, truncate=True), changes(5, 9), changes(10)]
    assert range_of(given) == Range(1, 10)
    for last in range(12):
        before, behind = split_behind(given, last)
        assert [o for c in before for o in c.offsets] == [o for o in (1, 2, 3, 5, 9, 10) if o <= last]
        assert [o for c in behind for o in c.offsets] == [o for o in (1, 2, 3, 5, 9, 10) if o > last]


# ---- which table


def test_a_tombstone_goes_where_its_topics_events_went():
    naming, event = Naming({}), changes(1)
    event.source = {"table": "orders"}
    assert naming.places(event) == (("", "t"), ("", "orders"))
    assert naming.places(changes(2)) == (("", "t"), ("", "orders"))


# ---- options


def test_what_has_no_effect_says_why():
    found, warnings = settings(
        zkPath="/x", insertFormat="json", bufferCount="100", jdbcConnectionProperties="?socket_timeout=5000&compress=true&odd=1", clickhouseSettings="async_insert=1,max_threads=2",
    )  # fmt: skip
    told = "\n".join(warnings)
    for words in ("zkPath", "insertFormat", "bufferCount", "odd has no effect", "async_insert has no effect"):
        assert words in told
    assert found.of_inserts == {"max_threads": "2"}
    arguments = found.connection()
    assert (arguments["send_receive_timeout"], arguments["compress"], arguments["autogenerate_session_id"]) == (5, True, False)


def test_a_servers_address():
    found, _ = settings(
        hostname="h", port="8123", username="u", password="p", database="d", ssl="true", ssl_socket_sni="s", proxyType="HTTP", proxyHost="x", proxyPort="3128", timeoutSeconds="7"
    )
    expected = {"host": "h", "port": 8123, "username": "u", "password": "p", "database": "d", "secure": True, "server_host_name": "s", "https_proxy": "x:3128", "send_receive_timeout": 7}
    assert expected.items() <= found.connection().items()
    assert found.where == "u@h:8123/d"


# ---- sessions


class FakeServer:
    """Clients of a server that answers as told."""

    def __init__(self, monkeypatch, *faults):
        import clickhouse_connect

        self.faults, self.sent, self.clients = list(faults), [], 0
        self.inside = self.most = 0
        self.both = threading.Barrier(2, timeout=10)
        self.together = False
        monkeypatch.setattr(clickhouse_connect, "get_client", self._client)
        monkeypatch.setattr(client.time, "sleep", lambda _: None)

    def _client(self, **_):
        self.clients += 1
        return self

    def raw_insert(self, table, **arguments):
        self.sent.append((table, arguments["settings"]["insert_deduplication_token"], arguments["settings"]))
        if self.together:
            self.both.wait()
        if self.faults:
            raise self.faults.pop(0)

    def close(self):
        self.clients -= 1


def fault(code, name):
    from clickhouse_connect.driver.exceptions import DatabaseError

    return DatabaseError(f"Code: {code}. DB::Exception: what the row's value secret did. ({name})", code=code, name=name)


def test_what_passes_is_tried_again_with_the_same_token(monkeypatch):
    server = FakeServer(monkeypatch, fault(252, "TOO_MANY_PARTS"), ConnectionResetError("reset"))
    Session(settings(clickhouseSettings="insert_quorum=2,async_insert=1")[0]).insert("`t`", ["a"], b"1\n", "token")
    assert [(t, token) for t, token, _ in server.sent] == [("`t`", "token")] * 3
    sent = server.sent[0][2]
    assert (sent["async_insert"], sent["insert_quorum"], sent["max_execution_time"]) == (0, "2", 30)


@pytest.mark.parametrize(
    ("error", "kind", "tries"),
    [
        (fault(241, "MEMORY_LIMIT_EXCEEDED"), SinkError, 3), (fault(497, "ACCESS_DENIED"), SinkError, 1), (fault(16, "NO_SUCH_COLUMN_IN_TABLE"), TargetSchemaError, 1),
        (OSError("gone"), ConnectionLost, 3),
    ],
)  # fmt: skip
def test_what_stays_is_told_without_values(monkeypatch, error, kind, tries):
    server = FakeServer(monkeypatch, *[error] * 9)
    with pytest.raises(kind) as told:
        Session(settings(retryCount="2")[0]).insert("`t`", ["a"], b"1\n", "token")
    assert len(server.sent) == tries
    assert "secret" not in str(told.value)


async def test_tables_are_written_at_the_same_time_each_by_a_client_of_its_own(monkeypatch):
    server = FakeServer(monkeypatch)
    server.together = True  # an insert ends when another is under way
    sessions = Sessions(settings()[0])
    await sessions.open()
    await asyncio.gather(*(sessions.call(Session.insert, f"t{n}", ["a"], b"1\n", "token") for n in range(2)))
    assert server.clients == 2
    await sessions.close()
    assert server.clients == 0


async def test_a_call_that_has_begun_is_waited_for_when_its_caller_is_cancelled_and_begins_nothing_more(monkeypatch):
    server = FakeServer(monkeypatch)
    sessions, begun, may_end, ended = Sessions(settings()[0]), threading.Event(), threading.Event(), []

    def two_blocks(session):
        session.insert("t", ["a"], b"1\n", "first")
        begun.set()
        may_end.wait(10)
        ended.append(True)
        session.insert("t", ["a"], b"2\n", "second")

    await sessions.open()
    call = asyncio.ensure_future(sessions.call(two_blocks))
    await asyncio.to_thread(begun.wait, 10)
    call.cancel()
    asyncio.get_running_loop().call_later(0.01, may_end.set)
    with pytest.raises(asyncio.CancelledError):
        await call
    assert ended
    assert [token for _, token, _ in server.sent] == ["first"]
    await sessions.call(Session.insert, "t", ["a"], b"3\n", "third")
    assert [token for _, token, _ in server.sent] == ["first", "third"]
    await sessions.close()


# ---- Distributed, which the embedded engine has not


class Catalog:
    """system.tables and system.columns of one server."""

    def __init__(self, tables):
        self.tables, self.commands = tables, []

    def command(self, statement, _what):
        self.commands.append(statement)
        for place in (("", "all"), ("shop", "own")):
            self.tables[place] = (*self.tables[place][:3], {**COLUMNS, "n": "Nullable(Int32)"})

    def rows(self, statement, t="", d=""):
        if "system.tables" in statement:
            return [self.tables[d, t][:3]] if (d, t) in self.tables else []
        return [(c, kind, "", c == "id", False, c == "id") for c, kind in self.tables[d, t][3].items()]


COLUMNS = {"id": "Int64", "v": "UInt64", "gone": "UInt8"}


def test_a_distributed_table_is_what_its_own_table_is():
    catalog = Catalog({
        ("", "all"): ("Distributed", "Distributed('c', 'shop', 'own', cityHash64(id))", "", COLUMNS),
        ("shop", "own"): ("ReplicatedReplacingMergeTree", "ReplicatedReplacingMergeTree('/p', 'r', v, gone) ORDER BY id", "id", COLUMNS),
        ("", "lost"): ("Distributed", "Distributed('c', 'shop', 'elsewhere')", "", COLUMNS),
    })  # fmt: skip
    found = load(catalog, ("", "all"), "_version", "_is_deleted")
    assert (found.place, found.family, found.version, found.deleted, found.distributed, found.deduplicates) == (("", "all"), "Replacing", "v", "gone", True, True)
    with pytest.raises(TargetSchemaError, match="connect to a server of the cluster"):
        load(catalog, ("", "lost"), "_version", "_is_deleted")
    changed, row = changes(1), struct([("id", Schema(type="int64")), ("n", Schema(type="int32"))])
    tables = Tables(settings()[0])
    assert tables.fitted(catalog, found, [changed]) is found
    with pytest.raises(TargetSchemaError, match="drops blocks"):
        Tables(settings(clickhouseSettings="insert_quorum=2,insert_quorum_parallel=0")[0]).fitted(catalog, found, [changed])
    changed.row_schema, changed.rows = row, [{"id": 1, "n": 2}]
    assert "n" in Tables(settings(**{"auto.evolve": "true"})[0]).fitted(catalog, found, [changed]).types
    added = "ADD COLUMN IF NOT EXISTS `n` Nullable(Int32)"
    assert catalog.commands == [f"ALTER TABLE `shop`.`own` ON CLUSTER `c` {added}", f"ALTER TABLE `all` {added}"]
