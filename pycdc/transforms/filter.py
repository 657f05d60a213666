"""org.apache.kafka.connect.transforms.Filter: drops every record that its predicate lets through to it."""

from __future__ import annotations

from typing import ClassVar

from pycdc.config.definition import ConfigDef
from pycdc.model.record import Record


class FilterConfig(ConfigDef):
    """Filter has no options of its own; `predicate` and `negate` choose what is dropped."""


class Filter:
    """Drops."""

    config = FilterConfig
    moves_only: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, FilterConfig)

    def apply(self, record: Record) -> None:
        return None
