"""A Connect record: what transforms and converters see, and what a sink is given.

`value` None with `value_schema` None is a tombstone; None with a schema is a null of that schema, which
converters write differently (JsonConverter: the four bytes `null`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from pycdc.model.schema import Schema


class Header(msgspec.Struct, frozen=True):
    key: str
    schema: Schema | None
    value: Any


class Record(msgspec.Struct, kw_only=True):
    """`timestamp` in ms since the epoch, None = the producer's clock; `partition` None = by the key's hash."""

    topic: str
    key_schema: Schema | None = None
    key: Any = None
    value_schema: Schema | None = None
    value: Any = None
    headers: tuple[Header, ...] = ()
    partition: int | None = None
    timestamp: int | None = None
    #: What grows with each record that a sink is given: its offset in Kafka's partition; without a broker (`partition`
    #: None) its position, commit LSN << 64 | index in the transaction. -1 for records on their way into Kafka.
    offset: int = -1
    #: Of a tombstone: the delete that it was made with.
    follows: Record | None = None

    @property
    def is_tombstone(self) -> bool:
        return self.value is None and self.value_schema is None

    def replace(self, **changes: Any) -> Record:
        return msgspec.structs.replace(self, **changes)
