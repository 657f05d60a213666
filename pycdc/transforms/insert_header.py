"""org.apache.kafka.connect.transforms.InsertHeader: the same header on every record."""

from __future__ import annotations

from typing import ClassVar

from pycdc.config.definition import ConfigDef, Property
from pycdc.model.literal import parse_literal
from pycdc.model.record import Header, Record
from pycdc.transforms.options import named, trimmed


class InsertHeaderConfig(ConfigDef):
    """Options of InsertHeader."""

    header = Property[str]("header", named(), required=True, doc="The header's name.")
    literal = Property[str](
        "value.literal", trimmed(), required=True,
        doc="Its value, read as Connect reads header texts: null, a boolean, a number, a date or time, a list, a map, else a text.",
    )  # fmt: skip


class InsertHeader:
    """Adds; headers of the same name stay."""

    config = InsertHeaderConfig
    moves_only: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, InsertHeaderConfig)
        schema, value = parse_literal(settings.literal)
        self._added = Header(settings.header, schema, value)

    def apply(self, record: Record) -> Record:
        return record.replace(headers=(*record.headers, self._added))
