"""A source that fails has stored what was acknowledged: the next start repeats none of it."""

import asyncio
import json

import psycopg
import pytest
from kafka_records import new_topic, read

from pycdc.config.layers import Layered
from pycdc.errors import PycdcError
from pycdc.plugins.join import load_source
from pycdc.runtime import source_task


def plan(db, names, bootstrap, **more):
    return load_source(Layered.of({
        "name": names.base, "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "topic.prefix": names.prefix,
        "database.hostname": db.host, "database.port": db.port, "database.user": db.user, "database.dbname": db.dbname,
        "slot.name": names.slot, "publication.name": names.publication, "bootstrap.servers": bootstrap,
        "topic.creation.default.replication.factor": "1", "topic.creation.default.partitions": "1", "errors.max.retries": "0",
        "transforms": "unwrap", "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState", **more,
    }), offsets_file=True)  # fmt: skip


async def test_what_was_acknowledged_before_the_fault_is_not_sent_again(postgres_db, names, kafka, tmp_path, monkeypatch):
    monkeypatch.setattr(source_task, "_LONGEST_FLUSH", 600)
    positions, topic = str(tmp_path / "positions.json"), f"{names.prefix}.public.t"
    await new_topic(kafka, topic)
    with psycopg.connect(postgres_db.dsn, autocommit=True) as sql:
        sql.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
        cast = {"transforms": "unwrap,cast", "transforms.cast.type": "org.apache.kafka.connect.transforms.Cast$Value", "transforms.cast.spec": "v:int32"}
        options = {"offset.flush.interval.ms": "600000", **cast}
        failing = asyncio.create_task(source_task.run_source(plan(postgres_db, names, kafka, **options), offsets_file=positions, http=None, stop=asyncio.Event()))
        sql.execute("INSERT INTO t VALUES (1, '1')")
        await published(failing, kafka, topic, [1])
        for i in (2, 3):
            sql.execute("INSERT INTO t VALUES (%s, '7')", [i])
        await published(failing, kafka, topic, [1, 2, 3])
        sql.execute("INSERT INTO t VALUES (4, 'seven')")
        with pytest.raises(PycdcError, match="seven|int32|cast"):
            await asyncio.wait_for(failing, 30)

        stop = asyncio.Event()
        mended = asyncio.create_task(source_task.run_source(plan(postgres_db, names, kafka), offsets_file=positions, http=None, stop=stop))
        await published(mended, kafka, topic, [1, 2, 3, 4])
        stop.set()
        await asyncio.wait_for(mended, 30)


async def published(task, bootstrap, topic, expected):
    """Waits until the topic has as many records, which then are these ids."""
    ids = []
    async with asyncio.timeout(30):
        while len(ids) < len(expected):
            assert not task.done(), task.exception()
            await asyncio.sleep(0.2)
            ids = [json.loads(r.value)["payload"]["id"] for r in (await read(bootstrap, topic))[0]]
    assert ids == expected
