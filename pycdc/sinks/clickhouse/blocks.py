"""Changes of one table -> blocks of rows, as its engine wants them.

A replacing table gets the last row of each key with its version, a deleted one as its key with the mark; a
collapsing one the old row with the sign -1 and the new one with 1; a log every change. A block has one set of
columns; the texts of its columns `raw` are what ClickHouse has written itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from pycdc.errors import BadRow, TargetSchemaError
from pycdc.model.change import Changes, Values
from pycdc.model.envelope import DELETE, UPDATE
from pycdc.sinks.buffer import Buffer, Entry
from pycdc.sinks.clickhouse.target import COLLAPSING, REPLACING, Target
from pycdc.sinks.lines import Part, alike, keys_alike, with_key

#: Of ExtractNewRecordState's delete.tombstone.handling.mode=rewrite; its other added fields begin so, too.
MARK: Final = "__deleted"
_METADATA: Final = "__"


class Block(NamedTuple):
    part: Part
    raw: frozenset[str] = frozenset()

    def plus(self, column: str | None, values: Sequence[Any] | None) -> Block:
        """With one more column, unless the table has none, or the rows have their own."""
        if column is None or values is None or column in self.part.columns:
            return self
        p = self.part
        return Block(Part((*p.columns, column), [*p.values, values], p.entries, p.schema), self.raw)

    def without(self, columns: Iterable[str]) -> Block:
        gone = set(columns)
        kept = [(c, v) for c, v in zip(self.part.columns, self.part.values, strict=True) if c not in gone]
        return Block(self.part._replace(columns=tuple(c for c, _ in kept), values=[v for _, v in kept]), self.raw)


#: Reads the other columns of rows that are known in part; Part of known columns, keys among them, and the key -> Block.
Complete = Callable[[Part, tuple[str, ...]], Block]
#: None: rows bring their own.
VersionOf = Callable[[Target, Changes, int], int] | None


def shaped(changes: Changes, target: Target) -> Changes:
    """Deletes that come as rows with a mark are deletes, unless the table wants the mark."""
    first = next((r for r in changes.rows if r is not None), None)
    if first is None or MARK not in first or MARK in target.types:
        return changes
    rows = [None if r is None or str(r.get(MARK)).lower() == "true" else r for r in changes.rows]
    # ExtractNewRecordState keeps the row as it was, which a log wants to have
    befores = [old if new is None else None for old, new in zip(changes.rows, rows, strict=True)]
    return msgspec.structs.replace(changes, rows=rows, befores=befores if any(befores) else ())


def without_deletes(changes: Changes) -> Changes:
    return changes.pick([i for i, row in enumerate(changes.rows) if row is not None])


def blocks_of(target: Target, changes: Sequence[Changes], version_of: VersionOf, complete: Complete) -> list[Block]:
    """Raises BadRow for a change that the table cannot take."""
    if target.family == REPLACING:
        return _replacing(target, changes, version_of, complete)
    if target.family == COLLAPSING:
        return _collapsing(target, changes)
    return _log(target, changes, version_of)


# ---- ReplacingMergeTree


def reduced(changes: Iterable[Changes]) -> Buffer:
    """Changes by key. Records without key are rows of their own; truncates stand in the buffer."""
    buffer = Buffer()
    for c in changes:
        buffer.put(c, c.key_columns)
    return buffer


def _replacing(target: Target, changes: Sequence[Changes], version_of: VersionOf, complete: Complete) -> list[Block]:
    buffer = reduced(changes)
    key = next((k for c in buffer.changes if (k := c.key_columns)), ())
    deletes = [e for e in buffer.rows.values() if e[0] is None]
    whole = [e for e in buffer.rows.values() if e[0] is not None] if deletes else list(buffer.rows.values())
    rows = [Block(_with_key(p, key)) for p in alike(whole)]
    rows += [complete(p, key) for p in alike([with_key(e) for e in buffer.partial.values()])]
    gone = [Block(p) for p in keys_alike(deletes, key)] if deletes else []
    if gone and target.deleted is None:
        raise _no_mark(target, deletes[0])
    return [
        b.plus(target.version, _versions(target, b.part, version_of)).plus(target.deleted, [mark] * len(b.part.entries))
        for mark, blocks in ((0, rows), (1, gone)) for b in blocks
    ]  # fmt: skip


def _versions(target: Target, part: Part, version_of: VersionOf) -> list[Any]:
    if target.version is None:
        return []
    own = target.version in part.columns
    if version_of is None:
        return [] if own else [_own_version(target, c, i) for _, c, i in part.entries]
    if own:
        raise TargetSchemaError(
            f"records for table {target} have a field {target.version} of their own, as its version is called",
            hint="have new tables call it otherwise: clickhouse.version.column; or, if it grows with every change of a row: clickhouse.version.source=record",
        )
    return [version_of(target, c, i) for _, c, i in part.entries]


def _own_version(target: Target, changes: Changes, index: int) -> Any:
    """Of a deleted row, which shows it only where the event has the row before."""
    before = changes.before(index) or {}
    if target.version not in before:
        raise BadRow.of(
            changes.record(index), f"a record has no version for table {target}", where=changes.where(index),
            cause=f"clickhouse.version.source is record, and it has no field {target.version}",
            hint="deletes have it with delete.tombstone.handling.mode=rewrite in ExtractNewRecordState; or set clickhouse.version.source=stream",
        )  # fmt: skip
    return before[target.version]


def _with_key(part: Part, key: tuple[str, ...]) -> Part:
    """A transform may have left the key out of the row."""
    missing = [k for k in key if k not in part.columns]
    if not missing:
        return part
    keys = [c.keys[i] or {} for _, c, i in part.entries]
    return part._replace(columns=(*part.columns, *missing), values=[*part.values, *([k.get(m) for k in keys] for m in missing)])


def _no_mark(target: Target, entry: Entry) -> BadRow:

    _, changes, index = entry
    return BadRow.of(
        changes.record(index), f"table {target} cannot hold deletes", where=changes.where(index), cause="it has no column for the delete mark",
        hint=f"ALTER TABLE {target.name} ADD COLUMN _is_deleted UInt8, which views then have to look at; "
        "or make it anew with ENGINE = ReplacingMergeTree(<version>, _is_deleted); or leave deletes out: clickhouse.deletes=skip",
    )  # fmt: skip


# ---- CollapsingMergeTree


def _collapsing(target: Target, changes: Sequence[Changes]) -> list[Block]:
    """In the order of the changes, which FINAL goes by: a row is there before it is taken away."""
    entries: list[Entry] = []
    signs: dict[int, int] = {}  # by the entry's id: entries themselves go into the parts

    def add(row: Values, changes: Changes, index: int, sign: int) -> None:
        entries.append((row, changes, index))
        signs[id(entries[-1])] = sign

    for c in changes:
        for i, row in enumerate(c.rows):
            before, op = c.before(i), c.ops[i] if c.ops else ""
            if not op and row is None:
                continue  # the tombstone behind a delete
            if not op or (op in (UPDATE, DELETE) and before is None):
                raise _no_before(target, c, i, op)
            if op in (UPDATE, DELETE) and before is not None:
                add(before, c, i, -1)
            if row is not None:
                add(before | row if c.partial and before is not None else row, c, i, 1)
    return [Block(p).plus(target.sign, [signs[id(e)] for e in p.entries]) for p in alike(entries)]


def _no_before(target: Target, changes: Changes, index: int, op: str) -> BadRow:
    if not op:
        cause, hint = "the record is no envelope", f"leave ExtractNewRecordState out, and set clickhouse.table.engine={COLLAPSING}MergeTree"
    else:
        source = changes.source
        cause, hint = "the event has no row before the change", f"ALTER TABLE {source.get('schema', '?')}.{source.get('table', '?')} REPLICA IDENTITY FULL"
    return BadRow.of(changes.record(index), f"table {target} needs the row as it was", where=changes.where(index), cause=cause, hint=hint)


# ---- MergeTree and the like


def _log(target: Target, changes: Sequence[Changes], version_of: VersionOf) -> list[Block]:
    rows: list[Entry] = []
    gone: list[Entry] = []
    keys: list[Entry] = []
    for c in changes:
        for i, row in enumerate(c.rows):
            if row is not None:
                rows.append((_completed(target, c, i) if c.partial else row, c, i))
            elif not (i and c.rows[i - 1] is None and c.keys[i] == c.keys[i - 1]):  # else the tombstone behind the delete
                before = c.before(i)
                (keys if before is None else gone).append((before, c, i))
    if (gone or keys) and target.op is None and target.deleted is None:
        raise _no_mark(target, (gone or keys)[0])
    blocks = [(0, p) for p in alike(rows)] + [(1, p) for p in alike(gone)]
    if keys:
        blocks += [(1, p) for p in keys_alike(keys, keys[0][1].key_columns)]
    return [
        Block(p).plus(target.version, _log_versions(target, p, version_of))
        .plus(target.op, _ops(p)).plus(target.deleted, [mark] * len(p.entries)) for mark, p in blocks
    ]  # fmt: skip


def _log_versions(target: Target, part: Part, version_of: VersionOf) -> list[int] | None:
    """A log's own rows may have a field of that name, or do without."""
    if version_of is None or target.version is None or target.version in part.columns:
        return None
    return [version_of(target, c, i) for _, c, i in part.entries]


def _ops(part: Part) -> list[str]:
    """An unwrapped row tells no more than whether it is there."""
    return [c.ops[i] if c.ops else UPDATE if c.rows[i] is not None else DELETE for _, c, i in part.entries]


def _completed(target: Target, changes: Changes, index: int) -> Values:
    before = changes.before(index)
    if before is None:
        raise unknown_columns(target, changes, index)
    return before | (changes.rows[index] or {})


def unknown_columns(target: Target, changes: Changes, index: int) -> BadRow:
    """A row of which a column is known to nobody."""
    source = changes.source
    return BadRow.of(
        changes.record(index), f"an update of {target} does not carry all columns, and the row is not there to complete it", where=changes.where(index),
        cause="an unchanged TOAST value is not in the WAL",
        hint=f"at the source: ALTER TABLE {source.get('schema', '?')}.{source.get('table', '?')} REPLICA IDENTITY FULL; or let the source connector read it: "
        "post.processors=reselect with post.processors.reselect.type=io.debezium.processors.reselect.ReselectColumnsPostProcessor",
    )  # fmt: skip


def is_metadata(column: str) -> bool:
    """Fields that ExtractNewRecordState adds; a table need not have them."""
    return column.startswith(_METADATA)
