"""A planned load: from the request's headers to what becomes of each row of its body.

Source: fe load/Load.initColumns and StreamLoadPlanner (the columns header, `__op`, defaults, partial_update), be
exec/file_scanner, json_scanner, csv_scanner and tablet_sink (what filters a row, and with which words).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from pycdc.testing.starrocks.bodies import (
    CsvForm,
    csv_records,
    decompress,
    delimiter,
    dig,
    json_documents,
    parse_path,
    shown,
    split_top,
)
from pycdc.testing.starrocks.errors import UNSUPPORTED, Bad, LoadError
from pycdc.testing.starrocks.storage import Batch, Column, Table
from pycdc.testing.starrocks.types import KEY_BYTES, Convert, SqlType, plain, to_text

_FUNCTIONS: Final[dict[str, Callable[[str], Any]]] = {
    "parse_json": lambda s: s, "unhex": bytes.fromhex, "to_binary": bytes.fromhex, "from_base64": base64.b64decode, "upper": str.upper,
    "lower": str.lower,
}  # fmt: skip
_LITERAL = re.compile(r"'([^']*)'|\"([^\"]*)\"|(-?\d+(?:\.\d+)?)|(null)|(true|false)", re.IGNORECASE)
_CSV_FORMATS = {"csv": "", "gzip": "gzip", "bzip2": "bzip2", "lz4": "lz4_frame", "deflate": "deflate", "zstd": "zstd"}
_NOT_MODELLED = ("where", "partitions", "temporary_partitions", "envelope", "enable_merge_commit", "json_root", "channel_id")
_MOST_ERRORS = 50
#: primary_key_limit_size.
_KEY_LIMIT = 128

#: Where a column's value comes from: the slot in the body's row, None for a constant; and what makes the value.
_Source = tuple[int | None, Convert]
#: A row of the body: a raw value per slot, and its text for the error log.
_Raw = tuple[list[Any], Callable[[], str]]


class Plan:
    """One load into one table. Raises LoadError for headers that the FE or BE refuses."""

    def __init__(self, table: Table, headers: dict[str, str], *, count_only: bool = False) -> None:
        self.table, self._headers, self._count_only = table, headers, count_only
        for name in _NOT_MODELLED:
            if headers.get(name, "") not in ("", "false"):
                raise LoadError(UNSUPPORTED % name, "INVALID_ARGUMENT")
        self._read_format()
        self._skip = int(headers["skip_header"]) if headers.get("skip_header", "").isdigit() else 0
        self._strict = self._flag("strict_mode", "Invalid strict mode format. Must be bool type")
        self._partial = self._flag("partial_update", "Invalid partial update flag format. Must be bool type")
        number = re.match(r"\s*[\d.]+", headers.get("max_filter_ratio", ""))
        self.ratio = float(number[0]) if number else 0.0
        self._condition = headers.get("merge_condition", "")
        if self._condition and table.column(self._condition) is None:
            raise LoadError(f"merge condition column {self._condition} does not exist", "ANALYSIS_ERROR")
        if self._partial and not table.is_primary:
            raise LoadError("Only primary key table support partial update", "ANALYSIS_ERROR")
        self._paths = self._read_paths()
        self._read_columns()

    # ---- headers

    def _flag(self, name: str, message: str) -> bool:
        value = self._headers.get(name, "").lower()
        if value not in ("", "true", "false"):
            raise LoadError(message, "INVALID_ARGUMENT")
        return value == "true"

    def _read_format(self) -> None:
        headers = self._headers
        name = headers.get("format", "csv").lower()
        self._json = name == "json"
        if not self._json and name not in _CSV_FORMATS:
            raise LoadError(f"unknown data format, format={headers['format']}")
        if headers.get("content-encoding") and headers.get("compression"):
            raise LoadError("Only one of http header content-encoding and compression can be set", "INVALID_ARGUMENT")
        self._compression = headers.get("content-encoding") or headers.get("compression") or _CSV_FORMATS.get(name, "")
        self._strip = headers.get("strip_outer_array", "").lower() == "true"
        self._csv = CsvForm(
            delimiter(headers.get("column_separator", "\t")), delimiter(headers.get("row_delimiter", "\n")),
            headers.get("enclose", "")[:1], headers.get("escape", "")[:1],
            trim=self._flag("trim_space", "Invalid trim space format. Must be bool type"),
        )  # fmt: skip

    def _read_paths(self) -> list[list[str | int]] | None:
        given = self._headers.get("jsonpaths")
        if not given:
            return None
        try:
            return [parse_path(p) for p in json.loads(given)]
        except (ValueError, TypeError, AttributeError):
            raise LoadError(f"Invalid json path: {given}", "INVALID_ARGUMENT") from None

    def _read_columns(self) -> None:
        slots, expressions = self._columns_header()
        listed = {n.lower() for n in (*slots, *expressions)}
        slots = slots or self.table.names()
        if self.table.is_primary and "__op" not in slots and "__op" not in expressions:
            if self._json:
                slots = [*slots, "__op"]
            else:
                expressions["__op"] = "0"
        self._slots = slots
        mapped = {n.lower() for n in (*slots, *expressions)}
        self._sources: list[_Source] = []
        self._targets: list[Column] = []
        for column in self.table.columns:
            name = column.name.lower()
            if self._partial and name not in listed:
                if column.key:
                    raise LoadError(f"key column {column.name} not in partial update columns", "ANALYSIS_ERROR")
                continue
            if name not in mapped:
                if not column.null and not column.has_default:
                    raise LoadError(f"Column has no default value. column: {column.name}", "ANALYSIS_ERROR")
                self._sources.append(_constant(column.fill()))
            else:
                expression = next((e for n, e in expressions.items() if n.lower() == name), None)
                self._sources.append(self._source(column.name, column.type, expression))
            self._targets.append(column)
        self._op = self._op_source(expressions.get("__op")) if self.table.is_primary else None

    def _columns_header(self) -> tuple[list[str], dict[str, str]]:
        """Names of the body's columns, and expressions by target column."""
        slots: list[str] = []
        expressions: dict[str, str] = {}
        for part in split_top(self._headers.get("columns", "")):
            m = re.match(r"(`[^`]+`|\w+)\s*(?:=\s*(.+))?$", part, re.DOTALL)
            if m is None:
                raise LoadError(f"parse columns header failed: {part}", "ANALYSIS_ERROR")
            name = m[1].strip("`")
            if m[2] is None:
                if name.lower() in (s.lower() for s in slots):
                    raise LoadError(f"Duplicate column: {name}", "ANALYSIS_ERROR")
                slots.append(name)
            elif name in expressions:
                raise LoadError(f"Duplicate column mapping: {name}", "ANALYSIS_ERROR")
            elif self.table.column(name) is None and name != "__op":
                raise LoadError(f"Mapping column is not in table. column: {name}", "ANALYSIS_ERROR")
            else:
                expressions[name] = m[2].strip()
        return slots, expressions

    def _op_source(self, expression: str | None) -> _Source:
        literal = _LITERAL.fullmatch(expression) if expression is not None else None
        if literal is None:
            return self._source("__op", SqlType("TINYINT"), expression)
        word = next((g for g in literal.groups() if g is not None), "").lower()
        if word not in ("upsert", "delete", "0", "1"):
            quoted = literal[1] is not None or literal[2] is not None
            raise LoadError(
                f"load op type string not supported: {word}" if quoted else "const load op type column should only be upsert(0)/delete(1)",
                "ANALYSIS_ERROR",
            )
        return _constant(1 if word in ("delete", "1") else 0)

    def _source(self, name: str, type_: SqlType, expression: str | None) -> _Source:
        function, source = None, name
        if expression is not None:
            literal = _LITERAL.fullmatch(expression)
            if literal is not None:
                return self._literal(type_, literal)
            m = re.fullmatch(r"(?:(\w+)\s*\(\s*)?(`[^`]+`|\w+)\s*\)?", expression)
            if m is None or (m[1] and m[1].lower() not in _FUNCTIONS):
                raise LoadError(UNSUPPORTED % f"expression {expression}", "ANALYSIS_ERROR")
            function, source = _FUNCTIONS.get((m[1] or "").lower()), m[2].strip("`")
        index = next((i for i, s in enumerate(self._slots) if s.lower() == source.lower()), None)
        if index is None:
            raise LoadError(f"Column '{source}' cannot be resolved.", "ANALYSIS_ERROR")
        if function is not None:
            return index, _applied(function, type_, name)
        return index, type_.json_converter(name) if self._json else type_.from_text

    def _literal(self, type_: SqlType, literal: re.Match[str]) -> _Source:
        text = next((g for g in (literal[1], literal[2], literal[3], literal[5]) if g is not None), None)
        try:
            return _constant(None if text is None else type_.from_text(text))
        except Bad:
            return _constant(None)

    # ---- running

    def run(self, bodies: list[bytes]) -> Batch:
        """Parse and convert everything. Raises LoadError, with the batch, when the scanner stops."""
        data = [decompress(b, self._compression) if self._compression else b for b in bodies]
        batch = Batch(self.table, [c.name for c in self._targets], partial=self._partial, condition=self._condition)
        batch.bytes = sum(map(len, bodies))
        if self._count_only:
            batch.counted = sum(map(self._count, data))
            return batch
        try:
            if self._json:
                for body in data:
                    self._convert(batch, self._json_rows(body))
            else:
                self._convert(batch, self._csv_rows(batch, b"".join(data)))
        except LoadError as error:  # nothing is counted then, the log is kept
            error.batch, batch.rows, batch.filtered = batch, [], 0
            if error.code == "DATA_QUALITY_ERROR":
                batch.errors.append(f"Error: Data quality error: {error}. Row: parser current location: ")
            raise
        return batch

    def _count(self, body: bytes) -> int:
        """Rows of a body by their beginnings; exact unless a value looks like the beginning of a row."""
        if not self._json:
            return body.count(self._csv.row_delimiter.encode())
        first = re.match(rb'\s*\[?\s*(\{"[^"]*":)', body)
        return body.count(first[1]) if first else 0

    def _convert(self, batch: Batch, rows: Iterator[_Raw]) -> None:
        targets = self._targets
        keys = [i for i, c in enumerate(targets) if c.key] if self.table.is_primary else []
        required = [(i, c.name) for i, c in enumerate(targets) if not c.null]
        long_keys = any(targets[i].type.base == "VARCHAR" for i in keys) or len(keys) > 4
        for raw, text in rows:
            try:
                values = [self._value(source, raw) for source in self._sources]
                deleted = self._value(self._op, raw) if self._op is not None else 0
            except _Refused as refused:
                _reject(batch, self._reason(refused, raw), text())
                continue
            null = next((n for i, n in required if values[i] is None), "__op" if deleted is None else None)
            if null is not None:
                _reject(batch, f"NULL value in non-nullable column '{null}'", _debug_row(values))
                continue
            key = tuple([values[i] for i in keys])
            if long_keys and _key_size([targets[i].type for i in keys], key) > _KEY_LIMIT:
                raise LoadError("primary key size exceed the limit.", "CANCELLED")
            batch.rows.append((1 if deleted else 0, key, values))

    def _value(self, source: _Source, raw: list[Any]) -> Any:
        index, convert = source
        if index is None:
            return convert(None)
        value = raw[index]
        if value is None:
            return None
        try:
            return convert(value)
        except Bad as error:
            if self._strict:
                raise _Refused(str(error), index) from error
            return None

    def _reason(self, refused: _Refused, raw: list[Any]) -> str:
        if self._json:
            return str(refused)
        slot, value = self._slots[refused.index], raw[refused.index]
        column = self.table.column(slot)
        return (
            f"The field (name = {slot}, pos = {refused.index}) is out of range. Type: {column.type.debug() if column else 'TINYINT'}, "
            f"Value length: {len(value.encode())}, Value: {value}"
        )

    def _json_rows(self, body: bytes) -> Iterator[_Raw]:
        slots, paths = self._slots, self._paths
        op = slots.index("__op") if "__op" in slots else -1
        for document in json_documents(body, strip_outer_array=self._strip):
            if not isinstance(document, dict):
                raise LoadError(
                    "Failed to iterate json array as object. error: The JSON element does not have the requested type."
                    if self._strip
                    else "The value should be object type in json document stream",
                    "DATA_QUALITY_ERROR",
                )
            if paths is None:
                raw = [document.get(s) for s in slots]
                absent = "__op" not in document
            else:
                raw = [dig(document, paths[i]) if i < len(paths) else None for i in range(len(slots))]
                absent = True
            if absent and op >= 0 and raw[op] is None:
                raw[op] = 0
            yield raw, lambda d=document: json.dumps(plain(d), ensure_ascii=False)  # type: ignore[misc]

    def _csv_rows(self, batch: Batch, body: bytes) -> Iterator[_Raw]:
        n, form = len(self._slots), self._csv
        for k, (line, fields) in enumerate(csv_records(body, form)):
            if k < self._skip or not fields:
                continue
            if isinstance(fields, str):
                _reject(batch, fields, line)
            elif len(fields) != n:
                _reject(
                    batch, f"Target column count: {n} doesn't match source value column count: {len(fields)}. Column separator: "
                    f"{shown(form.separator)}, Row delimiter: {shown(form.row_delimiter)}", line,
                )  # fmt: skip
            else:
                yield [None if f == "\\N" else f for f in fields], lambda line=line: line  # type: ignore[misc]


