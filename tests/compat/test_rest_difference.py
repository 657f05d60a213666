"""The comparison itself: a capture equals itself, and what a client would notice is reported."""

from __future__ import annotations

import json

import pytest
import rest_listed
from rest_capture import GOLDEN, Answer, load, names
from rest_difference import differences
from rest_steps import filled, restored

JSON = {"content-type": "application/json"}
GET = {"m": "GET", "p": "/connectors/x/status"}
POST = {"m": "POST", "p": "/connectors"}
RESTART = {"m": "POST", "p": "/connectors/x/restart", "q": "includeTasks=true"}
STATUS = {"name": "x", "connector": {"state": "RUNNING", "worker_id": "10.0.0.1:8083", "version": "3.6.3.Final"}, "tasks": [], "type": "source"}


def answer(body, status=200, **headers):
    return Answer(status, JSON | {k.replace("_", "-"): v for k, v in headers.items()}, body if isinstance(body, str) else json.dumps(body))


def error(message, status=400):
    return answer({"error_code": status, "message": message}, status)


@pytest.mark.parametrize("name", names())
def test_a_capture_equals_itself(name):
    capture = load(GOLDEN / f"{name}.json")
    assert capture.recorded
    for step, original in zip(capture.steps, capture.answers, strict=True):
        assert original is None or differences(step, original, filled_worker(original)) == []


def filled_worker(original):
    return original._replace(body=original.body.replace("${W1}", "h:1").replace("${W2}", "h:2"))


@pytest.mark.parametrize("name", names())
def test_every_doctored_answer_of_a_capture_is_seen(name):
    capture = load(GOLDEN / f"{name}.json")
    for step, original in zip(capture.steps, capture.answers, strict=True):
        if original is None or not original.status:
            continue
        assert differences(step, original, original._replace(status=418)), step
        shown = json.loads(original.body) if original.body[:1] == "{" else None
        if original.status < 500 and original.headers.get("content-type") == "application/json" and not step.get("loose") and shown:
            if step["p"].rstrip("/") != "/admin/loggers":
                assert differences(step, original, filled_worker(original)._replace(body=json.dumps({**shown, "surplus": 1}))), step
            assert differences(step, original, original._replace(headers={"content-type": "text/plain"})), step


@pytest.mark.parametrize(
    ("step", "original", "here", "place"),
    [
        (GET, answer(STATUS), answer(STATUS, 404), "status: 404 for 200"),
        (GET, answer(STATUS), Answer(0, {}, "no connection"), "status: 0 for 200"),
        (GET, answer(STATUS), answer({k: v for k, v in STATUS.items() if k != "type"}), "body.type: missing"),
        (GET, answer(STATUS), answer(STATUS | {"more": 1}), "body.more: not in the original"),
        (GET, answer(STATUS), answer(STATUS | {"type": "sink"}), 'body.type: "sink" for "source"'),
        (GET, answer(STATUS), answer(STATUS | {"tasks": [{"id": 0}]}), "body.tasks: 1 items for 0"),
        (GET, answer(STATUS), answer(STATUS | {"connector": STATUS["connector"] | {"worker_id": "me"}}), "body.connector.worker_id"),
        (GET, answer(STATUS), answer(STATUS | {"connector": STATUS["connector"] | {"state": "UNASSIGNED"}}), "body.connector.state"),
        (GET, answer(STATUS), answer("not json at all"), "body: "),
        (GET, answer(STATUS), answer(""), "body: null for"),
        (GET, answer(STATUS), Answer(200, {}, json.dumps(STATUS)), "Content-Type: ''"),
        (GET, answer({"trace": "a\n\tb"}), answer({"trace": ""}), "body.trace"),
        (GET, answer({"id": 1}), answer({"id": "1"}), 'body.id: "1" for 1'),
        (GET, answer({"id": 1}), answer({"id": True}), "body.id: true for 1"),
        (GET, answer({"offset": {"lsn": 5}}), answer({"offset": {"lsn": "5"}}), "body.offset.lsn"),
        (POST, answer({}, 201, location="${BASE}/connectors/x"), answer({}, 201, location="${BASE}/connectors/y"), "Location: "),
        (POST, answer({}, 201, location="${BASE}/connectors/x"), answer({}, 201), "Location: ''"),
        (POST, answer({}, 201), answer({}, 201, location="/connectors/x"), "Location: "),
        (POST, error("A value is required"), error("a value is required"), "body.message"),
        (POST, error("1 error(s):\none"), error("1 error(s):\ntwo"), "body.message"),
        (POST, error("Config {a=b, c=d} has no type"), error("Config {a=b, c=e} has no type"), "body.message"),
        (POST, error("Connector none not found", 500), error("Connector none not found"), "status: 400 for 500"),
        ({"m": "OPTIONS", "p": "/"}, answer("", allow="GET,HEAD"), answer("", allow="GET"), "Allow: "),
        ({"m": "OPTIONS", "p": "/"}, answer("", access_control_allow_origin="http://a"), answer(""), "access-control-allow-origin: None"),
        ({"m": "GET", "p": "/"}, answer(""), answer("", access_control_allow_origin="*"), "access-control-allow-origin: '*'"),
        ({"m": "GET", "p": "/admin/loggers"}, answer({"root": {"level": "INFO", "last_modified": None}}), answer({}), "body.root: missing"),
        ({"m": "PUT", "p": "/admin/loggers/a"}, answer(["a", "a.b"]), answer(["a.b"]), "body: 0 items for 1"),
        ({"m": "GET", "p": "/connector-plugins"}, answer([{"class": "io.debezium.connector.postgresql.PostgresConnector", "type": "source"}]),
         answer([]), "body: plugin io.debezium"),
        ({"m": "GET", "p": "/connector-plugins/x/config"}, answer([{"name": "a", "default_value": "1"}]), answer([{"name": "a", "default_value": "2"}]),
         "body[a].default_value"),
        ({"m": "GET", "p": "/connector-plugins/x/config"}, answer([{"name": "a", "default_value": "1"}]), answer([{"name": "b", "default_value": "1"}]),
         "body[a]: missing"),
        ({"m": "PUT", "p": "/validate"}, answer({"configs": [{"definition": None, "value": {"name": "a", "errors": ["one"]}}]}),
         answer({"configs": [{"definition": None, "value": {"name": "a", "errors": []}}]}), "body.configs[a].value.errors: 0 items for 1"),
    ],
)  # fmt: skip
def test_what_differs_is_reported(step, original, here, place):
    found = differences(step, original, here)
    assert any(text.startswith(place) for text in found), found


