r"""Rows -> lines of tab-separated texts with \N for NULL: PostgreSQL's COPY and ClickHouse's TSV alike.

All work goes by column: one look at a column replaces one at each of its values.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

from pycdc.errors import BadRow
from pycdc.model.change import Values
from pycdc.model.schema import Schema
from pycdc.sinks.buffer import Entry

NULL: Final = "\\N"
ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

#: Column name, its values without None, their schema -> their texts. Raises ValueError, TypeError, KeyError or
#: OverflowError for a value that has none.
WriteColumn = Callable[[str, Sequence[Any], Schema | None], Sequence[str]]
#: What a value without a text raises.
UNWRITABLE: Final = (ValueError, TypeError, KeyError, OverflowError, ArithmeticError, AttributeError)


class Part(NamedTuple):
    """Rows of the same columns under the same schema: a sequence of values per column. `entries` tell where each row
    comes from.
    """

    columns: tuple[str, ...]
    values: list[Sequence[Any]]
    entries: Sequence[Entry]
    schema: Schema | None


def part_of(columns: tuple[str, ...], rows: Sequence[Values], entries: Sequence[Entry], schema: Schema | None) -> Part:
    """Raises KeyError when a row lacks one of the columns."""
    if len(columns) == 1:
        return Part(columns, [[r[columns[0]] for r in rows]], entries, schema)
    return Part(columns, list(zip(*map(itemgetter(*columns), rows), strict=True)), entries, schema)


def alike(entries: Sequence[Entry]) -> list[Part]:
    """Rows as parts; nearly always there is one, which shows when the first row's columns are taken from all."""
    if not entries:
        return []
    rows: list[Values] = [e[0] for e in entries]  # type: ignore[misc]
    if len(set(map(len, rows))) == 1 and len({id(e[1].row_schema) for e in entries}) == 1:
        with contextlib.suppress(KeyError):
            return [part_of(tuple(rows[0]), rows, entries, entries[0][1].row_schema)]
    return [
        part_of(columns, [e[0] for e in same], same, schema)  # type: ignore[misc]
        for schema, group in by(entries, lambda e: e[1].row_schema)
        for columns, same in by(group, lambda e: tuple(e[0] or ()))
    ]


def keys_alike(entries: Sequence[Entry], columns: tuple[str, ...]) -> list[Part]:
    """The keys of deleted rows, as parts. Raises BadRow for a row without key."""
    keyless = next((e for e in entries if e[1].keys[e[2]] is None), None)
    if not columns or keyless is not None:
        _, changes, index = keyless or entries[0]
        raise BadRow.of(changes.record(index), "a delete without key", where=changes.where(index), hint="give the table a primary key")
    return [
        part_of(columns, [e[1].keys[e[2]] for e in same], same, schema)  # type: ignore[misc]
        for schema, same in by(entries, lambda e: e[1].key_schema)
    ]


def by(entries: Iterable[Entry], kind: Callable[[Entry], Any]) -> list[tuple[Any, list[Entry]]]:
    """Entries of the same kind together; schemas are compared by identity, they are large."""
    groups: dict[Any, tuple[Any, list[Entry]]] = {}
    for entry in entries:
        k = kind(entry)
        groups.setdefault(id(k) if isinstance(k, Schema) else k, (k, []))[1].append(entry)
    return list(groups.values())


def with_key(entry: Entry) -> Entry:
    """A row known in part needs its key beside its columns to be found."""
    row, changes, index = entry
    return ({**(row or {}), **(changes.keys[index] or {})}, changes, index)


def copy_lines(part: Part, write: WriteColumn, types: Mapping[str, str], table: str, *, raw: frozenset[str] = frozenset()) -> bytes:
    """The part's lines. `types` by column, for messages; the texts of the columns `raw` are escaped already.

    Raises BadRow, naming the record, for a value without text.
    """
    columns, nulls = [], 0
    for name, values in zip(part.columns, part.values, strict=True):
        known = [v for v in values if v is not None] if None in values else values
        schema = part.schema.field(name) if part.schema is not None else None
        try:
            texts = write(name, known, schema)
        except UNWRITABLE as error:
            raise unwritable(name, schema, values, part.entries, write, types[name], table, error) from None
        if known is not values:
            nulls += len(values) - len(known)
            present = iter(texts)
            texts = [NULL if v is None else next(present) for v in values]
        columns.append(texts)
    # one look at the whole tells whether any text needs an escape; most do not
    rows, text = len(part.entries), _joined(columns)
    tabs = rows * (len(columns) - 1)
    if text.count("\\") != nulls or "\r" in text or text.count("\n") != rows or text.count("\t") != tabs:
        text = _joined([
            texts if name in raw else [t if t is NULL else t.translate(ESCAPES) for t in texts]
            for name, texts in zip(part.columns, columns, strict=True)
        ])  # fmt: skip
    return text.encode()


def _joined(columns: list[Sequence[str]]) -> str:
    return "\n".join(map("\t".join, zip(*columns, strict=True))) + "\n"


def unwritable(
    column: str, schema: Schema | None, values: Sequence[Any], entries: Sequence[Entry], write: WriteColumn, kind: str,
    table: str, error: Exception,
) -> BadRow:  # fmt: skip
    """The error that names the first value without a text."""
    for value, (_, changes, index) in zip(values, entries, strict=True):
        try:
            if value is not None:
                write(column, [value], schema)
        except UNWRITABLE as of_this:
            return BadRow.of(
                changes.record(index), f"a value cannot be written to column {column} of {table}", where=changes.where(index),
                cause=f"a {type(value).__name__} for type {kind}: {_why(of_this)}",
            )  # fmt: skip
    return BadRow(f"a value cannot be written to column {column} of {table}", cause=_why(error))


def _why(error: Exception) -> str:
    """Our own texts are told; Python's may hold the value."""
    return str(error) if isinstance(error, Unwritable) else type(error).__name__


class Unwritable(ValueError):
    """A value that the column cannot hold; its text holds no value."""