class _Refused(Exception):
    """A value that strict_mode does not let pass."""

    def __init__(self, reason: str, index: int) -> None:
        super().__init__(reason)
        self.index = index


def _constant(value: Any) -> _Source:
    return None, lambda _raw: value


def _applied(function: Callable[[str], Any], type_: SqlType, name: str) -> Convert:
    def convert(raw: Any) -> Any:
        try:
            return type_.from_text(function(to_text(raw)))
        except (Bad, ValueError):
            raise Bad(f"Value '{to_text(raw)}' is out of range. The type of '{name}' is {type_.debug()}") from None

    return convert


def _reject(batch: Batch, reason: str, row: str) -> None:
    batch.filtered += 1
    if len(batch.errors) < _MOST_ERRORS:
        batch.errors.append(f"Error: {reason}. Row: {row}")


def _debug_row(values: list[Any]) -> str:
    return "[" + ", ".join("NULL" if v is None else f"'{v}'" if isinstance(v, str) else str(v) for v in values) + "]"


def _key_size(types: list[SqlType], key: tuple[Any, ...]) -> int:
    last = len(key) - 1
    return sum(KEY_BYTES.get(t.base) or len(v.encode()) + (0 if i == last else 2) for i, (t, v) in enumerate(zip(types, key, strict=True)))