@pytest.mark.parametrize(
    ("step", "original", "here"),
    [
        (GET, answer(STATUS), answer(STATUS | {"connector": STATUS["connector"] | {"worker_id": "other:1", "version": "0.1"}})),
        (GET, answer({"offset": {"lsn": 5, "txId": 7}}), answer({"offset": {"lsn": 6, "txId": 8}})),
        (GET, answer(["a", "b"]), answer(["b", "a"])),
        (GET, answer({"trace": "java"}), answer({"trace": "python"})),
        (RESTART, answer({"state": "RESTARTING"}, 202), answer({"state": "RUNNING"}, 202)),
        (POST, error("2 error(s):\none\ntwo"), error("2 error(s):\ntwo\none")),
        (POST, error("Config {a=b, c=d} has no type"), error("Config {c=d, a=b} has no type")),
        (POST, error("Cannot deserialize value of type", 500), error("the body is no object")),
        (POST, error("java.lang.String", 400), error("text", 400)),
        (POST, answer({}, 201, location="${BASE}/connectors/x"), answer({}, 201, location="/connectors/x")),
        (POST, Answer(405, {}, "{}"), Answer(405, JSON, "{}")),
        ({**GET, "either": [204, 409]}, Answer(204, {}, ""), error("busy", 409)),
        ({**GET, "loose": True}, answer(STATUS), answer({})),
        (GET, Answer(0, {}, "no connection (ConnectionResetError)"), Answer(0, {}, "no connection (ConnectionRefusedError)")),
    ],
)  # fmt: skip
def test_what_is_the_runs_own_is_not(step, original, here):
    assert differences(step, original, here) == []


ROW = {"capture": "a/b", "step": 1, "original": "", "why": ""}


@pytest.mark.parametrize(
    ("row", "here", "equal"),
    [
        ({"status": 404}, error("anything", 404), True),
        ({"status": 404}, error("anything", 409), False),
        ({"status": 404, "body": {"error_code": 404, "message": "no"}}, error("no", 404), True),
        ({"status": 404, "body": {"error_code": 404, "message": "no"}}, error("yes", 404), False),
        ({"body": {"type": "sink"}}, answer(STATUS | {"type": "sink"}), True),
        ({"body": {"type": "sink"}}, answer(STATUS | {"type": "sink", "name": "y"}), False),
        ({"body": {"type": "sink"}}, answer(STATUS), False),  # no longer true
        ({"status": 404}, answer(STATUS), False),
        ({"headers": {"location": "/x"}}, answer(STATUS, location="/x"), False),  # a header is compared as it is captured, with its base
        ({"headers": {"location": "${BASE}/x"}}, answer(STATUS, location="/x"), True),
    ],
)
def test_a_listed_difference_is_the_only_one(row, here, equal):
    assert (rest_listed.judged(ROW | row, GET, answer(STATUS), here, soft=False) == []) is equal


def test_parts_of_lists_are_named_by_their_position():
    original, here = answer({"tasks": [{"id": 0}, {"id": 1}]}), answer({"tasks": [{"id": 0}, {"id": 7}]})
    assert rest_listed.judged(ROW | {"body": {"tasks": {"1": {"id": 7}}}}, GET, original, here, soft=False) == []
    assert rest_listed.judged(ROW | {"body": {"tasks": {"0": {"id": 7}}}}, GET, original, here, soft=False)


@pytest.mark.parametrize("text", ['[[difference]]\ncapture = "a"\nstep = 1\nwhy = "w"', '[[difference]]\ncapture = "a"\nstep = 1\nwhy = "w"\noriginal = "o"'])
def test_a_row_says_all_there_is_to_say(text, tmp_path):
    (tmp_path / "list.toml").write_text(text)
    with pytest.raises(ValueError, match="each row has"):
        rest_listed.rows(tmp_path / "list.toml")


def test_the_list_of_differences_names_recorded_steps():
    answers = {name: load(GOLDEN / f"{name}.json").answers for name in names()}
    unknown = [(name, at) for name, at in rest_listed.rows() if dict(enumerate(answers.get(name, []))).get(at) is None]
    assert not unknown


def test_names_of_the_run_are_put_back():
    values = {"N": "cap1", "DB": "cap1db", "PG_HOST": "127.0.0.1", "PG_PORT": "5432", "KAFKA": ""}
    text = '{"slot.name":"${N}_a","dbname":"${DB}","host":"${PG_HOST}","port":"${PG_PORT}","url":"jdbc:postgresql://${PG_HOST}:${PG_PORT}/${DB}"}'
    assert restored(filled(text, values), values) == text
