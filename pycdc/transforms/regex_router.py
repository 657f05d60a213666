"""org.apache.kafka.connect.transforms.RegexRouter: renames topics that match a pattern in full."""

from __future__ import annotations

from typing import ClassVar

from pycdc.config.definition import ConfigDef, Property, parsed, text
from pycdc.model.javaregex import compile_java, replacement
from pycdc.model.record import Record


class RegexRouterConfig(ConfigDef):
    """Options of the RegexRouter."""

    regex = Property[str]("regex", parsed("STRING", lambda s: compile_java(s).pattern and s, "a Java pattern"), required=True, doc="Topics to rename.")
    replacement = Property[str]("replacement", text(), required=True, doc="Their new name; $1 is the first group.")


class RegexRouter:
    """Only the topic changes: it may be traced."""

    config = RegexRouterConfig
    moves_only: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, RegexRouterConfig)
        self._regex = compile_java(settings.regex)
        self._replacement = replacement(settings.replacement)

    def apply(self, record: Record) -> Record:
        match = self._regex.fullmatch(record.topic)
        return record if match is None else record.replace(topic=self._replacement(match))
