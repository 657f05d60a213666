"""Scenario C: a CRM's three tables, unwrapped, as JSON without schemas, into hand-made tables; the data mart joins them."""

import json
import random

import pytest

from pycdc.converters.json import JsonConverter, JsonConverterConfig
from pycdc.model.record import Record

PREFIX = "crm.crm."
PARTITIONS = {"customers": 3, "prostheses": 3, "prosthesis_models": 1}

TABLES = """
CREATE TABLE {d}.crm_customers (id UUID, name String, email String, ldap_username String, created_at DateTime64(3), updated_at DateTime64(3),
    _version UInt64, _deleted UInt8 DEFAULT 0) ENGINE = ReplacingMergeTree(_version) ORDER BY id;
CREATE TABLE {d}.crm_prostheses (id UUID, customer_id UUID, model_id Int32, chip_id String, purchased Nullable(Date32),
    _version UInt64, _deleted UInt8 DEFAULT 0) ENGINE = ReplacingMergeTree(_version) ORDER BY id;
CREATE TABLE {d}.crm_prosthesis_models (id Int32, name String, price Nullable(Decimal(10, 2)), _version UInt64, _deleted UInt8 DEFAULT 0)
    ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY id;
CREATE VIEW {d}.cdc_customer_data AS
SELECT c.id AS customer_id, c.name AS customer_name, c.email AS customer_email, c.ldap_username, p.id AS prosthesis_id, p.chip_id, m.name AS prosthesis_model
FROM {d}.crm_customers c FINAL JOIN {d}.crm_prostheses p FINAL ON c.id = p.customer_id JOIN {d}.crm_prosthesis_models m FINAL ON p.model_id = m.id
WHERE c._deleted = 0 AND p._deleted = 0
"""


def uuid(n):
    return f"550e8400-e29b-41d4-a716-{n:012x}"


class Crm:
    """The database: what it holds, and the messages that its changes are (ExtractNewRecordState, tombstones kept)."""

    def __init__(self, *, rewrites):
        self.rows = {t: {} for t in PARTITIONS}
        self.messages, self.offsets = [], {}
        self.rewrites = rewrites
        self.converter = JsonConverter(JsonConverterConfig.of(schemas_enable=False), is_key=False)

    def write(self, table, row):
        self.rows[table][row["id"]] = row
        self._send(table, row["id"], row | ({"__deleted": "false", "__op": "c", "__source_ts_ms": 1} if self.rewrites else {}))

    def delete(self, table, key):
        row = self.rows[table].pop(key)
        self._send(table, key, row | {"__deleted": "true", "__op": "d", "__source_ts_ms": 1} if self.rewrites else None)

    def _send(self, table, key, value):
        topic, partition = PREFIX + table, hash(key) % PARTITIONS[table]
        offset = self.offsets[topic, partition] = self.offsets.get((topic, partition), -1) + 1
        _, read_key = self.converter.read(topic, json.dumps({"id": key}).encode())
        _, read_value = self.converter.read(topic, None if value is None else json.dumps(value).encode())
        self.messages.append(Record(topic=topic, partition=partition, offset=offset, key=read_key, value=read_value))

    def joined(self):
        customers, models = self.rows["customers"], self.rows["prosthesis_models"]
        return sorted(
            (p["customer_id"], c["name"], c["email"], c["ldap_username"], p["id"], p["chip_id"], models[p["model_id"]]["name"])
            for p in self.rows["prostheses"].values()
            if (c := customers.get(p["customer_id"])) is not None and p["model_id"] in models
        )


def live(crm, chance, count):
    """A working day: everything is inserted, changed and deleted, and some of it comes back."""
    for _ in range(count):
        n = chance.randrange(30)
        kind = chance.choice(("customers", "prostheses", "prostheses", "prosthesis_models"))
        key = n % 6 if kind == "prosthesis_models" else uuid(n)
        if key in crm.rows[kind] and chance.random() < 0.3:
            crm.delete(kind, key)
        elif kind == "customers":
            moment = 1_704_067_200_000_000 + chance.randrange(10**12)
            crm.write(kind, {"id": key, "name": f"Иван {chance.randrange(99)}", "email": f"{n}@x", "ldap_username": f"u{n}", "created_at": moment, "updated_at": moment})
        elif kind == "prostheses":
            day = None if n % 3 else 19_000 + n
            crm.write(kind, {"id": key, "customer_id": uuid(chance.randrange(30)), "model_id": chance.randrange(6), "chip_id": f"c{chance.randrange(999)}", "purchased": day})
        else:
            crm.write(kind, {"id": key, "name": f"model {chance.randrange(99)}", "price": chance.choice((None, "AQ=="))})


@pytest.mark.parametrize("rewrites", [False, True])
async def test_the_data_mart_joins_what_the_database_holds(clickhouse, rewrites):
    d, chance = clickhouse.database, random.Random(seed := random.randrange(1 << 30))
    print(f"seed {seed}")
    for statement in TABLES.format(d=d).split(";"):
        clickhouse.command(statement)
    mapped = ",".join(f"{PREFIX}{t}={d}.crm_{t}" for t in PARTITIONS)
    crm, sent = Crm(rewrites=rewrites), 0
    for _ in range(6):
        # each time another process, which reads some of the last again
        async with clickhouse.opened("id", topic2TableMap=mapped, database="default") as sink:
            live(crm, chance, 150)
            again = crm.messages[max(0, sent - chance.randrange(50)) :]
            for record in again:
                sink.put([record])
                if chance.random() < 0.05:
                    await sink.flush()
            await sink.flush()
            sent = len(crm.messages)
        found = clickhouse.rows(f"SELECT * FROM {d}.cdc_customer_data")
        assert sorted((str(r[0]), r[1], r[2], r[3], str(r[4]), r[5], r[6]) for r in found) == crm.joined()
    due = sorted((k, r["created_at"] // 1000) for k, r in crm.rows["customers"].items())
    assert clickhouse.rows(f"SELECT toString(id) AS k, toUnixTimestamp64Milli(created_at) FROM {d}.crm_customers FINAL WHERE _deleted = 0 ORDER BY k") == due
    clickhouse.command("DROP TABLE default.pycdc_versions")
