"""A source, a sink, a transform and a predicate that do nothing, for tests of the join."""

from __future__ import annotations

from collections.abc import Iterator

from pycdc.config.definition import ConfigDef, Property, integer, one_of, parsed, password, text
from pycdc.errors import Fault
from pycdc.model.record import Record


def only_fine(value: str) -> str:
    """A parser that, against the rule, quotes what it was given."""
    if value != "fine":
        raise ValueError(f"{value} is not fine")
    return value


class SourceConfig(ConfigDef):
    prefixes = ("driver.",)
    prefix = Property[str]("topic.prefix", text(), required=True, old_names=("database.server.name",))
    port = Property[int]("database.port", integer(1, 65535), default=5432, old_names=("db.port",))
    password = Property[str | None]("database.password", password())
    mode = Property[str]("snapshot.mode", one_of("initial", "no_data"), default="initial")
    skipped = Property[str]("skipped.operations", text(), default="t")
    tables = Property[str]("table.include.list", text(), default="")
    poll = Property[int]("poll.interval.ms", integer(0), default=500, ignored="the stream is waited for")
    shade = Property[str]("shade", one_of("dark", "light"), default="dark", old_values={"black": "dark"})
    word = Property[str | None]("word", parsed("STRING", only_fine))

    def check(self, faults: list[Fault]) -> None:
        if self.tables == "both":
            faults.append(Fault("table.include.list", f"contradicts the password {self.password}", self.tables))

    def warnings(self) -> Iterator[str]:
        if self.shade == "light":
            yield "shade: light is hard to read"


class FakeSource:
    config = SourceConfig

    def __init__(self, settings: SourceConfig) -> None:
        self.settings = settings

    def read(self) -> None: ...


class SinkConfig(ConfigDef):
    url = Property[str]("connection.url", text(), required=True)


class FakeSink:
    config = SinkConfig

    def __init__(self, settings: SinkConfig) -> None:
        self.settings = settings

    def put(self) -> None: ...


class RouterConfig(ConfigDef):
    regex = Property[str]("regex", text(), required=True)
    count = Property[int]("count", integer(0), default=1)


class Router:
    config = RouterConfig
    moves_only = True

    def __init__(self, settings: RouterConfig) -> None:
        self.settings = settings

    def apply(self, record: Record) -> Record | None:
        return record


class MatchesConfig(ConfigDef):
    pattern = Property[str]("pattern", text(), required=True)


class Matches:
    config = MatchesConfig

    def __init__(self, settings: MatchesConfig) -> None:
        self.settings = settings

    def test(self, record: Record) -> bool:
        return record.topic == self.settings.pattern
