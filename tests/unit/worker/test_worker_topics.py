"""Records of Kafka Connect's own topics, as a real cluster wrote them (golden/connect-topics.json)."""

import json
import re
from pathlib import Path

import pytest

from pycdc.worker import configs, statuses
from pycdc.worker.configs import Configs, Target
from pycdc.worker.records import dumps
from pycdc.worker.statuses import State, Status, Statuses, UsedTopic

RECORDS = json.loads((Path(__file__).parent / "golden" / "connect-topics.json").read_text())["records"]
CONFIG = [(r["key"].encode(), None if r["value"] is None else r["value"].encode()) for r in RECORDS["config"]]
STATUS = [(r["key"].encode(), None if r["value"] is None else r["value"].encode()) for r in RECORDS["status"]]


def rebuilt(key, value):
    """The record as we would write it."""
    text, found = key.decode(), json.loads(value)
    for prefix, make in (
        ("connector-", lambda n: configs.connector(n, found["properties"])[0]),
        ("task-", lambda n: configs.tasks(n.rpartition("-")[0], [{}] * int(n.rpartition("-")[2]) + [found["properties"]])[-2]),
        ("commit-", lambda n: configs.tasks(n, [{}] * found["tasks"])[-1]),
        ("target-state-", lambda n: configs.target(n, Target(found["state.v2"]))[0]),
        ("restart-connector-", lambda n: configs.restart(n, include_tasks=found["include-tasks"], only_failed=found["only-failed"])[0]),
        ("logger-cluster-", lambda n: configs.level(n, found["level"])[0]),
    ):
        if text.startswith(prefix):
            return make(text.removeprefix(prefix))
    return key, value  # the session's key is none of ours


@pytest.mark.parametrize(("key", "value"), [e for e in dict.fromkeys(CONFIG) if e[1] is not None], ids=range(len([e for e in dict.fromkeys(CONFIG) if e[1] is not None])))
def test_config_records_are_written_as_connect_writes_them(key, value):
    assert rebuilt(key, value) == (key, value)


def test_a_deleted_connector_leaves_two_tombstones():
    assert configs.removed("x") == [(b"connector-x", None), (b"target-state-x", None)]


def test_status_records_are_written_as_connect_writes_them():
    known = Statuses()
    for key, value in STATUS:
        known.take(key, value)
        if value is None:
            continue
        text = key.decode()
        if text.startswith("status-topic-"):
            topic, _, name = text.removeprefix("status-topic-").partition(":connector-")
            assert statuses.used(known.topics[name][topic]) == (key, value)
        elif text.startswith("status-task-"):
            name, _, number = text.removeprefix("status-task-").rpartition("-")
            assert statuses.task(name, int(number), known.tasks[name][int(number)]) == (key, value)
        else:
            name = text.removeprefix("status-connector-")
            assert statuses.connector(name, known.connectors[name]) == (key, value)


def test_the_captured_topic_says_who_is_there_at_each_moment():
    known, seen = Configs(), []
    for key, value in CONFIG:
        if (event := known.take(key, value)) is not None:
            seen.append(event)
    assert sum(isinstance(e, configs.TasksChanged) for e in seen) >= 30
    assert {type(e) for e in seen} == {
        configs.ConfigChanged, configs.ConnectorRemoved, configs.TasksChanged, configs.TargetChanged, configs.RestartAsked, configs.LevelSet,
    }  # fmt: skip
    created = {k.decode().removeprefix("connector-") for k, v in CONFIG if v is not None and k.startswith(b"connector-")}
    removed = {k.decode().removeprefix("connector-") for k, v in CONFIG if v is None and k.startswith(b"connector-")}
    assert set(known.connectors) <= created
    assert not any(name in known.tasks for name in removed - set(known.connectors))


def given(*entries):
    known, events = Configs(), []
    for entry in entries:
        events.append(known.take(*entry))
    return known, [e for e in events if e is not None]


