"""pycdc as a library, and the example of the documentation as it is written."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

import pycdc

EXAMPLE = Path(__file__).parents[3] / "examples" / "library.py"


def config(db, names, **more):
    return {
        "topic.prefix": names.prefix, "database.hostname": db.host, "database.port": db.port, "database.user": db.user,
        "database.dbname": db.dbname, "slot.name": names.slot, **more,
    }  # fmt: skip


async def take(source, count):
    events = []
    async with asyncio.timeout(30):
        async for event in source:
            events.append(event)
            if len(events) == count:
                return events
    raise AssertionError("the stream ended")


async def test_events_come_in_order_and_the_acknowledged_prefix_is_where_it_goes_on(postgres_db, names, tmp_path):
    file = str(tmp_path / "positions.json")
    with psycopg.connect(postgres_db.dsn, autocommit=True) as sql:
        sql.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')")
        async with pycdc.PostgresSource(config(postgres_db, names), offsets_file=file) as source:
            first = await take(source, 1)
            assert (first[0].op, first[0].after) == ("r", {"id": 1, "v": "a"})
            await first[0].ack()
        for i in (2, 3, 4):
            sql.execute("INSERT INTO t VALUES (%s, 'x')", [i])
        async with pycdc.PostgresSource(config(postgres_db, names), offsets_file=file) as source:
            events = await take(source, 3)
            assert [e.after["id"] for e in events] == [2, 3, 4]
            await events[0].ack()
            await events[2].ack()  # out of order: the second is still open
        async with pycdc.PostgresSource(config(postgres_db, names), offsets_file=file) as source:
            again = []
            async with asyncio.timeout(30):
                async for event in source:
                    again.append(event.after["id"])
                    if event.after["id"] == 4:
                        break
            assert again[-2:] == [3, 4], "what was not acknowledged comes again, in order"


def test_a_wrong_configuration_tells_every_fault():
    with pytest.raises(pycdc.ConfigError) as error:
        pycdc.PostgresSource({"database.hostname": "x", "slot.name": "Not A Slot", "snapshot.mode": "sometimes"})
    keys = {f.key for f in error.value.faults}
    assert {"topic.prefix", "slot.name", "snapshot.mode", "database.user", "database.dbname"} <= keys


def test_the_documented_example_runs(postgres_db, tmp_path):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as sql:
        sql.execute("CREATE TABLE greetings (id int PRIMARY KEY, v text); INSERT INTO greetings VALUES (1, 'hello')")
    command = [sys.executable, str(EXAMPLE), postgres_db.host, str(postgres_db.port), postgres_db.user, postgres_db.dbname]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        end = time.monotonic() + 30
        line = ""
        while "greetings" not in line and time.monotonic() < end:
            line = process.stdout.readline()
        assert line == "r greetings {'id': 1} {'id': 1, 'v': 'hello'}\n"
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()
