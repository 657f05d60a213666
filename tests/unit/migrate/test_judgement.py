"""What pycdc says of connectors that people have: the same, what differs and why, why not at all."""

import pytest

from pycdc.kafka.checks import client_checks
from pycdc.migrate.judgement import Verdict, judge
from pycdc.migrate.observed import Observed

PG = {
    "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "plugin.name": "pgoutput", "tasks.max": "1", "topic.prefix": "shop",
    "database.hostname": "db", "database.port": "5432", "database.user": "cdc", "database.password": "s3cret-word", "database.dbname": "shop",
    "table.include.list": "public.orders", "slot.name": "shop", "publication.name": "shop_pub", "snapshot.mode": "initial",
}  # fmt: skip
JDBC = {
    "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "topics": "shop.public.orders", "connection.url": "jdbc:postgresql://db/mart",
    "connection.username": "u", "connection.password": "s3cret-word", "insert.mode": "upsert", "primary.key.mode": "record_key",
}  # fmt: skip
CONFLUENT = {
    "connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector", "topics": "orders", "connection.url": "jdbc:postgresql://db/mart",
    "connection.user": "u", "connection.password": "s3cret-word", "insert.mode": "upsert", "pk.mode": "record_key", "auto.create": "true",
}  # fmt: skip
POLLED = {
    "connector.class": "io.confluent.connect.jdbc.JdbcSourceConnector", "connection.url": "jdbc:postgresql://db/shop", "connection.user": "u",
    "connection.password": "s3cret-word", "mode": "timestamp+incrementing", "timestamp.column.name": "at", "table.whitelist": "t_orders",
    "topic.prefix": "pg_", "poll.interval.ms": "5000", "numeric.mapping": "best_fit", "tasks.max": "2",
}  # fmt: skip
AVRO = {
    f"{side}.converter{key}": value for side in ("key", "value")
    for key, value in (("", "io.confluent.connect.avro.AvroConverter"), (".schema.registry.url", "http://registry:8081"))
}  # fmt: skip
WORKER = {
    "bootstrap.servers": "kafka:9092", "group.id": "connect", "config.storage.topic": "c", "offset.storage.topic": "o", "status.storage.topic": "s",
    "key.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "key.converter.schemas.enable": "false", "plugin.path": "/plugins", "scheduled.rebalance.max.delay.ms": "0", "rest.port": "8083",
}  # fmt: skip
JSON = {"key.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter": "org.apache.kafka.connect.json.JsonConverter"}
REGISTERED = {
    "value.converter": "io.confluent.connect.json.JsonSchemaConverter", "value.converter.schema.registry.url": "http://registry:8081",
    "value.converter.object.additional.properties": "false",
}  # fmt: skip
PROTOBUF = {
    "value.converter": "io.confluent.connect.protobuf.ProtobufConverter", "value.converter.schema.registry.url": "http://registry:8081",
    "value.converter.optional.for.nullables": "true",
}  # fmt: skip
UNWRAP = {
    "transforms": "unwrap,route", "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
    "transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter", "transforms.route.regex": ".*", "transforms.route.replacement": "x",
}  # fmt: skip


def judged(config, kind="source", worker=WORKER, version=""):
    connector = Observed(name="n", kind=kind, config={**config, "name": "n"}, version=version)
    judgement = judge(connector, worker, checks=client_checks())
    assert "s3cret-word" not in str(judgement.findings)
    return judgement


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (PG, "source"), (PG | UNWRAP, "source"), (PG | JSON, "source"), (PG | REGISTERED, "source"), (JDBC | REGISTERED, "sink"), (PG | PROTOBUF, "source"), (JDBC | PROTOBUF, "sink"), (JDBC, "sink"), (CONFLUENT, "sink"), (JDBC | UNWRAP, "sink"),
        (PG | {"producer.override.compression.type": "lz4", "errors.tolerance": "none", "heartbeat.interval.ms": "1000"}, "source"),
        (PG | {"topic.creation.default.replication.factor": "1", "topic.creation.default.partitions": "3"}, "source"),
        (JDBC | {"errors.tolerance": "all", "errors.deadletterqueue.topic.name": "dead", "consumer.override.max.poll.records": "500"}, "sink"),
        ({k: v for k, v in JDBC.items() if k != "topics"} | {"topics.regex": "shop.*"}, "sink"),
        (POLLED, "source"), (POLLED | AVRO, "source"), (PG | AVRO, "source"), (CONFLUENT | AVRO, "sink"),
        (PG | {"exactly.once.support": "requested"}, "source"), (PG | {"pycdc.migrate": "RUNNING"}, "source"),
    ],
)  # fmt: skip
def test_the_same(config, kind):
    judgement = judged(config, kind)
    assert (judgement.verdict, judgement.findings, judgement.checks) == (Verdict.SAME, (), ())
    assert judgement.plan is not None


