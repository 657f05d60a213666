"""org.apache.kafka.connect.transforms.predicates: HasHeaderKey, RecordIsTombstone, TopicNameMatches.

All three may be traced: they look at names, and at a value only where it stands in the template.
"""

from __future__ import annotations

from pycdc.config.definition import ConfigDef, Property
from pycdc.model.javaregex import compile_java
from pycdc.model.record import Record
from pycdc.transforms.operand import is_null
from pycdc.transforms.options import java_pattern, named


class HasHeaderKeyConfig(ConfigDef):
    """Options of HasHeaderKey."""

    header = Property[str]("name", named(), required=True, doc="The header to look for.")


class HasHeaderKey:
    """True for a record with at least one header of that name."""

    config = HasHeaderKeyConfig

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, HasHeaderKeyConfig)
        self._name = settings.header

    def test(self, record: Record) -> bool:
        return any(h.key == self._name for h in record.headers)


class RecordIsTombstoneConfig(ConfigDef):
    """RecordIsTombstone has no options."""


class RecordIsTombstone:
    """True for a record whose value is null, with or without a schema."""

    config = RecordIsTombstoneConfig

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, RecordIsTombstoneConfig)

    def test(self, record: Record) -> bool:
        return is_null(record.value)


class TopicNameMatchesConfig(ConfigDef):
    """Options of TopicNameMatches."""

    pattern = Property[str]("pattern", java_pattern(), required=True, doc="Matches the topic's whole name.")


class TopicNameMatches:
    """True for a record whose topic matches in full."""

    config = TopicNameMatchesConfig

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, TopicNameMatchesConfig)
        self._pattern = compile_java(settings.pattern)

    def test(self, record: Record) -> bool:
        return self._pattern.fullmatch(record.topic) is not None
