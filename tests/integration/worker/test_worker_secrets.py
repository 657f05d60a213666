"""Secrets of connectors: looked up when they are needed, echoed as they are written, and never seen anywhere."""

from __future__ import annotations

import signal

import psycopg
import pytest
from worker_process import WorkerProcess, settings

FIRST, SECOND, WRONG = "f1rst-w0rd-of-cdc", "s3cond-w0rd-of-cdc", "wr0ng-w0rd-of-cdc"
SINK = {
    "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "topics": "t", "connection.url": "jdbc:postgresql://127.0.0.1:1/x",
    "connection.username": "u",
}  # fmt: skip


@pytest.fixture
def guarded(private_postgres):
    """A server that wants a password of its role `cdc`; sets it."""
    with psycopg.connect(private_postgres.dsn(), autocommit=True) as conn:
        conn.execute(f"SET password_encryption = 'scram-sha-256'; CREATE ROLE cdc SUPERUSER LOGIN REPLICATION PASSWORD '{FIRST}'")
        conn.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
        rules = "local all all trust\nhost all cdc 127.0.0.1/32 scram-sha-256\nhost replication cdc 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
        (private_postgres.data / "pg_hba.conf").write_text(rules)
        conn.execute("SELECT pg_reload_conf()")

    def change(password):
        with psycopg.connect(private_postgres.dsn(), autocommit=True) as conn:
            conn.execute(f"SET password_encryption = 'scram-sha-256'; ALTER ROLE cdc PASSWORD '{password}'")

    return change


def test_secrets_are_looked_up_late_and_never_seen(kafka, private_postgres, guarded, tmp_path, names):
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "base").write_text("postgres\n")
    vault = tmp_path / "vault.properties"
    vault.write_text(f"password={FIRST}\n")
    provider = "org.apache.kafka.common.config.provider"
    given = settings(
        kafka, names.base, config__providers="file,env,dir,vault", config__providers__file__class=f"{provider}.FileConfigProvider",
        config__providers__env__class=f"{provider}.EnvVarConfigProvider", config__providers__dir__class=f"{provider}.DirectoryConfigProvider",
        config__providers__vault__class=f"{provider}.FileConfigProvider",
    )  # fmt: skip
    source = {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "topic.prefix": names.prefix, "plugin.name": "pgoutput",
        "database.hostname": "127.0.0.1", "database.port": str(private_postgres.port), "database.user": "${env:PYCDC_TEST_ROLE}",
        "database.password": f"${{vault:{vault}:password}}", "database.dbname": f"${{dir:{tmp_path}/dir:base}}", "slot.name": names.slot,
        "publication.name": names.publication, "retriable.restart.connector.wait.ms": "100", "errors.max.retries": "0",
    }  # fmt: skip
    with WorkerProcess(tmp_path / "w", given, "--log-level", "debug", env={"PYCDC_TEST_ROLE": "cdc"}) as worker:

        def restarted(*states):
            assert worker.call("POST", "/connectors/c/tasks/0/restart")[0] == 204
            worker.until(lambda: worker.states("c") == list(states))

        def trace():
            return worker.call("GET", "/connectors/c/tasks/0/status")[1].get("trace", "")

        worker.until_healthy()
        assert worker.call("POST", "/connectors", {"name": "c", "config": source})[0] == 201
        worker.until(lambda: worker.states("c") == ["RUNNING", "RUNNING"])
        echoed = {**source, "name": "c"}
        assert worker.call("GET", "/connectors/c")[1]["config"] == echoed
        assert worker.call("GET", "/connectors/c/config")[1] == echoed
        assert worker.call("GET", "/connectors?expand=info&expand=status")[1]["c"]["info"]["config"] == echoed
        ((task,),) = (worker.call("GET", "/connectors/c/tasks")[1],)
        assert task["config"].items() >= echoed.items()
        form = worker.call("PUT", "/connector-plugins/PostgresConnector/config/validate", echoed)[1]
        assert form["error_count"] == 0

        # a restart asks again: first the database has another password, then the file has it, too
        guarded(SECOND)
        assert worker.call("POST", "/connectors/c/tasks/0/restart")[0] == 204
        worker.until(lambda: "password authentication failed" in trace())
        status, answer = worker.call("PUT", "/connectors/c/config", source)
        assert status == 400
        assert "password authentication failed" in answer["message"]
        vault.write_text(f"password={SECOND}\n")
        restarted("RUNNING", "RUNNING")
        worker.until(lambda: not trace())

        # it is gone
        vault.write_text(f"other={WRONG}\n")
        restarted("RUNNING", "FAILED")
        assert f"the file {vault} has no key password" in trace()
        assert f"${{vault:{vault}:password}}" in trace()
        vault.unlink()
        assert worker.call("POST", "/connectors/c/tasks/0/restart")[0] == 204
        worker.until(lambda: "no such file" in trace())
        assert worker.call("PUT", "/connectors/c/config", source)[0] == 400
        worker.call("PUT", "/connector-plugins/PostgresConnector/config/validate", echoed)
        vault.write_text(f"password={SECOND}\n")
        restarted("RUNNING", "RUNNING")
        for path in ("/connectors/c/status", "/connectors/c/offsets", "/connectors/c/topics", "/metrics", "/health/cdc", "/admin/loggers", "/"):
            assert worker.call("GET", path)[0] == 200
        assert worker.call("PUT", "/connectors/c/stop")[0] == 204
        worker.signal(signal.SIGTERM)
        assert worker.code(10) == 0
    everything = worker.log.read_text() + "".join(worker.answers)
    for secret in (FIRST, SECOND, WRONG):
        assert secret not in everything


