"""org.apache.kafka.connect.transforms.DropHeaders: removes headers by name."""

from __future__ import annotations

from typing import ClassVar

from pycdc.config.definition import ConfigDef, Property
from pycdc.model.record import Record
from pycdc.transforms.options import names


class DropHeadersConfig(ConfigDef):
    """Options of DropHeaders."""

    headers = Property[tuple[str, ...]]("headers", names(), required=True, doc="Headers to remove.")


class DropHeaders:
    """Every header of a listed name goes."""

    config = DropHeadersConfig
    moves_only: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, DropHeadersConfig)
        self._names = frozenset(settings.headers)

    def apply(self, record: Record) -> Record:
        return record.replace(headers=tuple(h for h in record.headers if h.key not in self._names))
