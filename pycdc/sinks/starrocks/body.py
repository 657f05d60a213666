r"""Rows -> the body of a load, and the headers that say how to read it: JSON or CSV.

A load names its columns, so that those it does not name get their defaults and not NULL. Upserts and deletes stand in
one body, told apart by `__op`; deletes carry something in each NOT NULL column, which StarRocks wants of them too.
Bytes go as hexadecimal digits through to_binary(). CSV is quoted only where a text needs it; it has no other way to
write NULL than \N, so that a text of just that is an error there.

Source: StarRocks' documentation of STREAM LOAD and of loading into PRIMARY KEY tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from pycdc.errors import BadRow, TargetSchemaError
from pycdc.model.schema import Schema
from pycdc.sinks.buffer import Entry
from pycdc.sinks.lines import UNWRITABLE, Part, Unwritable, unwritable
from pycdc.sinks.starrocks.catalog import Column, Target, quoted
from pycdc.sinks.starrocks.values import converted, zero
from pycdc.sinks.units import ColumnUnits

_OP: Final = "__op"
_NULL: Final = "\\N"
_SEPARATOR: Final = "\t"
_ROW_END: Final = "\n"
_ENCLOSE: Final = '"'


class Slot(NamedTuple):
    """A column of the body: the name that it has there, and what becomes of it."""

    name: str
    column: Column

    @property
    def expression(self) -> str | None:
        return f"{quoted(self.column.name)}=to_binary({quoted(self.name)})" if self.name != self.column.name else None


class Form:
    """How values stand in a body: as JSON or as CSV. `units`: what the sink knows of temporal numbers."""

    def __init__(self, name: str, units: ColumnUnits) -> None:
        self.name = name
        self._units = units
        self._write = _csv_texts if name == "csv" else _json_values
        self.null = _NULL if name == "csv" else None

    def written(self, values: Sequence[Any], schema: Schema | None, target: Target, column: Column) -> Sequence[Any]:
        """Values of one column, none of them None. Raises one of UNWRITABLE."""
        return self._write(converted(values, schema, column.type, self._units[target.name, column.name]), column)


class Body(msgspec.Struct):
    """Rows of one load, each as a struct that is a JSON object or a line of CSV; `entries` tell where each comes from."""

    headers: dict[str, str]
    rows: Sequence[Any]
    entries: Sequence[Entry]

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, begin: int, end: int) -> Body:
        return Body(self.headers, self.rows[begin:end], self.entries[begin:end])

    def data(self) -> bytes:
        """The bytes, uncompressed. Raises BadRow for a value that no JSON can hold."""
        if self.headers["format"] == "csv":
            return "".join(self.rows).encode()
        try:
            return _encode(self.rows)
        except UNWRITABLE as error:
            raise self._unwritable(error) from None

    def pieces(self, limit: int) -> Iterator[tuple[Body, bytes]]:
        """Halves of halves, until each is at most `limit` bytes long or a single row."""
        data = self.data()
        if len(data) <= limit or len(self) <= 1:
            yield self, data
            return
        del data
        middle = len(self) // 2
        yield from self.part(0, middle).pieces(limit)
        yield from self.part(middle, len(self)).pieces(limit)

    def _unwritable(self, error: Exception) -> BadRow:
        for row, (_, changes, index) in zip(self.rows, self.entries, strict=True):
            try:
                _encode(row)
            except UNWRITABLE as of_this:
                return BadRow.of(changes.record(index), "a row cannot be written as JSON", where=changes.where(index), cause=str(of_this))
        return BadRow("rows cannot be written as JSON", cause=str(error))


def make_body(target: Target, whole: Part | None, deletes: Sequence[Part], form: Form, *, partial: bool = False) -> Body:
    """`whole`: rows as they become; with `partial` their other columns stay. `deletes`: keys, in columns of the key.

    Raises BadRow, naming the record, for a value that its column cannot hold; TargetSchemaError for a column that the
    table wants and the rows do not have.
    """
    slots = _slots(target, whole, partial=partial)
    blocks: list[list[Sequence[Any]]] = []
    entries: list[Entry] = []
    if whole is not None:
        blocks.append(_columns(target, whole, slots, form) + ([[0] * len(whole.entries)] if deletes else []))
        entries.extend(whole.entries)
    for part in deletes:
        blocks.append([*_columns(target, part, slots, form), [1] * len(part.entries)])
        entries.extend(part.entries)
    names = [s.name for s in slots] + ([_OP] if deletes else [])
    headers = {"format": form.name, "columns": ",".join([*map(quoted, names), *(e for s in slots if (e := s.expression))])}
    if partial:
        headers["partial_update"] = "true"
    if form.name == "json":
        headers["strip_outer_array"] = headers["ignore_json_size"] = "true"
        row = _row_type(tuple(names))
        return Body(headers, [r for block in blocks for r in map(row, *block)], entries)
    return _csv_body(headers, blocks, entries)


def _slots(target: Target, whole: Part | None, *, partial: bool) -> list[Slot]:
    """The columns of the load, in the order of the rows'."""
    if whole is None:
        named = list(target.primary_key)
    else:
        named = [c.lower() for c in whole.columns]
        absent = [k for k in target.primary_key if k not in named]
        if absent:
            raise TargetSchemaError(
                f"the records of {target.name} lack {', '.join(absent)}", cause="it is part of the table's primary key",
                hint="give the table the key that the records have",
            )  # fmt: skip
    required = [c.name.lower() for c in target.columns.values() if c.is_required and c.name.lower() not in named]
    if required and whole is not None and not partial:
        column = target.columns[required[0]]
        raise TargetSchemaError(
            f"the records of {target.name} lack {', '.join(target.columns[r].name for r in required)}", cause="NOT NULL, and without a default",
            hint=f"ALTER TABLE {quoted(target.name)} MODIFY COLUMN {quoted(column.name)} {column.type.text} NULL",
        )  # fmt: skip
    columns = [target.columns[c] for c in (named if whole is not None else [*named, *required])]
    return [Slot(f"__hex_{i}" if c.type.base == "VARBINARY" else c.name, c) for i, c in enumerate(columns)]