@pytest.fixture
def strict(kafka, tmp_path, names):
    with WorkerProcess(tmp_path / "w", settings(kafka, names.base), "--forbid-plain-secrets", env={"PYCDC_TEST_WORD": FIRST}) as worker:
        worker.until_healthy()
        yield worker
    assert FIRST not in worker.log.read_text() + "".join(worker.answers)
    assert SECOND not in worker.log.read_text()


@pytest.mark.parametrize(("open_", "key"), [
    ({"connection.password": SECOND}, "connection.password"), ({"consumer.override.sasl.jaas.config": f'x required password="{SECOND}";'}, "consumer.override.sasl.jaas.config"),
    ({"connection.url": f"jdbc:postgresql://127.0.0.1:1/x?user=u&password={SECOND}"}, "connection.url"), ({"value.converter.basic.auth.user.info": f"u:{SECOND}"}, "value.converter.basic.auth.user.info"),
    ({"connection.url": f"jdbc:postgresql://u:{SECOND}@127.0.0.1:1/x"}, "connection.url"),
], ids=["password", "jaas", "url", "registry", "user of a url"])  # fmt: skip
def test_secrets_that_lie_open_are_refused(strict, open_, key):
    hidden = {**SINK, "connection.password": "${env:PYCDC_TEST_WORD}"}
    wrong = {**hidden, **open_}
    for method, path, body in (("POST", "/connectors", {"name": "c", "config": wrong}), ("PUT", "/connectors/c/config", wrong)):
        status, answer = strict.call(method, path, body)
        assert status == 400
        assert f"{key} lies open in the configuration" in answer["message"]
        assert SECOND not in answer["message"]
    form = strict.call("PUT", "/connector-plugins/JdbcSinkConnector/config/validate", wrong)[1]
    assert [e["value"]["name"] for e in form["configs"] if any("lies open" in m for m in e["value"]["errors"])] == [key]
    assert form["error_count"] >= 1
    assert strict.call("GET", "/connectors") == (200, [])
    # by reference it is made; a change that opens it is refused
    assert strict.call("POST", "/connectors", {"name": "c", "config": hidden})[0] == 201
    status, answer = strict.call("PATCH", "/connectors/c/config", open_)
    assert status == 400
    assert f"{key} lies open" in answer["message"]
    assert strict.call("GET", "/connectors/c/config")[1] == {**hidden, "name": "c"}
    assert strict.call("DELETE", "/connectors/c")[0] == 204


def test_a_connector_from_a_file_is_refused_as_well(tmp_path, kafka, names):
    file = tmp_path / "c.properties"
    file.write_text("".join(f"{k}={v}\n" for k, v in {**SINK, "name": "c", "connection.password": SECOND}.items()))
    given = {"bootstrap.servers": kafka, "offset.storage.file.filename": str(tmp_path / "offsets")}
    with WorkerProcess(tmp_path / "w", given, "--forbid-plain-secrets", "--standalone", str(file)) as worker:
        assert worker.code(30) == 2
    (fault,) = worker.lines("error")
    assert [f["key"] for f in fault["faults"]] == ["connection.password"]
    assert SECOND not in worker.log.read_text()
