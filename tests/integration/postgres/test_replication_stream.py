"""The stream against a real PostgreSQL: what arrives, what is confirmed, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from private_server import Database, Server

from pycdc.errors import ConnectionLost, ServerError, SlotBusy, SlotError, SlotLost
from pycdc.model.lsn import parse_lsn
from pycdc.postgres import pgoutput as p
from pycdc.postgres.copy import copy_rows, snapshot_transaction
from pycdc.postgres.replication import KEEPALIVE, ReplicationConnection
from pycdc.postgres.session import connect
from pycdc.postgres.slot import require_usable, slot_info

Wait = Callable[[Callable[[], Awaitable[Any]], str], Awaitable[Any]]


def messages(payloads: list[bytes]) -> list[p.Message]:
    return [p.decode(m, p.XLOGDATA_HEADER) for m in payloads if m[0] != KEEPALIVE]


async def commits(stream: ReplicationConnection, count: int) -> list[p.Message]:
    """All messages up to the `count`th Commit."""
    got: list[p.Message] = []
    async with asyncio.timeout(20):
        while sum(type(m) is p.Commit for m in got) < count:
            got += messages(await stream.read())
    return got


async def ready(
    database: Database, tables: str = "CREATE TABLE t (id int PRIMARY KEY, v text)"
) -> ReplicationConnection:
    """A stream over everything that happens after `tables`, through slot and publication named as the database."""
    database.sql(f"{tables}; CREATE PUBLICATION pub FOR ALL TABLES")
    stream = await ReplicationConnection.connect(database.settings())
    await stream.create_slot(database.dbname, export_snapshot=False)
    await stream.start(database.dbname, 0, ["pub"], messages=True)
    return stream


async def test_every_kind_of_message(database: Database) -> None:
    big = "x" * 9000
    tables = """
        CREATE TYPE mood AS ENUM ('sad', 'ok');
        CREATE TABLE "Größe" (id int, "ключ" text, toasted text, m mood, PRIMARY KEY (id));
        ALTER TABLE "Größe" ALTER toasted SET STORAGE EXTERNAL;
        CREATE TABLE whole (id int, v text); ALTER TABLE whole REPLICA IDENTITY FULL;
        SELECT pg_replication_origin_create('elsewhere')"""
    async with await ready(database, tables) as stream:
        database.sql(f"INSERT INTO \"Größe\" VALUES (1, 'hé漢😀', '{big}', 'ok'), (2, NULL, '', NULL)")
        database.sql('UPDATE "Größe" SET "ключ" = \'v\' WHERE id = 1')
        database.sql('UPDATE "Größe" SET id = 3 WHERE id = 2')
        database.sql('DELETE FROM "Größe" WHERE id = 3')
        database.sql("INSERT INTO whole VALUES (1, 'a'); UPDATE whole SET v = 'b'; DELETE FROM whole")
        database.sql('TRUNCATE "Größe", whole RESTART IDENTITY CASCADE')
        database.sql(
            "SELECT pg_logical_emit_message(true, 'präfix', 'body'), pg_logical_emit_message(false, 'p2', 'now')"
        )
        conn = await connect(database.settings())
        await conn.execute("SELECT pg_replication_origin_session_setup('elsewhere')")
        await conn.execute("INSERT INTO whole VALUES (9, 'o')")
        await conn.close()
        got = await commits(stream, 8)
    relations = {m.name: m for m in got if isinstance(m, p.Relation)}
    sizes = relations["Größe"]
    assert (sizes.schema, sizes.replica_identity) == ("public", "d")
    assert [(c.name, c.flags) for c in sizes.columns] == [("id", 1), ("ключ", 0), ("toasted", 0), ("m", 0)]
    assert relations["whole"].replica_identity == "f"
    assert any(isinstance(m, p.Type) and m.name == "mood" for m in got)
    assert [m.new for m in got if isinstance(m, p.Insert)][:2] == [
        [b"1", "hé漢😀".encode(), big.encode(), b"ok"],
        [b"2", None, b"", None],
    ]
    updates = [m for m in got if isinstance(m, p.Update)]
    assert (updates[0].old_kind, updates[0].old) == ("", None)
    assert updates[0].new[2] is p.UNCHANGED
    assert (updates[1].old_kind, updates[1].old) == ("K", [b"2", None, None, None])
    assert (updates[2].old_kind, updates[2].old, updates[2].new) == ("O", [b"1", b"a"], [b"1", b"b"])
    deletes = [m for m in got if isinstance(m, p.Delete)]
    assert [(d.old_kind, d.old) for d in deletes] == [("K", [b"3", None, None, None]), ("O", [b"1", b"b"])]
    truncate = next(m for m in got if isinstance(m, p.Truncate))
    assert set(truncate.oids) == {sizes.oid, relations["whole"].oid}
    assert (truncate.cascade, truncate.restart_identity) == (True, True)
    emitted = [m for m in got if isinstance(m, p.LogicalMessage)]
    assert sorted((m.transactional, m.prefix, m.content) for m in emitted) == [
        (False, "p2", b"now"),
        (True, "präfix", b"body"),
    ]
    assert any(isinstance(m, p.Origin) and m.name == "elsewhere" for m in got)
    begin, commit = (next(m for m in got if isinstance(m, kind)) for kind in (p.Begin, p.Commit))
    assert isinstance(begin, p.Begin)
    assert isinstance(commit, p.Commit)
    assert begin.final_lsn == commit.commit_lsn < commit.end_lsn
    now = database.sql("SELECT (extract(epoch FROM now()) * 1000000)::int8")[0][0]
    assert 0 <= now - commit.commit_ts_us < 60_000_000
    assert begin.commit_ts_us == commit.commit_ts_us


async def test_texts_of_the_stream_and_the_snapshot_are_the_same(database: Database) -> None:
    """One set of session settings, whatever the role prefers."""
    database.sql(
        f"ALTER DATABASE {database.dbname} SET TimeZone = 'Asia/Tokyo'; "
        f"ALTER DATABASE {database.dbname} SET DateStyle = 'German'; "
        f"ALTER DATABASE {database.dbname} SET bytea_output = 'escape'; "
        f"ALTER DATABASE {database.dbname} SET IntervalStyle = 'iso_8601'; "
        f"ALTER DATABASE {database.dbname} SET extra_float_digits = -5"
    )
    table = "CREATE TABLE t (id int PRIMARY KEY, tz timestamptz, i interval, b bytea, d float8, m money)"
    async with await ready(database, table) as stream:
        database.sql(
            "INSERT INTO t VALUES (1, '2024-07-01 12:00+02', '1 mon 2 days', '\\xdead', 0.1::float8 + 0.2, -1234.5)"
        )
        streamed = next(m.new for m in await commits(stream, 1) if isinstance(m, p.Insert))
        conn = await connect(database.settings())
        read = [r async for rows in copy_rows(conn, "SELECT * FROM t") for r in rows]
        await conn.close()
    assert read == [streamed]
    assert streamed == [
        b"1",
        b"2024-07-01 10:00:00+00",
        b"1 mon 2 days",
        b"\\xdead",
        b"0.30000000000000004",
        b"-$1,234.50",
    ]


async def test_a_latin1_database_streams_utf8(latin_database: Database) -> None:
    async with await ready(latin_database, 'CREATE TABLE "tä" (id int PRIMARY KEY, "ö" text)') as stream:
        latin_database.sql("INSERT INTO \"tä\" VALUES (1, 'ÿß')")
        got = await commits(stream, 1)
        conn = await connect(latin_database.settings())
        read = [r async for rows in copy_rows(conn, 'SELECT * FROM "tä"') for r in rows]
        await conn.close()
    relation = next(m for m in got if isinstance(m, p.Relation))
    assert (relation.name, relation.columns[1].name) == ("tä", "ö")
    assert next(m.new for m in got if isinstance(m, p.Insert)) == read[0] == [b"1", "ÿß".encode()]


async def test_batches_keep_their_limits_and_lose_nothing(database: Database) -> None:
    async with await ready(database) as stream:
        database.sql("INSERT INTO t SELECT g, repeat('v', 100) FROM generate_series(1, 5000) g")
        ids: list[int] = []
        while len(ids) < 5000:
            batch = await stream.read(limit_bytes=4000, limit_messages=30)
            assert 0 < len(batch) <= 30
            assert sum(map(len, batch[:-1])) < 4000
            ids += [int(m.new[0] or 0) for m in messages(batch) if isinstance(m, p.Insert)]
    assert ids == list(range(1, 5001))


async def test_values_of_many_megabytes(database: Database) -> None:
    async with await ready(database) as stream:
        database.sql("INSERT INTO t VALUES (1, repeat('0123456789', 2000000))")
        value = next(m.new[1] for m in await commits(stream, 1) if isinstance(m, p.Insert))
    assert value == b"0123456789" * 2_000_000


async def test_a_cancelled_read_loses_nothing(database: Database) -> None:
    async with await ready(database) as stream:
        writer = asyncio.create_task(
            asyncio.to_thread(
                database.sql, "DO 'BEGIN FOR i IN 1..2000 LOOP INSERT INTO t VALUES (i, i); COMMIT; END LOOP; END'"
            )
        )
        ids: list[int] = []
        cancelled = 0
        while len(ids) < 2000:
            try:
                async with asyncio.timeout(0.0005 if cancelled < 300 else 5):
                    batch = await stream.read(limit_messages=7)
            except TimeoutError:
                cancelled += 1
                continue
            ids += [int(m.new[0] or 0) for m in messages(batch) if isinstance(m, p.Insert)]
        await writer
    assert ids == list(range(1, 2001))
    assert cancelled > 0


async def test_status_goes_out_while_nobody_reads(server: Server, database: Database, wait: Wait) -> None:
    server.sql(f"ALTER DATABASE {database.dbname} SET wal_sender_timeout = '900ms'")
    async with await ready(database) as stream:
        assert stream.status_interval == pytest.approx(0.3)
        database.sql("INSERT INTO t SELECT g, repeat('v', 1000) FROM generate_series(1, 20000) g")
        # Three times the server's patience without a read: it would have hung up.
        late = f"""SELECT 1 FROM pg_stat_replication JOIN pg_replication_slots ON active_pid = pid
                    WHERE slot_name = '{database.dbname}' AND reply_time > backend_start + interval '2.7 s'"""

        async def replied() -> bool:
            return bool(await asyncio.to_thread(database.sql, late))

        await wait(replied, "a reply 2.7 s after the start")
        assert sum(isinstance(m, p.Insert) for m in await commits(stream, 1)) == 20000


async def test_an_idle_stream_hears_how_far_wal_has_come(server: Server, database: Database) -> None:
    """What moves the slot of an idle database: other databases write, keepalives tell the position."""
    async with await ready(database) as stream:
        server.sql("CREATE TABLE IF NOT EXISTS foreign_noise AS SELECT generate_series(1, 1000)")
        written = parse_lsn(server.sql("SELECT pg_current_wal_flush_lsn()::text")[0][0])
        async with asyncio.timeout(20):
            while stream.received < written:
                assert all(m[0] == KEEPALIVE for m in await stream.read())
        server.sql("DROP TABLE foreign_noise")


async def test_confirm_moves_the_slot_and_never_back(database: Database, wait: Wait) -> None:
    async with await ready(database) as stream:
        observer = await connect(database.settings())

        async def confirmed() -> int:
            info = await slot_info(observer, database.dbname)
            assert info is not None
            return info.confirmed_flush_lsn or 0

        database.sql("INSERT INTO t VALUES (1, 'a')")
        end = next(m.end_lsn for m in await commits(stream, 1) if isinstance(m, p.Commit))
        assert stream.received >= end - 48  # the Commit message tells its own LSN, a little before its end
        assert await confirmed() < end
        assert stream.flushed == 0

        async def at_end() -> bool:
            return await confirmed() == end

        stream.confirm(end)
        await wait(at_end, "the slot at the confirmed LSN")
        stream.confirm(end - 1000)
        assert stream.flushed == end
        database.sql("INSERT INTO t VALUES (2, 'b')")
        await commits(stream, 1)
        assert await confirmed() == end
        await observer.close()


async def test_a_restart_of_the_stream_goes_on_where_it_was_confirmed(database: Database) -> None:
    async with await ready(database) as stream:
        database.sql("INSERT INTO t VALUES (1, 'a')")
        end = next(m.end_lsn for m in await commits(stream, 1) if isinstance(m, p.Commit))
        database.sql("INSERT INTO t VALUES (2, 'b')")
        await commits(stream, 1)
        stream.confirm(end)
    async with await ReplicationConnection.connect(database.settings()) as stream:
        await stream.start(database.dbname, end, ["pub"], messages=False)
        # A position before the start is not told: an older server would set the slot back.
        stream.confirm(end - 1)
        assert stream.flushed == 0
        assert [m.new for m in await commits(stream, 1) if isinstance(m, p.Insert)] == [[b"2", b"b"]]


async def test_close_frees_the_slot_even_with_data_unread(database: Database, wait: Wait) -> None:
    stream = await ready(database)
    database.sql("INSERT INTO t SELECT g, repeat('v', 1000) FROM generate_series(1, 30000) g")
    await stream.read()
    await stream.close()
    await stream.close()
    stream.confirm(1)  # without effect, and without an error

    async def free() -> bool:
        return not database.sql(f"SELECT 1 FROM pg_replication_slots WHERE slot_name = '{database.dbname}' AND active")

    await wait(free, "the slot free")


async def test_a_busy_slot_names_its_holder_and_can_be_tried_again(database: Database) -> None:
    first = await ready(database)
    pid = database.sql(f"SELECT active_pid FROM pg_replication_slots WHERE slot_name = '{database.dbname}'")[0][0]
    async with await ReplicationConnection.connect(database.settings()) as second:
        with pytest.raises(SlotBusy) as raised:
            await second.start(database.dbname, 0, ["pub"], messages=False)
        assert f"pg_terminate_backend({pid})" in raised.value.hint
        observer = await connect(database.settings())
        with pytest.raises(SlotBusy, match="held by another"):
            require_usable(await slot_info(observer, database.dbname), database.dbname, database.dbname)
        await observer.close()
        await first.close()
        await second.start(database.dbname, 0, ["pub"], messages=False)
        database.sql("INSERT INTO t VALUES (1, 'a')")
        assert any(isinstance(m, p.Insert) for m in await commits(second, 1))


async def test_identify_system_after_commands(database: Database) -> None:
    async with await ReplicationConnection.connect(database.settings()) as stream:
        identity = await stream.identify_system()
        expected = database.sql(
            "SELECT system_identifier::text, timeline_id FROM pg_control_system(), pg_control_checkpoint()"
        )
        assert (identity.system_id, identity.timeline) == expected[0]
        assert identity.dbname == database.dbname
        now = database.sql("SELECT pg_current_wal_insert_lsn()::text")[0][0]
        assert 0 < identity.wal_end <= parse_lsn(now)
        assert stream.server_version >= 120000


async def test_the_exported_snapshot_is_the_slots_point(database: Database) -> None:
    database.sql("CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION pub FOR TABLE t; INSERT INTO t VALUES (1)")
    async with await ReplicationConnection.connect(database.settings()) as stream:
        slot = await stream.create_slot(database.dbname)
        database.sql("INSERT INTO t VALUES (2)")
        conn = await connect(database.settings())
        await snapshot_transaction(conn, slot.snapshot)
        read = [r async for rows in copy_rows(conn, "SELECT id FROM t") for r in rows]
        await conn.execute("COMMIT")
        await conn.close()
        await stream.start(slot.name, slot.consistent_point, ["pub"], messages=False)
        streamed = [m.new for m in await commits(stream, 1) if isinstance(m, p.Insert)]
    assert (read, streamed) == ([[b"1"]], [[b"2"]])
    info = database.sql(f"SELECT temporary, plugin FROM pg_replication_slots WHERE slot_name = '{database.dbname}'")
    assert info == [(False, "pgoutput")]


async def test_a_temporary_slot_ends_with_its_connection(database: Database, wait: Wait) -> None:
    async with await ReplicationConnection.connect(database.settings()) as stream:
        slot = await stream.create_slot(f"{database.dbname}_x", temporary=True)
        assert slot.snapshot
        assert slot.consistent_point > 0

    async def gone() -> bool:
        return not database.sql(f"SELECT 1 FROM pg_replication_slots WHERE slot_name = '{database.dbname}_x'")

    await wait(gone, "the temporary slot gone")


async def test_a_slot_that_cannot_be_created_names_who_blocks(server: Server, database: Database) -> None:
    database.sql("CREATE TABLE t (id int)")
    server.sql("DROP ROLE IF EXISTS slot_observer")
    server.sql("CREATE ROLE slot_observer LOGIN")
    blocker, observer = await connect(database.settings()), await connect(database.settings(user="slot_observer"))
    await blocker.execute("BEGIN")
    await blocker.execute("INSERT INTO t VALUES (1)")
    database.sql("BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION 'left behind'")
    async with await ReplicationConnection.connect(database.settings()) as stream:
        with pytest.raises(SlotError) as raised:
            await stream.create_slot(database.dbname, time_limit=0.3, observer=observer)
        assert raised.value.retriable
        assert f"pid {blocker.info.backend_pid} (postgres" in raised.value.cause
        assert "prepared transaction left behind (postgres" in raised.value.cause
        assert await slot_info(observer, database.dbname) is None
        await blocker.execute("COMMIT")
        database.sql("COMMIT PREPARED 'left behind'")
        # The same connection tries again.
        assert (await stream.create_slot(database.dbname, time_limit=10)).name == database.dbname
        with pytest.raises(SlotError) as again:
            await stream.create_slot(database.dbname)
        assert "already exists" in again.value.cause
    await blocker.close()
    await observer.close()


async def test_a_missing_slot_or_publication(database: Database) -> None:
    database.sql("CREATE TABLE t (id int PRIMARY KEY)")
    async with await ReplicationConnection.connect(database.settings()) as stream:
        with pytest.raises(SlotLost, match="cannot stream"):
            await stream.start("never_made", 0, ["pub"], messages=False)
        await stream.create_slot(database.dbname)
        await stream.start(database.dbname, 0, ["never made"], messages=False)
        database.sql("INSERT INTO t VALUES (1)")
        with pytest.raises(ServerError) as raised:
            await commits(stream, 1)
    assert 'CREATE PUBLICATION "never made"' in raised.value.hint
    assert not raised.value.retriable


async def test_a_publication_that_goes_ends_the_stream_before_its_changes_are_passed(database: Database) -> None:
    """From version 18 on the server would go on without it, and the slot would move past what it left out."""
    async with await ready(database) as stream:
        database.sql("INSERT INTO t VALUES (1, 'a')")
        before = await commits(stream, 1)
        assert any(isinstance(m, p.Insert) for m in before)
        database.sql("DROP PUBLICATION pub; CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1)")
        after: list[p.Message] = []
        with pytest.raises(ServerError) as raised:
            async with asyncio.timeout(10):
                while True:
                    after += messages(await stream.read())
        assert 'CREATE PUBLICATION "pub"' in raised.value.hint
        assert not any(isinstance(m, p.Commit) for m in after)


async def test_an_invalidated_slot_is_lost(server: Server, database: Database, wait: Wait) -> None:
    database.sql("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION pub FOR ALL TABLES")
    async with await ReplicationConnection.connect(database.settings()) as stream:
        await stream.create_slot(database.dbname)
    observer = await connect(database.settings())
    server.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    server.reload()
    try:

        async def lost() -> bool:
            server.sql("CREATE TABLE IF NOT EXISTS noise (v text); INSERT INTO noise VALUES ('x')")
            server.sql("SELECT pg_switch_wal()")
            server.sql("CHECKPOINT")
            info = await slot_info(observer, database.dbname)
            return bool(info and info.lost)

        await wait(lost, "the slot invalidated")
        with pytest.raises(SlotLost) as raised:
            require_usable(await slot_info(observer, database.dbname), database.dbname, database.dbname)
        assert f"pg_drop_replication_slot('{database.dbname}')" in raised.value.hint
        async with await ReplicationConnection.connect(database.settings()) as stream:
            with pytest.raises(SlotLost):
                await stream.start(database.dbname, 0, ["pub"], messages=False)
    finally:
        server.sql("ALTER SYSTEM RESET max_slot_wal_keep_size")
        server.reload()
        await observer.close()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_server_that_goes_is_a_lost_connection(server: Server, database: Database, mode: str) -> None:
    stream = await ready(database)
    database.sql("INSERT INTO t VALUES (1, 'before')")
    if mode == "fast":
        # A fast stop waits for the reader to have confirmed everything: play the source that does.
        got = await commits(stream, 1)
        stopping = asyncio.create_task(asyncio.to_thread(server.stop, mode))
    else:
        await asyncio.to_thread(server.stop, mode)
        stopping, got = None, []
    try:
        with pytest.raises(ConnectionLost) as raised:
            async with asyncio.timeout(20):
                while True:
                    got += messages(await stream.read())
                    stream.confirm(stream.received)
        assert raised.value.retriable
        # What had arrived was handed out first, and the error stays.
        assert any(isinstance(m, p.Insert) for m in got)
        with pytest.raises(ConnectionLost):
            await stream.read()
        stream.confirm(stream.received + 1)
        await stream.close()
        if stopping:
            await stopping
        with pytest.raises(ConnectionLost) as refused:
            await ReplicationConnection.connect(database.settings())
        assert "pg_isready" in refused.value.hint
    finally:
        server.start()
    async with await ReplicationConnection.connect(database.settings()) as stream:
        await stream.start(database.dbname, 0, ["pub"], messages=False)
        database.sql("INSERT INTO t VALUES (2, 'after')")
        seen: list[p.Message] = []
        while not any(isinstance(m, p.Insert) and m.new[1] == b"after" for m in seen):
            seen += await commits(stream, 1)


async def test_a_terminated_walsender_tells_why(database: Database) -> None:
    stream = await ready(database)
    database.sql(
        f"SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{database.dbname}'"
    )
    with pytest.raises(ConnectionLost) as raised:
        async with asyncio.timeout(20):
            while True:
                await stream.read()
    assert "terminating connection" in raised.value.cause
    await stream.close()


# ---- TLS


@pytest.fixture
def tls_server(server: Server) -> Iterator[Server]:
    key, cert = server.folder / "data/server.key", server.folder / "data/server.crt"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            str(key),
            "-out",
            str(cert),
        ],
        check=True,
        capture_output=True,
    )
    key.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(key, pwd.getpwnam("postgres").pw_uid, -1)
    server.sql("ALTER SYSTEM SET ssl = on")
    server.reload()
    yield server
    server.sql("ALTER SYSTEM SET ssl = off")
    server.reload()


async def test_tls_streams_every_byte_and_verifies(tls_server: Server, database: Database) -> None:
    cert = str(tls_server.folder / "data/server.crt")
    settings = database.settings(host="localhost", sslmode="verify-full", sslrootcert=cert)
    database.sql("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION pub FOR ALL TABLES")
    async with await ReplicationConnection.connect(settings) as stream:
        await stream.create_slot(database.dbname)
        await stream.start(database.dbname, 0, ["pub"], messages=False)
        # Sizes around those of a TLS record and of libpq's buffer, one transaction each: the end of a message
        # that stays inside TLS would be missed until the next keepalive.
        for size in (100, 8100, 16300, 16384, 16500, 40000, 300_000):
            database.sql(f"INSERT INTO t VALUES ({size}, repeat('x', {size}))")
            async with asyncio.timeout(3):
                got = await commits(stream, 1)
            assert [len(m.new[1] or b"") for m in got if isinstance(m, p.Insert)] == [size]
    conn = await connect(settings)
    encrypted = await (await conn.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")).fetchone()
    assert encrypted == (True,)
    read = [len(r[1] or b"") async for rows in copy_rows(conn, "SELECT * FROM t ORDER BY id") for r in rows]
    assert read == [100, 8100, 16300, 16384, 16500, 40000, 300_000]
    await conn.close()
    with pytest.raises(ServerError) as raised:
        await connect(database.settings(sslmode="verify-full", sslrootcert=cert))
    assert "sslrootcert" in raised.value.hint


# ---- refusals, as this server words them


async def refused(settings: Any) -> ServerError:
    with pytest.raises(ServerError) as raised:
        await ReplicationConnection.connect(settings)
    return raised.value


async def test_refusals_of_a_connection_name_their_remedy(server: Server) -> None:
    for role, options in (
        ("locked", "LOGIN REPLICATION PASSWORD 'right'"),
        ("plain", "LOGIN"),
        ("outsider", "LOGIN"),
        ("nologin", "NOLOGIN"),
    ):
        with contextlib.suppress(Exception):
            server.sql(f"CREATE ROLE {role} {options}")
    wrong = await refused(server.settings(user="locked", password="wrong-secret"))
    assert 'ALTER ROLE "locked" PASSWORD' in wrong.hint
    assert "password authentication failed" in wrong.cause
    assert "wrong-secret" not in str(wrong)
    assert not wrong.retriable
    none = await refused(server.settings(user="locked"))
    assert "database.password" in none.hint
    await (await ReplicationConnection.connect(server.settings(user="locked", password="right"))).close()
    assert 'ALTER ROLE "plain" WITH REPLICATION' in (await refused(server.settings(user="plain"))).hint
    assert "pg_hba.conf" in (await refused(server.settings(user="outsider"))).hint
    assert 'ALTER ROLE "nologin" LOGIN' in (await refused(server.settings(user="nologin"))).hint
    assert 'CREATE ROLE "nobody_here"' in (await refused(server.settings(user="nobody_here"))).hint
    assert 'CREATE DATABASE "nowhere"' in (await refused(server.settings("nowhere"))).hint
    assert "sslmode" in (await refused(server.settings(sslmode="require"))).hint
    unknown = await refused(server.settings(host="nowhere.invalid"))
    assert isinstance(unknown, ConnectionLost)
    assert "database.hostname" in unknown.hint


async def test_of_several_hosts_the_one_that_answers_is_taken(server: Server) -> None:
    stream = await ReplicationConnection.connect(server.settings(host=f"127.0.0.1:1,127.0.0.1:{server.port}"))
    assert (await stream.identify_system()).wal_end > 0
    await stream.close()


async def test_wal_level_and_exhausted_slots(server: Server) -> None:
    server.stop()
    server.configure(wal_level="replica", max_replication_slots=0)
    server.start()
    try:
        async with await ReplicationConnection.connect(server.settings()) as stream:
            with pytest.raises(ServerError) as raised:
                await stream.create_slot("any")
            assert "max_replication_slots = 20" in raised.value.hint
        server.stop()
        server.configure(max_replication_slots=1)
        server.start()
        async with await ReplicationConnection.connect(server.settings()) as stream:
            with pytest.raises(ServerError) as raised:
                await stream.create_slot("any")
            assert "ALTER SYSTEM SET wal_level = logical" in raised.value.hint
        server.stop()
        server.configure(wal_level="logical")
        server.start()
        async with await ReplicationConnection.connect(server.settings()) as stream:
            await stream.create_slot("one", temporary=True)
            async with await ReplicationConnection.connect(server.settings()) as other:
                with pytest.raises(SlotError) as full:
                    await other.create_slot("two", temporary=True)
            assert "max_replication_slots" in full.value.hint
    finally:
        server.stop()
        server.configure(wal_level="logical", max_replication_slots=40)
        server.start()
