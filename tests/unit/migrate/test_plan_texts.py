"""What inspect and plan say: no secrets, commands that a shell takes as they are, what two clusters must be."""

import json
import shlex

import pytest

from pycdc.errors import ConfigError
from pycdc.migrate import inplace, preflight, report
from pycdc.migrate.byhand import back_by_hand, lines, move_by_hand
from pycdc.migrate.capture import captured
from pycdc.migrate.decision import Decision, Step
from pycdc.migrate.endpoint import endpoint
from pycdc.migrate.judgement import Finding, Verdict, judge
from pycdc.migrate.observed import About, Info, Observed, State, Status, Task
from pycdc.migrate.survey import Surveyed
from pycdc.worker.requests import PartitionOffset

RUNNING = (Task(0, "RUNNING"),)
OLD, NEW = endpoint("http://old:8083"), endpoint("http://new:8083", option="--to")
PG = {
    "name": "shop", "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "topic.prefix": "shop", "database.hostname": "db",
    "database.user": "cdc", "database.password": "s3cret-word", "database.dbname": "shop", "poll.interval.ms": "50",
}  # fmt: skip


def surveyed(config=PG, kind="source", tasks=RUNNING, offsets=None):
    connector = Observed(name=config["name"], kind=kind, config=config, state="RUNNING", tasks=tasks, version="3.6.3.Final")
    judgement = judge(connector)
    at = [PartitionOffset({"server": "shop"}, {"lsn": 0x16B3748})] if offsets is None else offsets
    return Surveyed(connector, judgement, captured(connector, judgement.plan), at)


def test_what_a_connector_reads():
    assert surveyed().captured == {"slot": "debezium", "publication": "dbz_publication", "prefix": "shop"}
    tables = PG | {"table.include.list": "public.a", "slot.name": "s", "tombstones.on.delete": "maybe"}
    assert surveyed(tables).captured == {"slot": "s", "prefix": "shop", "tables": "public.a"}, "as given, where it is refused"
    polled = {
        "name": "polled", "connector.class": "io.confluent.connect.jdbc.JdbcSourceConnector", "connection.url": "jdbc:postgresql://db/shop",
        "mode": "incrementing", "table.whitelist": "t_orders", "topic.prefix": "pg_",
    }  # fmt: skip
    assert surveyed(polled).captured == {"prefix": "pg_", "tables": "t_orders", "mode": "incrementing"}
    sink = {"name": "copy", "connector.class": "jdbc-sink", "topics.regex": "shop.*", "consumer.override.group.id": "mine"}
    assert surveyed(sink, "sink").captured == {"topics like": "shop.*", "group": "mine"}


def test_the_table_has_a_line_for_each():
    head, shop, other = report.table([surveyed(), surveyed({"name": "x", "connector.class": "com.acme.X"}, tasks=(), offsets=[])])
    assert head.split() == ["NAME", "CLASS", "STATE", "TASKS", "POSITION", "VERDICT", "READS"]
    assert shop == "shop  PostgresConnector  RUNNING  1/1    0/16B3748  differs       slot debezium, publication dbz_publication, prefix shop"
    assert other.split()[:6] == ["x", "X", "RUNNING", "0/0", "none", "not"]


def test_the_json_has_everything_but_the_configuration():
    text = report.as_json([surveyed()])
    assert "s3cret-word" not in text
    (found,) = json.loads(text)
    assert found["verdict"] == "differs"
    assert found["findings"] == [{
        "verdict": "differs", "key": "poll.interval.ms", "text": "has no effect: the stream is waited for, not polled", "value": None,
    }]  # fmt: skip
    assert found["offsets"] == [{"partition": {"server": "shop"}, "offset": {"lsn": 0x16B3748}}]
    assert found["tasks"] == [{"id": 0, "state": "RUNNING"}]


def test_the_reasons_of_a_connector():
    failed = (Task(0, "FAILED", "org.acme.Broken: no\n\tat x"),)
    text = "\n".join(report.reasons(surveyed(tasks=failed), [Finding(Verdict.IMPOSSIBLE, "slot.name", "the new side says: no")]))
    assert text == (
        "shop: not possible\n"
        "  source io.debezium.connector.postgresql.PostgresConnector 3.6.3.Final, RUNNING, position 0/16B3748\n"
        "  reads: slot debezium, publication dbz_publication, prefix shop\n"
        "  failed: task 0: org.acme.Broken: no\n"
        "  refused: slot.name: the new side says: no\n"
        "  differs: poll.interval.ms: has no effect: the stream is waited for, not polled\n"
        "  unknown: key.converter and value.converter come from the worker: give its file with --worker"
    )