def test_tasks_count_with_their_commit():
    made = configs.tasks("x", [{"a": "1"}, {"a": "2"}])
    known, events = given(*configs.connector("x", {"name": "x"}), *made[:-1])
    assert known.tasks == {}
    assert events == [configs.ConfigChanged("x")]
    assert known.take(*made[-1]) == configs.TasksChanged("x")
    assert known.tasks == {"x": [{"a": "1"}, {"a": "2"}]}
    # one task changes, and there are fewer: the others stay as they are
    for entry in configs.tasks("x", [{"a": "3"}]):
        known.take(*entry)
    assert known.tasks == {"x": [{"a": "3"}]}


def test_tasks_that_compaction_has_taken_make_the_set_incomplete():
    made = configs.tasks("x", [{"a": "1"}, {"a": "2"}])
    known, events = given(*configs.connector("x", {}), made[1], made[2])
    assert known.incomplete == {"x"}
    assert known.tasks == {}
    assert events == [configs.ConfigChanged("x")]
    for entry in made:
        known.take(*entry)
    assert known.incomplete == set()


def test_a_stopped_connector_is_a_paused_one_for_old_releases():
    assert configs.target("x", Target.STOPPED) == [(b"target-state-x", b'{"state":"PAUSED","state.v2":"STOPPED"}')]
    known, _ = given(*configs.connector("x", {}), (b"target-state-x", b'{"state":"PAUSED"}'))
    assert known.target("x") is Target.PAUSED
    assert known.target("unknown") is Target.STARTED


def test_what_is_wished_may_come_before_the_connector():
    known, events = given(*configs.target("x", Target.STOPPED), *configs.connector("x", {"a": "1"}))
    assert known.target("x") is Target.STOPPED
    assert events == [configs.ConfigChanged("x")]
    for entry in configs.removed("x"):
        known.take(*entry)
    assert known.target("x") is Target.STARTED


@pytest.mark.parametrize("value", [b"{", b"[]", b'{"properties": 1}', b"{}", b"null", b"\xff"])
def test_a_broken_record_is_left_out_and_told(value, capsys):
    known, events = given((b"connector-bad", value), *configs.connector("good", {}))
    assert known.connectors == {"good": {}}
    assert events == [configs.ConfigChanged("good")]
    assert "connector-bad" in capsys.readouterr().out


def test_names_may_look_like_anything():
    for name in ("a-1", "task-x-0", "яж✓", "x:connector-y", "😀", 'a"b\\c'):
        known, _ = given(*configs.connector(name, {"name": name}), *configs.tasks(name, [{"k": name}]), *configs.target(name, Target.PAUSED))
        assert known.connectors == {name: {"name": name}}
        assert known.tasks == {name: [{"k": name}]}
        assert known.target(name) is Target.PAUSED


def test_characters_of_two_units_leave_as_two_escapes():
    assert dumps({"a": "x😀ж"}) == b'{"a":"x\\uD83D\\uDE00\xd0\xb6"}'


def test_a_worker_that_lost_its_work_does_not_speak_for_it():
    new = Status(State.RUNNING, "b:1", 5)
    assert Status(State.FAILED, "a:1", 5).may_follow(new)
    assert not Status(State.UNASSIGNED, "a:1", 4).may_follow(new)
    assert Status(State.UNASSIGNED, "b:1", 4).may_follow(new)
    assert Status(State.UNASSIGNED, "a:1", 0).may_follow(None)


def test_topics_in_use_are_known_until_they_are_forgotten():
    known, topic = Statuses(), UsedTopic("a.b-c", "x:connector-y", 0, 7)
    known.take(*statuses.used(topic))
    assert known.topics == {"x:connector-y": {"a.b-c": topic}}
    known.take(*statuses.unused("a.b-c", "x:connector-y"))
    assert known.topics == {}


def test_the_captured_statuses_are_gone_with_their_connectors():
    known = Statuses()
    for entry in STATUS:
        known.take(*entry)
    gone = {re.sub(r"^connector-", "", k.decode()) for k, v in CONFIG if v is None and k.startswith(b"connector-")}
    assert gone
    assert known.connectors.keys().isdisjoint(gone - {k.decode().removeprefix("connector-") for k, v in CONFIG if v is not None})
