"""PostgreSQL -> Protobuf in Kafka, with a real schema registry -> PostgreSQL: every value arrives exact."""

import psycopg
import pytest
from test_avro_copy import ROWS, SHOWN, TABLE, Pipeline, insert, running, until

from pycdc.runtime.sink_task import run_sink

pytestmark = [pytest.mark.timeout(180), pytest.mark.xdist_group("registry"), pytest.mark.usefixtures("quick")]

PROTOBUF = "io.confluent.connect.protobuf.ProtobufConverter"
#: One number without precision, which is a message of its own.
COLUMNS = TABLE.replace("small numeric(5,2)", "small numeric")
UNWRAP = {"transforms": "u", "transforms.u.type": "io.debezium.transforms.ExtractNewRecordState"}


def protobuf(nulls):
    both = {"": PROTOBUF, f".{nulls}": "true"}
    return {f"{side}.converter{k}": v for side in ("key", "value") for k, v in both.items()}


@pytest.fixture
def pipeline(postgres_db, kafka, names, schema_registry, tmp_path):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
        conn.execute(COLUMNS)
    return Pipeline(postgres_db, kafka, names, schema_registry, tmp_path)


@pytest.mark.parametrize(
    ("nulls", "time_mode", "transforms"),
    [("optional.for.nullables", "connect", {}), ("wrapper.for.nullables", "isostring", {}), ("optional.for.nullables", "isostring", UNWRAP)],
)
async def test_every_value_arrives_exact_in_postgresql(pipeline, target, nulls, time_mode, transforms):
    """Microseconds are lost with time.precision.mode=connect alone, whose types have milliseconds."""
    options = protobuf(nulls)
    shown = SHOWN["connect" if time_mode == "connect" else "adaptive"]
    with psycopg.connect(pipeline.db.dsn, autocommit=True) as sql, psycopg.connect(target.dsn, autocommit=True) as copied:
        insert(sql, ROWS)
        copied.execute(COLUMNS.replace(" t ", " copy ", 1))
        async with running(
            lambda stop: pipeline.sourcing(stop, **{"time.precision.mode": time_mode}, **options, **transforms),
            lambda stop: run_sink(pipeline.to_postgres(target, **options), http=None, stop=stop),
        ) as tasks:
            await until(lambda: copied.execute("SELECT count(*) FROM copy").fetchone(), (3,), tasks)
            sql.execute("UPDATE t SET small = small + 1, at = at + interval '1001 microseconds' WHERE id = 1; DELETE FROM t WHERE id = 2")
            wanted = sql.execute(f"SELECT {shown} FROM t ORDER BY id").fetchall()
            await until(lambda: copied.execute(f"SELECT {SHOWN['adaptive']} FROM copy ORDER BY id").fetchall(), wanted, tasks)
