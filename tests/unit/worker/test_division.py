"""How a connector's work becomes tasks: by its class where that says how, asked beside all else."""

import asyncio

import pytest

from pycdc.errors import ConfigError, ServerError
from pycdc.sources.jdbc import JdbcSource
from pycdc.worker import division
from pycdc.worker.division import Divisions, follow, task_configs

DEBEZIUM = {"connector.class": "io.debezium.connector.postgresql.PostgresConnector", "tasks.max": "3"}
SINK = {"connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector", "tasks.max": "2"}
JDBC = {"connector.class": "io.confluent.connect.jdbc.JdbcSourceConnector", "tasks.max": "2"}
TASK = {**JDBC, "task.class": "io.confluent.connect.jdbc.source.JdbcSourceTask"}


class Asked:
    """Answers of the database, one for each time that it is asked; the last one again and again."""

    def __init__(self, monkeypatch, *answers):
        self.answers, self.changes, self.exhausted = list(answers), asyncio.Queue(), asyncio.Event()
        monkeypatch.setattr(JdbcSource, "divided", self.divided)
        monkeypatch.setattr(JdbcSource, "divided_for", staticmethod(lambda _settings: 0.01))
        monkeypatch.setattr(division, "_AGAIN", 0.01)
        self.divisions = Divisions(lambda _name, _config: JdbcSource.config.of(), self.changes.put_nowait)

    async def divided(self, settings, tasks):
        assert tasks == 2
        if len(self.answers) == 1:
            self.exhausted.set()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return [{"tables": tables} for tables in answer]

    async def tasks(self):
        """After the next change."""
        await asyncio.wait_for(self.changes.get(), 10)
        return self.divisions.tasks("c", JDBC)


def test_others_are_not_asked():
    divisions = Divisions(lambda _name, _config: pytest.fail("asked"), lambda _name: None)
    assert divisions.tasks("c", DEBEZIUM) == task_configs(DEBEZIUM) == [{**DEBEZIUM, "task.class": "io.debezium.connector.postgresql.PostgresConnectorTask"}]
    assert [t["task.id"] for t in divisions.tasks("s", SINK) or ()] == ["0", "1"]
    with pytest.raises(ConfigError):
        divisions.tasks("s", {**SINK, "tasks.max": "many"})


async def test_the_answer_comes_later_and_may_change(monkeypatch):
    asked = Asked(monkeypatch, ["a", "b"], ["a", "b"], ["a", "b,c"])
    assert asked.divisions.tasks("c", JDBC) is None
    assert await asked.tasks() == [{**TASK, "tables": "a"}, {**TASK, "tables": "b"}]
    assert await asked.tasks() == [{**TASK, "tables": "a"}, {**TASK, "tables": "b,c"}]
    asked.divisions.keep(())


async def test_without_an_answer_one_task_tells_why(monkeypatch):
    asked = Asked(monkeypatch, ServerError("no"), ["a"], ServerError("no"))
    assert asked.divisions.tasks("c", JDBC) is None
    assert await asked.tasks() == [TASK]
    assert await asked.tasks() == [{**TASK, "tables": "a"}]
    # later faults leave it as it is
    await asyncio.wait_for(asked.exhausted.wait(), 10)
    assert asked.divisions.tasks("c", JDBC) == [{**TASK, "tables": "a"}]
    asked.divisions.keep(())


async def test_another_configuration_is_asked_about_anew(monkeypatch):
    asked = Asked(monkeypatch, ["a"])
    asked.divisions.tasks("c", JDBC)
    await asked.tasks()
    assert asked.divisions.tasks("c", {**JDBC, "mode": "bulk"}) is None
    asked.divisions.keep(["others"])
    assert asked.divisions.tasks("c", JDBC) is None
    asked.divisions.keep(())


def test_tasks_that_follow_a_configuration():
    assert follow(task_configs(DEBEZIUM), DEBEZIUM)
    assert not follow([], DEBEZIUM)
    assert follow([{**TASK, "tables": "a"}], JDBC)
    assert not follow([{**TASK, "tables": "a"}], {**JDBC, "mode": "bulk"})
    assert not follow(None, JDBC)