def _columns(target: Target, part: Part, slots: Sequence[Slot], form: Form) -> list[Sequence[Any]]:
    """The part's values for each slot; what the part does not have is filled."""
    at = {name.lower(): i for i, name in enumerate(part.columns)}
    out: list[Sequence[Any]] = []
    for slot in slots:
        index = at.get(slot.column.name.lower())
        if index is None:
            fill = form.null if slot.column.is_nullable else form.written([zero(slot.column.type)], None, target, slot.column)[0]
            out.append([fill] * len(part.entries))
        else:
            out.append(_column(target, part, index, slot.column, form))
    return out


def _column(target: Target, part: Part, index: int, column: Column, form: Form) -> Sequence[Any]:
    name, values = part.columns[index], part.values[index]
    has_nulls = None in values
    if has_nulls and not column.is_nullable:
        raise _null(target, part, values, column)
    known = [v for v in values if v is not None] if has_nulls else values
    schema = part.schema.field(name) if part.schema is not None else None
    try:
        found = form.written(known, schema, target, column)
    except UNWRITABLE as error:
        raise unwritable(
            column.name, schema, values, part.entries, lambda _, v, s: form.written(v, s, target, column), column.type.text, target.name, error
        ) from None
    if not has_nulls:
        return found
    present = iter(found)
    return [form.null if v is None else next(present) for v in values]


def faults_in(target: Target, part: Part, form: Form) -> list[BadRow]:
    """Every record of the part with a value that its column cannot hold."""
    found: dict[Any, BadRow] = {}
    for index, name in enumerate(part.columns):
        column = target.column(name)
        if column is None:
            continue
        try:
            _column(target, part, index, column, form)
        except BadRow:
            for value, entry in zip(part.values[index], part.entries, strict=True):
                error = _fault_of(target, Part((name,), [[value]], [entry], part.schema), column, form)
                if error is not None:
                    found.setdefault(error.record, error)
    return list(found.values())


def _fault_of(target: Target, single: Part, column: Column, form: Form) -> BadRow | None:
    try:
        _column(target, single, 0, column, form)
    except BadRow as error:
        return error
    return None


def _null(target: Target, part: Part, values: Sequence[Any], column: Column) -> BadRow:
    _, changes, i = part.entries[values.index(None)]
    return BadRow.of(
        changes.record(i), f"a null cannot be written to column {column.name} of {target.name}", where=changes.where(i), cause="it is NOT NULL",
        hint=f"ALTER TABLE {quoted(target.name)} MODIFY COLUMN {quoted(column.name)} {column.type.text} NULL",
    )  # fmt: skip


_encode: Final = msgspec.json.Encoder().encode


@lru_cache(256)
def _row_type(names: tuple[str, ...]) -> type[msgspec.Struct]:
    """Objects with these members. A struct is made of a row's values in a tenth of the time that a dict takes."""
    fields = [f"f{i}" for i in range(len(names))]
    return msgspec.defstruct("Row", fields, rename=dict(zip(fields, names, strict=True)), gc=False)


def _json_values(found: Sequence[Any], column: Column) -> Sequence[Any]:
    return [msgspec.Raw(text.encode()) for text in found] if column.type.base == "JSON" else found


def _csv_texts(found: Sequence[Any], _column: Column) -> list[str]:
    texts = [v if type(v) is str else _csv_text(v) for v in found]
    if _NULL in texts:
        raise Unwritable("CSV has no way to write the text \\N: set sink.properties.format=json")
    return texts


def _csv_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return orjson.dumps(value).decode() if isinstance(value, list | dict) else repr(value)


def _csv_body(headers: dict[str, str], blocks: Sequence[list[Sequence[Any]]], entries: Sequence[Entry]) -> Body:
    """Quoted where one look at the whole tells that a text needs it; most do not."""
    blocks = [[list(map(str, c)) if c and type(c[0]) is int else c for c in block] for block in blocks]
    lines = [_SEPARATOR.join(row) + _ROW_END for block in blocks for row in zip(*block, strict=True)]
    separators = sum((len(block) - 1) * len(block[0]) for block in blocks)
    whole = "".join(lines)
    if whole.count(_SEPARATOR) != separators or whole.count(_ROW_END) != len(lines) or "\r" in whole:
        headers = {**headers, "enclose": _ENCLOSE}
        lines = [_SEPARATOR.join(map(_enclosed, row)) + _ROW_END for block in blocks for row in zip(*block, strict=True)]
    return Body(headers, lines, entries)


def _enclosed(text: str) -> str:
    if _SEPARATOR in text or _ROW_END in text or "\r" in text or _ENCLOSE in text:
        return _ENCLOSE + text.replace(_ENCLOSE, _ENCLOSE * 2) + _ENCLOSE
    return text