def test_commands_quote_names_and_hide_secrets(tmp_path):
    certificate = tmp_path / "a b.pem"
    certificate.touch()
    old = endpoint("https://me:s3cret@old", cacert=str(certificate))
    new = endpoint("http://new:8083", option="--to", bearer="t0ken")
    connector = Observed(name="it's a $name", kind="source", config={"name": "it's a $name"}, state="RUNNING")
    text = "\n".join(lines([*move_by_hand(connector, old, new), *back_by_hand(connector, old, new)], ""))
    assert "s3cret" not in text
    assert "t0ken" not in text
    assert f"""curl -fsS --user "$CONNECT_USER" --cacert '{certificate}' -X PUT https://old/connectors/it%27s%20a%20%24name/stop""" in text
    assert """curl -fsS -H "Authorization: Bearer $CONNECT_TO_TOKEN" -X PUT http://new:8083/connectors/it%27s%20a%20%24name/resume""" in text
    found = surveyed({**PG, "name": "it's"})
    command = next(line for line in report.steps(found, Decision((Step.CREATE,)), old, new) if "pycdc migrate apply" in line)
    assert shlex.split(command) == [
        "pycdc", "migrate", "apply", "https://old", "--user", "${env:CONNECT_USER}", "--cacert", str(certificate), "--to", "http://new:8083",
        "--to-bearer", "${env:CONNECT_TO_TOKEN}", "--connector", "it's",
    ]  # fmt: skip


@pytest.mark.parametrize(("state", "last"), [("RUNNING", "resume"), ("PAUSED", "pause"), ("STOPPED", None)])
def test_by_hand_it_ends_as_it_was(state, last):
    connector = Observed(name="n", kind="sink", config={}, state=state)
    text = "\n".join(lines(move_by_hand(connector, OLD, NEW, has_positions=False), ""))
    assert [w for w in ("resume", "pause") if f"http://new:8083/connectors/n/{w}" in text] == ([last] if last else [])
    assert "PATCH" not in text, "an empty list is refused"


@pytest.mark.parametrize(
    ("version", "found"), [("4.1.1", (4, 1)), ("7.7.0-ccs", (3, 7)), ("8.0.1-ce", (4, 0)), ("3.9.0.redhat-1", (3, 9)), ("pycdc", None), ("0.1.0", None)]
)
def test_releases(version, found):
    assert preflight.release(About(version)) == found


def test_what_two_clusters_must_be():
    new = About("4.1.1", kafka_cluster_id="x")
    assert list(preflight.obstacles(new, new)) == []
    assert "3.4.0: Connect can stop" in next(iter(preflight.obstacles(About("3.4.0"), new)))
    assert "the new side is release 3.6.1" in next(iter(preflight.obstacles(new, About("3.6.1"))))
    sink, source = Observed(name="n", kind="sink", config={}), Observed(name="n", kind="source", config={})
    other = About("4.1.1", kafka_cluster_id="y")
    assert "different Kafka clusters" in (preflight.obstacle(sink, new, other) or "")
    assert preflight.obstacle(sink, new, new) is None
    assert preflight.obstacle(sink, new, About("4.1.1")) is None
    assert preflight.obstacle(source, new, other) is None
    assert "go on in the new one" in (preflight.remark(source, new, other) or "")
    own = Observed(name="n", kind="sink", config={"consumer.override.bootstrap.servers": "k:9092"})
    assert preflight.obstacle(own, new, other) is None


def test_a_takeover_in_place_needs_the_whole_file():
    with pytest.raises(ConfigError) as error:
        inplace.require_worker(None, None)
    assert error.value.faults[0].key == "--worker"
    with pytest.raises(ConfigError) as error:
        inplace.require_worker({"bootstrap.servers": "k", "group.id": "g"}, "w.properties")
    assert [f.key for f in error.value.faults] == ["config.storage.topic", "offset.storage.topic", "status.storage.topic"]


def test_states_of_a_connector():
    info = Info("n", {"topics": "a", "gone": None}, "unknown")
    seen = Observed.of(info, Status(State("RUNNING"), [Task(0, "FAILED", ""), Task(1, "RUNNING")]))
    assert (seen.kind, seen.config, seen.works, seen.wish) == ("sink", {"topics": "a", "name": "n"}, False, "RUNNING")
    assert seen.failure == "task 0: FAILED, without a trace"
    trace = "a.B: no\n\tat x\nCaused by: c.D: row 7\n\tat y\nCaused by: e.F: row 7\n\tat z\n"
    assert Observed.of(info, Status(State("FAILED", trace))).failure == "a.B: no (caused by e.F)"
    assert not Observed.of(info, Status(State("STOPPED"), [Task(0, "UNASSIGNED")])).at_rest
    assert Observed.of(info, Status(State("STOPPED"))).at_rest
