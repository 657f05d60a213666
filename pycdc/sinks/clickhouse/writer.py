"""Blocks into one table, from a thread: first all texts are made, then block after block is sent.

A block is written as a whole or not at all. Where a table keeps every row that it is sent, what was written before
another block was refused is remembered, so that it is not sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any
from uuid import uuid4

from pycdc.errors import BadRow, TargetSchemaError
from pycdc.model.change import Changes
from pycdc.model.schema import Schema
from pycdc.plugins.contracts import Written
from pycdc.sinks.clickhouse import faults, statements
from pycdc.sinks.clickhouse.blocks import Block, VersionOf, blocks_of, is_metadata
from pycdc.sinks.clickhouse.client import Session
from pycdc.sinks.clickhouse.complete import completed
from pycdc.sinks.clickhouse.kinds import bare, is_nullable, is_raw, may_be_nullable
from pycdc.sinks.clickhouse.target import REPLACING, Target
from pycdc.sinks.clickhouse.values import texts
from pycdc.sinks.lines import Part, copy_lines
from pycdc.sinks.units import ColumnUnits


class NullsWanted(TargetSchemaError):
    """A null for a column that an ALTER could make nullable."""

    def __init__(self, target: Target, column: str, told: BadRow) -> None:
        super().__init__(f"column {column} of {target} takes no null")
        self.column = column
        self.told = told


class Writer:
    """One write to one table. `token`: what its blocks' tokens begin with, None where nobody forms them again."""

    def __init__(self, target: Target, version_of: VersionOf, units: ColumnUnits, *, token: str | None = None) -> None:
        self._target = target
        self._version_of = version_of
        self._units = units
        self._token = token
        #: Records whose rows are in, of a table that would keep them twice.
        self._sent: set[tuple[str, int | None, int]] = set()
        self.written = Written()

    def write(self, session: Session, changes: Sequence[Changes]) -> None:
        """Raises BadRow, and NullsWanted before anything is sent."""
        target = self._target
        if self._sent:
            changes = [c.pick([i for i in range(len(c)) if c.record(i) not in self._sent]) for c in changes]
        blocks = blocks_of(target, [c for c in changes if len(c)], self._version_of, lambda part, key: completed(session, target, part, key, lambda p: self._lines(Block(p))))
        blocks = [b.without(c for c in b.part.columns if c not in target.types and is_metadata(c)) for b in blocks]
        written = [(b, self._lines(b)) for b in blocks]
        for block, lines in written:
            self._send(session, block, lines)

    def _send(self, session: Session, block: Block, lines: bytes) -> None:
        target, part = self._target, block.part
        try:
            session.insert(target.name, part.columns, lines, self._token_of(part, lines), distributed=target.distributed)
        except Exception as error:
            if not faults.is_of_a_row(error):
                raise
            raise self._refused(error, part) from None
        if target.family != REPLACING:
            self._sent.update(c.record(i) for _, c, i in part.entries)
        deletes = sum(1 for _, c, i in part.entries if c.rows[i] is None)
        self.written.deletes += deletes
        self.written.upserts += len(part.entries) - deletes

    def _token_of(self, part: Part, lines: bytes) -> str:
        """The same for the same rows of the same range, so that what differs is never taken for what was written."""
        if self._token is None:
            return uuid4().hex
        return f"{self._token}/{sha256(','.join(part.columns).encode() + lines).hexdigest()[:32]}"

    def _refused(self, error: Exception, part: Part) -> BadRow:
        bad, row = faults.bad_row(error, self._target.name), faults.row_at_fault(error)
        if row is not None and row < len(part.entries):
            _, changes, index = part.entries[row]
            bad.record, bad.where = changes.record(index), changes.where(index)
        return bad

    # ---- texts

    def _lines(self, block: Block) -> bytes:
        types, part = self._target.types, block.part
        missing = [c for c in part.columns if c not in types]
        if missing:
            raise TargetSchemaError(f"table {self._target} lacks {', '.join(missing)}", hint=statements.alter(self._target.place, dict.fromkeys(missing, "<type>"), {}))
        raw = frozenset(c for c in part.columns if c in block.raw or is_raw(types[c]))
        part = part._replace(values=[self._nulls_allowed(c, v, part) for c, v in zip(part.columns, part.values, strict=True)])

        def write(column: str, values: Sequence[Any], schema: Schema | None) -> Sequence[str]:
            if column in block.raw:
                return values
            return texts(values, schema, types[column], self._units[str(self._target), column])

        return copy_lines(part, write, types, str(self._target), raw=raw)

    def _nulls_allowed(self, column: str, values: Sequence[Any], part: Part) -> Sequence[Any]:
        """ClickHouse has no null arrays and maps: those become empty. Any other null needs a Nullable column."""
        kind = self._target.types[column]
        if None not in values or is_nullable(kind):
            return values
        if bare(kind).startswith(("Array(", "Map(", "JSON")):
            empty: Any = () if bare(kind).startswith("Array(") else {}
            return [empty if v is None else v for v in values]
        _, changes, index = part.entries[list(values).index(None)]
        told = BadRow.of(
            changes.record(index), f"a null cannot be written to column {column} of {self._target}", where=changes.where(index), cause=f"it is of type {kind}",
            hint=statements.alter(self._target.place, {}, {column: f"Nullable({kind})"}),
        )  # fmt: skip
        if may_be_nullable(kind) and column not in self._target.fixed:
            raise NullsWanted(self._target, column, told)
        raise told
