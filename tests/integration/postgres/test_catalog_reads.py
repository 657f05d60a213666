"""Catalog, publication, slot and COPY against a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest
from private_server import Database, Server

from pycdc.errors import ServerError, SlotBusy, SnapshotError
from pycdc.model.table import Index, Table
from pycdc.postgres.catalog import Catalog, TableName
from pycdc.postgres.copy import copy_rows, snapshot_transaction
from pycdc.postgres.publication import ensure_publication, publication_info, unpublished
from pycdc.postgres.replication import ReplicationConnection
from pycdc.postgres.session import connect
from pycdc.postgres.slot import drop_slot, slot_info


async def load(conn: psycopg.AsyncConnection) -> dict[str, Table]:
    catalog = Catalog(conn)
    loaded = await catalog.load([t.oid for t in await catalog.tables()])
    return {t.id: t for t in loaded.values()}


async def test_tables_are_the_users_alone_and_in_order(database: Database) -> None:
    database.sql(
        """CREATE SCHEMA "Z"; CREATE TABLE "Z".a (i int); CREATE TABLE b (i int); CREATE TABLE "B" (i int);
        CREATE TABLE pgx_temp (i int); CREATE SCHEMA pgatempx; CREATE TABLE pgatempx.t (i int);
        CREATE TABLE parts (i int) PARTITION BY LIST (i); CREATE TABLE part1 PARTITION OF parts FOR VALUES IN (1);
        CREATE VIEW v AS SELECT 1; CREATE MATERIALIZED VIEW mv AS SELECT 1; CREATE SEQUENCE s"""
    )
    conn = await connect(database.settings())
    await conn.execute("CREATE TEMP TABLE hidden (i int)")
    found = [(t.schema, t.name, t.kind) for t in await Catalog(conn).tables()]
    await conn.close()
    assert found == [
        ("Z", "a", "r"), ("pgatempx", "t", "r"), ("public", "B", "r"), ("public", "b", "r"),
        ("public", "part1", "r"), ("public", "parts", "p"), ("public", "pgx_temp", "r"),
    ]  # fmt: skip


async def test_columns_keys_and_types(database: Database) -> None:
    database.sql(
        """CREATE TYPE mood AS ENUM ('sad', 'ok'); ALTER TYPE mood ADD VALUE 'so-so' BEFORE 'ok';
        CREATE DOMAIN price AS numeric(10,2) NOT NULL; CREATE DOMAIN prices AS price[]; CREATE TYPE pair AS (a int, b text);
        CREATE TABLE t (
          gone int, s serial, id bigint GENERATED ALWAYS AS IDENTITY, name varchar(30) DEFAULT 'x' || 'y' NOT NULL,
          p price DEFAULT 3, ps prices, moods mood[], twice int GENERATED ALWAYS AS (1 + 1) STORED, c pair, r int4range,
          PRIMARY KEY (name, id));
        ALTER TABLE t DROP COLUMN gone; ALTER TABLE t ADD later numeric(5,1);
        COMMENT ON TABLE t IS 'the table'; COMMENT ON COLUMN t.s IS 'the serial'"""
    )
    conn = await connect(database.settings())
    table = (await load(conn))["public.t"]
    await conn.close()
    assert [c.name for c in table.columns] == ["s", "id", "name", "p", "ps", "moods", "twice", "c", "r", "later"]
    assert table.primary_key == ("name", "id")
    assert table.comment == "the table"
    columns = {c.name: c for c in table.columns}
    assert columns["s"].comment == "the serial"
    assert [c.name for c in table.columns if c.auto_increment] == ["s", "id"]
    assert columns["s"].default == "nextval('t_s_seq'::regclass)"
    assert columns["id"].default is None
    assert columns["name"].default == "('x'::text || 'y'::text)"
    assert columns["twice"].default is None
    assert [c.name for c in table.columns if not c.nullable] == ["s", "id", "name", "p"]
    assert [c.name for c in table.columns if c.identity] == ["id", "name"]
    assert columns["name"].typmod == 34
    assert columns["later"].typmod == (5 << 16 | 1) + 4
    price = columns["p"].type
    assert (price.kind, price.name, price.schema, price.base_typmod) == ("d", "price", "public", (10 << 16 | 2) + 4)
    assert price.base is not None
    assert price.base.name == "numeric"
    prices = columns["ps"].type
    assert prices.base is not None
    assert prices.base.element == price
    moods = columns["moods"].type
    assert (moods.category, moods.name) == ("A", "_mood")
    assert moods.element is not None
    assert (moods.element.kind, moods.element.labels) == ("e", ("sad", "so-so", "ok"))
    assert (columns["c"].type.kind, columns["r"].type.kind) == ("c", "r")


async def test_unique_indexes_and_replica_identity(database: Database) -> None:
    database.sql(
        """CREATE TABLE t (a int NOT NULL, b int NOT NULL, c text);
        CREATE UNIQUE INDEX z_plain ON t (b, a); CREATE UNIQUE INDEX "B_partial" ON t (a) WHERE c IS NOT NULL;
        CREATE UNIQUE INDEX expression ON t (lower(c)); CREATE INDEX not_unique ON t (c);
        CREATE UNIQUE INDEX mixed ON t (a, lower(c)); CREATE UNIQUE INDEX included ON t (b) INCLUDE (c);
        ALTER TABLE t REPLICA IDENTITY USING INDEX z_plain;
        CREATE TABLE f (a int, b int); ALTER TABLE f REPLICA IDENTITY FULL;
        CREATE TABLE n (a int PRIMARY KEY, b int); ALTER TABLE n REPLICA IDENTITY NOTHING;
        CREATE TABLE c (a int UNIQUE, b int UNIQUE); CLUSTER c USING c_b_key"""
    )
    conn = await connect(database.settings())
    tables = await load(conn)
    await conn.close()
    t = tables["public.t"]
    assert t.unique_indexes == (
        Index(name="B_partial", columns=("a",)), Index(name="included", columns=("b",)), Index(name="z_plain", columns=("b", "a")),
    )  # fmt: skip
    assert (t.replica_identity, t.primary_key) == ("i", ())
    assert {i: [c.name for c in tables[f"public.{i}"].columns if c.identity] for i in "tfn"} == {
        "t": ["a", "b"], "f": ["a", "b"], "n": [],
    }  # fmt: skip
    assert tables["public.n"].unique_indexes == ()
    assert [i.name for i in tables["public.c"].unique_indexes] == ["c_b_key", "c_a_key"]


async def test_load_costs_the_same_for_many_tables_and_skips_what_is_gone(database: Database) -> None:
    database.sql(
        "DO 'BEGIN FOR i IN 1..300 LOOP EXECUTE format(''CREATE TABLE t%s (id int PRIMARY KEY, v text)'', i); END LOOP; END'"
    )
    conn = await connect(database.settings())
    sent = 0
    execute = conn.execute

    async def counted(*a: object, **k: object) -> object:
        nonlocal sent
        sent += 1
        return await execute(*a, **k)  # type: ignore[call-overload]

    conn.execute = counted  # type: ignore[method-assign, assignment]
    catalog = Catalog(conn)
    oids = [t.oid for t in await catalog.tables()]
    sent = 0
    loaded = await catalog.load([*oids, 1])
    assert sent == 4
    assert set(loaded) == set(oids)
    assert await catalog.load([]) == {}
    assert set(await catalog.types([25, 1])) == {25}
    assert await catalog.server_version() >= 120000
    await conn.close()


# ---- publications


@pytest.fixture
def shop(database: Database) -> Database:
    database.sql('CREATE TABLE a (i int); CREATE TABLE "B b" (i int)')
    return database


async def names(conn: psycopg.AsyncConnection) -> list[TableName]:
    return await Catalog(conn).tables()


async def test_publications_are_made_as_asked(shop: Database) -> None:
    conn = await connect(shop.settings())
    whole = await ensure_publication(conn, "p all", "all_tables", publish=("insert", "delete"), via_partition_root=True)
    assert (whole.all_tables, whole.publishes, whole.via_partition_root) == (True, frozenset(("insert", "delete")), True)
    assert await ensure_publication(conn, "p all", "all_tables", publish=("update",)) == whole
    empty = await ensure_publication(conn, "none", "no_tables")
    assert (empty.all_tables, empty.tables, len(empty.publishes)) == (False, frozenset(), 4)
    both = await names(conn)
    some = await ensure_publication(conn, "some", "filtered", both[:1])
    assert some.tables == {both[0].oid}
    assert await unpublished(conn, some, both) == [both[1]]
    assert (await ensure_publication(conn, "some", "filtered", both)).tables == {t.oid for t in both}
    assert await unpublished(conn, some, both) == []
    assert await unpublished(conn, whole, both) == []
    await conn.close()


async def test_an_equal_filtered_publication_is_left_alone(shop: Database) -> None:
    """SET TABLE would drop its row filters."""
    conn = await connect(shop.settings())
    if conn.info.server_version >= 150000:
        shop.sql('CREATE PUBLICATION pub FOR TABLE a WHERE (i > 5), "B b"')
        await ensure_publication(conn, "pub", "filtered", await names(conn))
        assert shop.sql("SELECT rowfilter FROM pg_publication_tables WHERE tablename = 'a'") == [("(i > 5)",)]
    await conn.close()


async def test_publications_that_cannot_be_used_say_what_to_do(server: Server, shop: Database) -> None:
    conn = await connect(shop.settings())
    with pytest.raises(ServerError) as missing:
        await ensure_publication(conn, "pub", "disabled")
    assert 'CREATE PUBLICATION "pub" FOR ALL TABLES' in missing.value.hint
    with pytest.raises(ServerError, match="no table matches"):
        await ensure_publication(conn, "pub", "filtered", [])
    assert await publication_info(conn, "pub") is None
    await ensure_publication(conn, "pub", "all_tables")
    with pytest.raises(ServerError, match="FOR ALL TABLES and cannot be filtered"):
        await ensure_publication(conn, "pub", "filtered", await names(conn))
    tables = await names(conn)
    await conn.close()
    server.sql("DROP ROLE IF EXISTS pub_maker")
    server.sql("CREATE ROLE pub_maker LOGIN")
    poor = await connect(shop.settings(user="pub_maker"))
    with pytest.raises(ServerError) as refused:
        await ensure_publication(poor, "other", "all_tables", settings=shop.settings(user="pub_maker"))
    assert 'CREATE PUBLICATION "other" FOR ALL TABLES' in refused.value.hint
    server.sql(f"GRANT CREATE ON DATABASE {shop.dbname} TO pub_maker")
    with pytest.raises(ServerError) as owner:
        await ensure_publication(poor, "other", "filtered", tables, settings=shop.settings(user="pub_maker"))
    assert 'FOR TABLE "public"."B b"' in owner.value.hint
    await poor.close()
    server.sql(f"REVOKE CREATE ON DATABASE {shop.dbname} FROM pub_maker")


# ---- slots


async def test_slot_rows_and_drop(database: Database) -> None:
    conn = await connect(database.settings())
    assert await slot_info(conn, database.dbname) is None
    async with await ReplicationConnection.connect(database.settings()) as stream:
        slot = await stream.create_slot(database.dbname)
        info = await slot_info(conn, database.dbname)
        assert info is not None
        assert (info.plugin, info.database, info.temporary, info.lost) == ("pgoutput", database.dbname, False, "")
        assert info.confirmed_flush_lsn == slot.consistent_point
        assert info.restart_lsn is not None
        assert info.restart_lsn <= slot.consistent_point
        await ensure_publication(conn, "pub", "no_tables")
        await stream.start(database.dbname, 0, ["pub"], messages=False)
        with pytest.raises(SlotBusy):
            await drop_slot(conn, database.dbname)
    await drop_slot(conn, database.dbname)
    assert await slot_info(conn, database.dbname) is None
    await drop_slot(conn, database.dbname)
    await conn.close()


# ---- COPY


async def rows_of(stream: AsyncIterator[list[list[bytes | None]]]) -> list[list[bytes | None]]:
    return [row async for batch in stream for row in batch]


async def test_copy_gives_every_value(database: Database) -> None:
    conn = await connect(database.settings())
    got = await rows_of(
        copy_rows(
            conn,
            r"""SELECT 1, NULL, '', E'a\tb\nc\\d\\N\r\x0b\f\b', '\N', 'é漢😀', NULL::text[], '{"a b",NULL}'::text[]""",
        )
    )
    assert got == [
        [b"1", None, b"", b"a\tb\nc\\d\\N\r\v\f\b", b"\\N", "é漢😀".encode(), None, b'{"a b",NULL}'],
    ]  # fmt: skip
    assert await rows_of(copy_rows(conn, "SELECT")) == [[]]
    assert await rows_of(copy_rows(conn, "SELECT ''")) == [[b""]]
    assert await rows_of(copy_rows(conn, "SELECT 1 WHERE false")) == []
    await conn.close()


async def test_copy_keeps_the_limits_of_a_batch(database: Database) -> None:
    conn = await connect(database.settings())
    query = "SELECT g, repeat('x', 1000) FROM generate_series(1, 1005) g"
    by_rows = [len(b) async for b in copy_rows(conn, query, batch_rows=100)]
    assert by_rows == [100] * 10 + [5]
    by_bytes = [len(b) async for b in copy_rows(conn, query, batch_bytes=10_000)]
    assert set(by_bytes[:-1]) == {10}
    assert sum(by_bytes) == 1005
    assert len(await rows_of(copy_rows(conn, "SELECT repeat('x', 5000000) FROM generate_series(1, 3)"))) == 3
    await conn.close()


async def test_a_copy_left_early_leaves_the_connection_usable(database: Database) -> None:
    conn = await connect(database.settings())
    await snapshot_transaction(conn, None)
    stream = copy_rows(conn, "SELECT generate_series(1, 100000000)")
    assert (await anext(stream))[0] == [b"1"]
    await stream.aclose()  # type: ignore[attr-defined]
    await conn.execute("ROLLBACK")
    assert await (await conn.execute("SELECT 1")).fetchone() == (1,)

    async def slow() -> None:
        await rows_of(copy_rows(conn, "SELECT pg_sleep(60)"))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await slow()
    assert await (await conn.execute("SELECT 2")).fetchone() == (2,)
    await conn.close()


async def test_copy_errors_name_the_cause_before_and_amid_the_rows(server: Server, database: Database) -> None:
    database.sql(
        "CREATE TABLE secret (i int); CREATE TABLE guarded (i int); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY; "
        "GRANT SELECT ON guarded TO PUBLIC"
    )
    server.sql("DROP ROLE IF EXISTS copy_reader")
    server.sql("CREATE ROLE copy_reader LOGIN")
    settings = database.settings(user="copy_reader")
    conn = await connect(settings)
    with pytest.raises(ServerError) as denied:
        await rows_of(copy_rows(conn, "SELECT * FROM secret", settings=settings))
    assert 'GRANT SELECT ON TABLE "secret" TO "copy_reader"' in denied.value.hint
    with pytest.raises(ServerError) as hidden:
        await rows_of(copy_rows(conn, "SELECT * FROM guarded", settings=settings))
    assert 'ALTER ROLE "copy_reader" BYPASSRLS' in hidden.value.hint
    seen = 0
    with pytest.raises(ServerError) as divided:
        async for batch in copy_rows(conn, "SELECT 1 / (5000 - g) FROM generate_series(1, 6000) g"):
            seen += len(batch)
    assert "division by zero" in divided.value.cause
    assert seen == 4999
    assert await (await conn.execute("SELECT 1")).fetchone() == (1,)
    await conn.close()


async def test_a_copy_whose_server_process_ends_is_a_lost_connection(database: Database) -> None:
    conn = await connect(database.settings())
    stream = copy_rows(conn, "SELECT generate_series(1, 100000000)")
    await anext(stream)
    database.sql(f"SELECT pg_terminate_backend({conn.info.backend_pid})")
    with pytest.raises(ServerError) as raised:
        async for _ in stream:
            pass
    assert raised.value.retriable
    await conn.close()


async def test_a_snapshot_that_is_gone_can_be_retried(database: Database) -> None:
    conn = await connect(database.settings())
    with pytest.raises(SnapshotError) as raised:
        await snapshot_transaction(conn, "00000003-000000FF-1")
    assert raised.value.retriable
    await snapshot_transaction(conn, None, "SERIALIZABLE")
    row = await (
        await conn.execute("SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')")
    ).fetchone()
    assert row == ("serializable", "on")
    await conn.execute("ROLLBACK")
    await conn.close()
