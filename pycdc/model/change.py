"""Changes: what becomes of rows, in columns, as sinks buffer them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pycdc.model.schema import Schema

#: Column name -> value, as model.schema says values look.
Values = dict[str, Any]


class Changes(msgspec.Struct):
    """Changes of one table that follow each other in one topic, all under the same schemas.

    `rows[i]` is the row as it becomes, None where it is deleted; `keys[i]` is its key, None without one. A
    `partial` row carries only the columns it names. With `truncate` the table is emptied; there are no rows.
    """

    topic: str
    #: Debezium's source block of the first change; empty for unwrapped records.
    source: Mapping[str, Any]
    key_schema: Schema | None
    row_schema: Schema | None
    keys: Sequence[Values | None]
    rows: Sequence[Values | None]
    partition: int | None = None
    #: `offset` of each change's record; see model.record.
    offsets: Sequence[int] = ()
    partial: bool = False
    truncate: bool = False
    #: Of envelopes that came as records: op of each change, and the row as it was, where the event has it.
    ops: Sequence[str] = ()
    befores: Sequence[Values | None] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def offset(self, index: int) -> int:
        return self.offsets[index] if self.offsets else -1

    def before(self, index: int) -> Values | None:
        """The row as it was before a change, where it is known."""
        return self.befores[index] if self.befores else None

    def record(self, index: int) -> tuple[str, int | None, int]:
        """Topic, partition and offset of a change."""
        return self.topic, self.partition, self.offset(index)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """Of the records' key; empty without one."""
        if self.key_schema is not None:
            return tuple(f.name for f in self.key_schema.fields)
        first = self.keys[0] if self.keys else None
        return tuple(first) if first is not None else ()

    def part(self, begin: int, end: int) -> Changes:
        """The changes from `begin` on, before `end`."""
        return msgspec.structs.replace(
            self, keys=self.keys[begin:end], rows=self.rows[begin:end], offsets=self.offsets[begin:end], ops=self.ops[begin:end],
            befores=self.befores[begin:end],
        )  # fmt: skip

    def pick(self, places: Sequence[int]) -> Changes:
        """The changes at `places`."""
        return msgspec.structs.replace(
            self, keys=[self.keys[i] for i in places], rows=[self.rows[i] for i in places],
            offsets=[self.offsets[i] for i in places] if self.offsets else (), ops=[self.ops[i] for i in places] if self.ops else (),
            befores=[self.befores[i] for i in places] if self.befores else (),
        )  # fmt: skip

    def where(self, index: int) -> str:
        """Topic, partition and offset of a change, for messages."""
        return place(self.topic, self.partition, self.offset(index))


class Rows(msgspec.Struct):
    """The rows of many messages that a converter read in one go; see plugins.contracts.RowReader."""

    #: Debezium's op of each message; None where the messages are rows themselves, without an envelope.
    ops: Sequence[str] | None
    rows: Sequence[Values | None]
    row_schema: Schema | None = None
    source: Mapping[str, Any] = {}


def place(topic: str, partition: int | None, offset: int) -> str:
    """A record's place, for messages."""
    return f"topic {topic}" if offset < 0 or partition is None else f"topic {topic}, partition {partition}, offset {offset}"
