"""A client that others wrote and users have, kafka-connect-py with its command `kc`, against our worker."""

import json
import subprocess
import sys

import psycopg
import pytest

from pycdc.servers.process import wait_for
from pycdc.testing.rest import Rest

library = pytest.importorskip("kafka_connect", reason="pip install kafka-connect-py")
#: They share the Connect workers.
pytestmark = pytest.mark.xdist_group("connect-rest")

POSTGRES = "io.debezium.connector.postgresql.PostgresConnector"


@pytest.fixture
def kc(connect):
    """Its command line; what it prints, as JSON where it is."""

    def run(*arguments):
        command = [sys.executable, "-c", "from kafka_connect.cli import cli; cli()", "--url", connect.urls[0], *arguments]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return json.loads(printed) if printed.startswith(("{", "[", "null")) else printed

    return run


@pytest.fixture
def rest(connect):
    return Rest(connect.urls[0])


@pytest.fixture
def config(postgres_db, names):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
        conn.execute("CREATE TABLE a(id int PRIMARY KEY); INSERT INTO a VALUES (1)")
    return {
        "connector.class": POSTGRES, "database.hostname": postgres_db.host, "database.port": str(postgres_db.port), "database.user": postgres_db.user,
        "database.dbname": postgres_db.dbname, "topic.prefix": names.prefix, "slot.name": names.slot, "publication.name": names.publication,
    }  # fmt: skip


def test_kc_runs_a_connector(kc, rest, config, names):
    name = names.base
    assert kc("info").keys() == {"version", "commit", "kafka_cluster_id"}
    assert POSTGRES in {p["class"] for p in kc("list-plugins")}
    assert kc("list") == []
    created = kc("create", "--config-data", json.dumps({"name": name, "config": config}))
    assert created == {"name": name, "config": {**config, "name": name}, "tasks": [], "type": "source"}
    rest.until_state(name, "RUNNING", ["RUNNING"])
    assert kc("list") == [name]
    assert kc("list", "--expand", "status", "--state", "running")[name]["status"]["tasks"][0]["state"] == "RUNNING"
    assert kc("get", name)["tasks"] == [{"connector": name, "task": 0}]
    assert kc("config", name) == {**config, "name": name}
    assert kc("pause", name) == ""
    rest.until_state(name, "PAUSED", ["PAUSED"])
    assert list(kc("list", "--state", "paused")) == [name]
    assert kc("resume", "--all", "--pattern", name) == ""
    rest.until_state(name, "RUNNING", ["RUNNING"])
    assert kc("restart", name)["name"] == name
    assert kc("restart", name, "--include-tasks")["connector"]["state"] in ("RUNNING", "RESTARTING", "UNASSIGNED")
    rest.until_state(name, "RUNNING", ["RUNNING"])
    assert kc("restart-task", name, "0") is None
    rest.until_state(name, "RUNNING", ["RUNNING"])
    assert kc("task-status", name, "0")["id"] == 0
    assert kc("list-tasks", name)[0]["config"]["slot.name"] == names.slot
    assert kc("update", name, "--config-data", json.dumps({**config, "poll.interval.ms": "300"}))["config"]["poll.interval.ms"] == "300"
    wait_for(lambda: rest.done("GET", f"/connectors/{name}/topics")[name]["topics"], 30, "no topic is told")
    assert kc("list-topics", name)[name]["topics"] == [f"{names.prefix}.public.a"]
    assert kc("delete", name) == ""
    rest.until(name, lambda status: status is None)
    assert "404 Client Error" in kc("status", name)


def test_its_library_validates(connect, config, names):
    client = library.KafkaConnect(connect.urls[0])
    assert client.validate_connector_config(POSTGRES, {**config, "name": names.base})["error_count"] == 0
    wrong = client.validate_connector_config("PostgresConnector", {"connector.class": POSTGRES, "name": names.base})
    named = {c["value"]["name"] for c in wrong["configs"] if c["value"]["errors"]}
    assert named >= {"database.hostname", "topic.prefix"}


def test_it_is_told_what_is_wrong(kc, connect, config, names):
    """It shows the status line; the reason is in the body."""
    refused = kc("create", "--config-data", json.dumps({"name": names.base, "config": {**config, "snapshot.mode": "sometimes"}}))
    assert "400 Client Error" in refused
    assert Rest(connect.urls[0]).status(names.base) is None