@pytest.mark.parametrize(
    ("config", "kind", "key", "words"),
    [
        (PG | {"poll.interval.ms": "50"}, "source", "poll.interval.ms", "no effect"),
        (PG | {"tabel.include.list": "public.a"}, "source", "", "did you mean table.include.list?"),
        (PG | {"errors.retry.timeout": "1000"}, "source", "errors.retry.timeout", "no effect"),
        (POLLED | {"transaction.isolation.mode": "READ_COMMITTED"}, "source", "transaction.isolation.mode", "each poll reads one snapshot"),
        (PG | {"config.action.reload": "none"}, "source", "config.action.reload", "no effect"),
        (PG | {"value.converter.schemas.enable": "false"}, "source", "", "value.converter is not given beside it"),
        (PG | {"database.password": "${file:/no/such/file:pw}"}, "source", "database.password", "must be there where pycdc runs"),
        (PG | {"database.port": "${file:/no/such/file:port}"}, "source", "database.port", "must be there where pycdc runs"),
        (PG | {"database.user": "${env:NO_SUCH_VARIABLE}"}, "source", "database.user", "must be there where pycdc runs"),
    ],
)  # fmt: skip
def test_it_differs_and_why(config, kind, key, words):
    judgement = judged(config, kind)
    assert judgement.verdict == Verdict.DIFFERS
    (finding,) = judgement.findings
    assert key in str(finding)
    assert words in str(finding)
    assert judgement.plan is not None, "the rest is judged as if it were there"


@pytest.mark.parametrize(
    ("config", "kind", "key", "words"),
    [
        (PG | {"connector.class": "io.debezium.connector.mysql.MySqlConnector"}, "source", "connector.class", "is no known source class"),
        ({"connector.class": "io.aiven.kafka.connect.s3.AivenKafkaConnectS3SinkConnector", "topics": "a"}, "sink", "connector.class", "is no known sink"),
        (PG | {"value.converter": "com.acme.ProtoConverter"}, "source", "value.converter", "is no known converter class"),
        (PG | {"value.converter": "io.confluent.connect.protobuf.ProtobufConverter"}, "source", "value.converter.schema.registry.url", "is required"),
        (PG | {"transforms": "a", "transforms.a.type": "com.acme.Mask"}, "source", "transforms.a.type", "is no known transform class"),
        (PG | {"transforms": "a"}, "source", "transforms.a.type", "is required"),
        (PG | {"predicates": "p", "predicates.p.type": "com.acme.Is"}, "source", "predicates.p.type", "is no known predicate"),
        (PG | {"exactly.once.support": "required"}, "source", "exactly.once.support", "not yet available"),
        (PG | {"snapshot.mode": "custom"}, "source", "snapshot.mode", ""),
        (PG | {"database.password": "${vault:secret/db:pw}"}, "source", "database.password", "config provider 'vault'"),
        (POLLED | {"connection.url": "jdbc:oracle:thin:@db:1521/x"}, "source", "connection.url", "must be jdbc:"),
        (JDBC | {"topics.regex": "a"}, "sink", "topics.regex", "together with topics"),
        ({k: v for k, v in JDBC.items() if k != "topics"}, "sink", "topics", "is required"),
        (JDBC | {"connection.url": "jdbc:oracle:thin:@db:1521/x"}, "sink", "connection.url", ""),
    ],
)  # fmt: skip
def test_it_is_not_possible_and_why(config, kind, key, words):
    judgement = judged(config, kind, worker=WORKER | {"config.providers": "vault", "config.providers.vault.class": "com.acme.Vault"})
    assert judgement.verdict == Verdict.IMPOSSIBLE
    refused = [f for f in judgement.findings if f.verdict == Verdict.IMPOSSIBLE]
    assert [f.key for f in refused] == [key]
    assert words in refused[0].text


def test_every_reason_is_told_the_weightiest_first():
    judgement = judged(PG | {"exactly.once.support": "required", "tombstones.on.delete": "maybe", "database.password": "${file:/no/such:pw}"})
    assert [(f.verdict, f.key) for f in judgement.findings] == [
        (Verdict.IMPOSSIBLE, "exactly.once.support"), (Verdict.IMPOSSIBLE, "tombstones.on.delete"), (Verdict.DIFFERS, "database.password"),
    ]  # fmt: skip
    assert str(judgement.findings[1]).startswith("tombstones.on.delete = maybe: must be")


def test_a_reference_to_a_provider_of_ours_under_another_name():
    worker = WORKER | {"config.providers": "secrets", "config.providers.secrets.class": "org.apache.kafka.common.config.provider.EnvVarConfigProvider"}
    (finding,) = judged(PG | {"database.user": "${secrets:NO_SUCH_VARIABLE}"}, worker=worker).findings
    assert "NO_SUCH_VARIABLE is not set" in finding.text


def test_a_text_that_only_looks_like_a_reference_is_text():
    assert judged(JDBC | {"collection.name.format": "${x:y}"}, "sink").verdict == Verdict.SAME


def test_without_the_workers_file_the_connector_is_not_blamed_for_it():
    judgement = judged(PG, worker=None)
    assert judgement.verdict == Verdict.SAME
    assert judgement.checks == ("key.converter and value.converter come from the worker: give its file with --worker",)
    assert judged(PG | JSON, worker=None).checks == ()
    unknown = judged(PG | JSON | {"database.password": "${vault:a:b}"}, worker=None)
    assert unknown.verdict == Verdict.IMPOSSIBLE
    assert "give its --worker FILE" in unknown.findings[0].text


def test_what_the_worker_promises_and_pycdc_does_not_have():
    (finding,) = judged(PG, worker=WORKER | {"exactly.once.source.support": "enabled"}).findings
    assert (finding.verdict, finding.key) == (Verdict.IMPOSSIBLE, "exactly.once.source.support")


def test_another_release_of_debezium_writes_other_events():
    (finding,) = judged(PG, version="2.7.4.Final").findings
    assert finding.verdict == Verdict.DIFFERS
    assert "Debezium 2.7.4.Final runs there" in finding.text
    assert judged(PG, version="3.6.0.Final").verdict == Verdict.SAME
    assert judged(JDBC, "sink", version="2.7.4.Final").verdict == Verdict.SAME
