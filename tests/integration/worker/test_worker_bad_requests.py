"""What clients send by mistake, to a real worker: each is answered with what is wrong, and nothing else happens."""

from __future__ import annotations

import json
import signal
from urllib.parse import quote

import pytest
from worker_process import WorkerProcess, settings

#: One after another on one pytest worker: they share a Connect worker.
pytestmark = pytest.mark.xdist_group("bad-requests")

SINK = {
    "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "topics": "no-such-topic-of-bad-requests", "connection.url": "jdbc:postgresql://127.0.0.1:1/x",
    "connection.username": "u", "connection.password": "s3cret-word",
}  # fmt: skip
DEEP = b'{"a":' * 100_000


@pytest.fixture(scope="module")
def worker(stack, tmp_path_factory):
    with WorkerProcess(tmp_path_factory.mktemp("bad") / "w", settings(stack.kafka, "bad-requests")) as worker:
        worker.until_healthy()
        yield worker
        assert worker.call("GET", "/connectors") == (200, [])
        worker.signal(signal.SIGTERM)
        assert worker.code(10) == 0
    log = worker.log.read_text()
    assert "Traceback" not in log
    assert "could not be answered" not in log
    assert "s3cret-word" not in log


@pytest.mark.parametrize(("method", "path", "body", "status", "message"), [
    ("POST", "/connectors", b"", 400, "no JSON"), ("POST", "/connectors", b"{", 400, "line 1, column"), ("POST", "/connectors", b"[]", 400, "a list, no object"),
    ("POST", "/connectors", b"null", 400, "null"), ("POST", "/connectors", b'"\xff"', 400, "no JSON"), ("POST", "/connectors", DEEP, 400, "no JSON"),
    ("POST", "/connectors", b'{"config": {"a": 1e999}}', 400, ""), ("POST", "/connectors", b'{"config": {"a": NaN}}', 400, "NaN"), ("POST", "/connectors", {"name": "c"}, 400, "config"),
    ("POST", "/connectors", {"name": "c", "config": []}, 400, "config"), ("POST", "/connectors", {"name": {}, "config": SINK}, 400, "name"),
    ("POST", "/connectors", {"name": "c", "config": {"a": {}}}, 400, "an object"), ("POST", "/connectors", {"name": "c", "config": {}}, 400, "contains no connector type"),
    ("POST", "/connectors", {"name": "c", "config": {"connector.class": "no.Such"}}, 400, "no.Such"), ("POST", "/connectors", {"name": "c", "config": {"connector.class": ""}}, 400, ""),
    ("POST", "/connectors", {"name": "c", "config": {**SINK, "name": "other"}}, 400, "doesn't match"), ("POST", "/connectors", {"name": "", "config": SINK}, 400, "name"),
    ("POST", "/connectors", {"name": "a\nb", "config": SINK}, 400, "name"), ("POST", "/connectors", {"name": "c", "config": SINK, "initial_state": "FLYING"}, 400, "initial_state"),
    ("POST", "/connectors", b'{"name": "\\ud800", "config": {}}', 400, "half a character"), ("POST", "/connectors", {"name": "c", "config": {**SINK, "tasks.max": "many"}}, 400, "tasks.max"),
    ("POST", "/connectors", {"name": "c", "config": {**SINK, "value.converter": "no.Such"}}, 400, "value.converter"),
    ("PUT", "/connectors/c/config", b"5", 400, "a number"), ("PUT", "/connectors/c/config", {**SINK, "name": "other"}, 400, "doesn't match"),
    ("PATCH", "/connectors/nobody/config", {}, 404, "nobody"), ("PATCH", "/connectors/nobody/offsets", {"offsets": 5}, 400, "no list"),
    ("PATCH", "/connectors/nobody/offsets", {"offsets": [5]}, 400, "no object"), ("PATCH", "/connectors/nobody/offsets", {"offsets": [{"partition": {}, "offset": {}}]}, 404, "nobody"),
    ("DELETE", "/connectors/nobody", None, 404, "nobody"), ("GET", "/connectors/%F0%9F%98%80", None, 404, "😀"), ("GET", "/connectors/a%2Fb/status", None, 400, "ambiguous"),
    ("PUT", "/connectors/nobody/pause", None, 404, "nobody"), ("PUT", "/connectors/nobody/stop", None, 404, "nobody"), ("POST", "/connectors/nobody/restart", None, 404, "nobody"),
    ("POST", "/connectors/nobody/restart?includeTasks=perhaps&onlyFailed=true", None, 404, "nobody"), ("POST", "/connectors/nobody/tasks/0/restart", None, 404, "nobody"),
    ("GET", "/connectors/nobody/tasks/99999999999999999999/status", None, 404, ""), ("GET", "/connectors/nobody/tasks/-1/status", None, 404, "nobody--1"),
    ("PUT", "/connector-plugins/no.Such/config/validate", {"connector.class": "no.Such"}, 400, "no.Such"), ("PUT", "/connector-plugins/JdbcSink/config/validate", b"[", 400, "no JSON"),
    ("PUT", "/connector-plugins/Postgres/config/validate", SINK, 400, "does not match"), ("GET", "/connector-plugins/no.Such/config", None, 404, "Unknown plugin no.Such."),
    ("PUT", "/admin/loggers/root", {"level": "LOUD"}, 404, "LOUD"), ("PUT", "/admin/loggers/root", {"level": {}}, 400, "level"), ("PUT", "/admin/loggers/root?scope=cluster", {}, 400, "level"),
    ("GET", "/admin/loggers/nobody", None, 404, "nobody"),
])  # fmt: skip
def test_mistakes(worker, method, path, body, status, message):
    found, answer = worker.call(method, path, body)
    assert (found, answer["error_code"]) == (status, status), answer
    assert message in answer["message"]
    assert answer.keys() == {"error_code", "message"}
    assert "s3cret-word" not in answer["message"]
    assert "Traceback" not in answer["message"]


@pytest.mark.parametrize("name", ["a/b", "a%2Fb", "jа ✓ 😀", "a+b c", "..", "a;b=c", "%", 'q"q', "x" * 300, "a:connector-b", "-1", "config"])
def test_names_of_any_kind(worker, name):
    """Made, seen, changed and deleted under the same name."""
    path = f"/connectors/{quote(name, safe='')}"
    status, answer = worker.call("POST", "/connectors", {"name": name, "config": SINK, "initial_state": "STOPPED"})
    assert (status, answer["name"]) == (201, name)
    assert worker.call("GET", "/connectors")[1] == [name]
    worker.until(lambda: worker.call("GET", f"{path}/status")[0] == 200)
    assert worker.call("GET", f"{path}/status")[1]["name"] == name
    assert worker.call("GET", f"{path}/config")[1] == {**SINK, "name": name}
    assert worker.call("PATCH", f"{path}/config", {"batch.size": "7"})[1]["config"]["batch.size"] == "7"
    assert worker.call("GET", "/connectors?expand=info&expand=status")[1].keys() == {name}
    assert worker.call("GET", f"{path}/topics")[1] == {name: {"topics": []}}
    assert worker.call("DELETE", path)[0] == 204
    worker.until(lambda: worker.call("GET", f"{path}/status")[0] in (400, 404))


def test_a_body_beyond_the_limit(worker):
    status, answer = worker.call("POST", "/connectors", json.dumps({"name": "c", "config": {"a": "x" * (4 << 20)}}).encode())
    assert (status, answer["message"]) == (413, "the body is larger than rest.request.max.bytes=4194304")
