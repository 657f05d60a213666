"""Scenario C's stack: a CRM's database, the connector of its users, and the tables that they have in ClickHouse."""

CONNECTOR = {
    "name": "crm-connector",
    "config": {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "database.hostname": "crm_db", "database.port": "5432",
        "database.user": "debezium_user", "database.password": "debezium_password", "database.dbname": "crm_db",
        "database.server.name": "crm", "schema.include.list": "crm",
        "table.include.list": "crm.customers,crm.prostheses,crm.prosthesis_models", "plugin.name": "pgoutput",
        "publication.name": "crm_publication", "slot.name": "debezium_crm_slot", "topic.prefix": "crm",
        "key.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "key.converter.schemas.enable": "false", "value.converter.schemas.enable": "false", "transforms": "unwrap",
        "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState", "transforms.unwrap.drop.tombstones": "true",
        "topic.creation.default.replication.factor": "1", "topic.creation.default.partitions": "3",
        "topic.creation.default.retention.ms": "604800000", "topic.creation.groups": "models",
        "topic.creation.models.include": r".*\.prosthesis_models", "topic.creation.models.partitions": "1",
    },
}  # fmt: skip
#: What the document's tables in ClickHouse need. Without `add.fields` and `rewrite` deletes are not seen and rows have no version.
#: Texts: no JSONEachRow reads a decimal's bytes, and since 26.8 it takes a whole number for a DateTime64 as seconds, not as milliseconds.
FOR_VIEWS = {
    "transforms.unwrap.add.fields": "op,source.ts_ms", "transforms.unwrap.delete.tombstone.handling.mode": "rewrite",
    "decimal.handling.mode": "string", "time.precision.mode": "isostring",
}  # fmt: skip

# REPLICA IDENTITY FULL: else a delete's row has "" for the customer, which ClickHouse's JSONEachRow does not take for a UUID
DATABASE = """
CREATE SCHEMA crm;
CREATE TABLE crm.customers (id uuid PRIMARY KEY, name text NOT NULL, email text NOT NULL, ldap_username text NOT NULL,
    created_at timestamp(3) NOT NULL DEFAULT clock_timestamp(), updated_at timestamp(3) NOT NULL DEFAULT clock_timestamp());
CREATE TABLE crm.prosthesis_models (id int PRIMARY KEY, name text NOT NULL, price numeric(10, 2));
CREATE TABLE crm.prostheses (id uuid PRIMARY KEY, customer_id uuid NOT NULL REFERENCES crm.customers, model_id int NOT NULL REFERENCES crm.prosthesis_models,
    chip_id text NOT NULL);
ALTER TABLE crm.prostheses REPLICA IDENTITY FULL;
CREATE PUBLICATION crm_publication FOR TABLE crm.customers, crm.prostheses, crm.prosthesis_models
"""
TABLES = ("customers", "prostheses", "prosthesis_models")
COLUMNS = {
    "customers": "id UUID, name String, email String, ldap_username String, created_at DateTime64(3), updated_at DateTime64(3)",
    "prostheses": "id UUID, customer_id UUID, model_id Int32, chip_id String",
    "prosthesis_models": "id Int32, name String, price Nullable(Decimal(10, 2))",
}
#: The join of the data mart, in ClickHouse's words and in PostgreSQL's.
MART = (
    "SELECT c.id AS customer_id, c.name AS customer_name, c.email AS customer_email, c.ldap_username, p.id AS prosthesis_id, p.chip_id, m.name AS prosthesis_model "
    "FROM {0}customers c{1} JOIN {0}prostheses p{1} ON c.id = p.customer_id JOIN {0}prosthesis_models m{1} ON p.model_id = m.id"
)


def warehouse(database, *, engine):
    """The document's database in ClickHouse: targets of `engine`, and the view that joins them."""
    made = [f"CREATE DATABASE {database}"]
    made += [f"CREATE TABLE {database}.crm_{t} ({COLUMNS[t]}, _version UInt64, _deleted UInt8 DEFAULT 0) ENGINE = {engine} ORDER BY id" for t in TABLES]
    made.append(f"CREATE VIEW {database}.cdc_customer_data AS {MART.format(f'{database}.crm_', ' FINAL')} WHERE c._deleted = 0 AND p._deleted = 0")
    return made


def intake(database):
    """The document's tables before Kafka's topics, but for their engine, and its views behind them."""
    for t in TABLES:
        columns = [c.split()[0] for c in COLUMNS[t].replace("(10, 2)", "").split(", ")]
        yield f"CREATE TABLE {database}.kafka_crm_{t} ({COLUMNS[t]}, __op String, __source_ts_ms Int64) ENGINE = Null"
        yield (
            f"CREATE MATERIALIZED VIEW {database}.mv_kafka_{t} TO {database}.crm_{t} AS SELECT {', '.join(columns)}, __source_ts_ms AS _version, "
            f"CASE WHEN __op = 'd' THEN 1 ELSE 0 END AS _deleted FROM {database}.kafka_crm_{t}"
        )
