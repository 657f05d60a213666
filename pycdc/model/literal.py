"""A header's text -> schema and value, as Connect's Values.parseString infers them.

Numbers take the narrowest type, dates and times need their full ISO form, lists and maps a common type of
their elements; what fits nothing is a text. Its oddities are kept: behind a number the rest is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from pycdc.model.javatext import float32
from pycdc.model.schema import BOOLEAN, DECIMAL, FLOAT32, FLOAT64, INT32, INT64, STRING, Schema
from pycdc.model.simple_date_format import SimpleDateFormat

_DATA = "org.apache.kafka.connect.data."
_TEMPORAL = {
    10: (Schema(type="int32", name=_DATA + "Date", version=1), SimpleDateFormat("yyyy-MM-dd"), 86_400_000),
    13: (Schema(type="int32", name=_DATA + "Time", version=1), SimpleDateFormat("HH:mm:ss.SSS'Z'"), 1),
    24: (Schema(type="int64", name=_DATA + "Timestamp", version=1), SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'"), 1),
}
#: Delimiters stand alone; a backslash keeps the next character out of their reach.
_TOKEN = re.compile(r'[:,{}\[\]"]|(?:[^:,{}\[\]"\\]|\\.|\\\Z)+', re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_WIDTHS = ("int8", "int16", "int32", "int64", "float32", "float64")

_Typed = tuple[Schema | None, Any]
_NULL: _Typed = (None, None)


class _Broken(Exception):
    """The text is no list or map after all."""


def parse_literal(text: str) -> _Typed:
    """Schema and value; both None for `null`."""
    return (STRING, text) if text == "" else _Parser(text).parse(embedded=False)


class _Parser:
    """Walks the tokens; `at` is the next one."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [m.group() for m in _TOKEN.finditer(text)]
        self.at = 0

    def more(self) -> bool:
        return self.at < len(self.tokens)

    def take(self, expected: str) -> bool:
        """Whether the next token, blank ones skipped, is this one; then it is taken."""
        while self.at + 1 < len(self.tokens) and not self.tokens[self.at].strip():
            self.at += 1
        if self.more() and self.tokens[self.at].strip() == expected:
            self.at += 1
            return True
        return False

    def next(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]

    def parse(self, *, embedded: bool) -> _Typed:
        if not self.more():
            return _NULL
        if embedded and self.take('"'):
            return self._quoted()
        for word, typed in (("null", _NULL), ("true", (BOOLEAN, True)), ("false", (BOOLEAN, False))):
            start = self.at
            if self.take(word) and (embedded or not self.more()):
                return typed
            self.at = start
        start = self.at
        try:
            if self.take("["):
                return self._list()
            if self.take("{"):
                return self._map()
        except _Broken:
            self.at = start
        token = self.next()
        return self._single(token.strip(), embedded=embedded) if token.strip() else (STRING, token)

    def _single(self, token: str, *, embedded: bool) -> _Typed:
        if token[0].isdigit():
            # a time holds delimiters: it is five tokens, unless its colons were escaped
            whole = token + "".join(self.tokens[self.at : self.at + 4])
            if self.at + 4 <= len(self.tokens) and (found := _temporal(whole)) is not None:
                self.at += 4
                return found
            if (found := _temporal(token)) is not None:
                return found
        if _NUMBER.fullmatch(token):
            return _number(Decimal(token))
        if embedded:
            raise _Broken
        return STRING, self.text

    def _quoted(self) -> _Typed:
        content = ""
        while self.more() and not self.take('"'):
            content += self.next()
        return _temporal(content) or (STRING, content)

    def _list(self) -> _Typed:
        items: list[_Typed] = []
        while self.more():
            if self.take("]"):
                common = _common(items)
                align = _aligner(common)
                return Schema(type="array", items=common), [align(v) for _, v in items]
            if self.take(","):
                raise _Broken
            items.append(self.parse(embedded=True))
            start = self.at
            if self.take("]"):
                self.at = start
            elif not self.take(","):
                raise _Broken
        raise _Broken

    def _map(self) -> _Typed:
        keys: list[_Typed] = []
        values: list[_Typed] = []
        while self.more():
            if self.take("}"):
                own, held = _common(keys), _common(values)
                key, value = _aligner(own), _aligner(held if own is not None else None)
                schema = Schema(type="map", keys=own, values=None if own is None else held)
                return schema, {key(k): value(v) for (_, k), (_, v) in zip(keys, values, strict=True)}
            if self.take(","):
                raise _Broken
            keys.append(self.parse(embedded=True))
            if keys[-1][1] is None or isinstance(keys[-1][1], (list, dict)) or not self.take(":"):
                raise _Broken
            values.append(self.parse(embedded=True))
            self.take(",")
        raise _Broken


def _temporal(token: str) -> _Typed | None:
    token = token.replace("\\:", ":")
    if len(token) not in _TEMPORAL:
        return None
    schema, form, unit = _TEMPORAL[len(token)]
    try:
        return schema, form.parse(token) // unit
    except ValueError:
        return None


def _number(value: Decimal) -> _Typed:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    if value == value.to_integral_value() and -(1 << 63) <= value < 1 << 63:
        whole = int(value)
        bits = next(b for b in (8, 16, 32, 64) if -(1 << b - 1) <= whole < 1 << b - 1)
        return {32: INT32, 64: INT64}.get(bits, Schema(type=f"int{bits}")), whole
    if exponent != 0:
        single, double = float32(float(value)), float(value)
        if abs(single) != float("inf"):
            return FLOAT32, single
        if abs(double) != float("inf"):
            return FLOAT64, double
    return Schema(type="bytes", name=DECIMAL, version=1, parameters=(("scale", str(-exponent)),)), value


def _common(items: list[_Typed]) -> Schema | None:
    """The schema that holds every element that is not null, numbers the widest; None when there is none."""
    common: Schema | None = None
    for schema, _ in items:
        if schema is None:
            continue
        common = schema if common is None else _merged(common, schema)
        if common is None:
            return None
    return common


def _merged(a: Schema, b: Schema) -> Schema | None:
    if a.type == b.type:
        return b
    if a.type not in _WIDTHS or b.type not in _WIDTHS:
        return None
    return max(a, b, key=lambda s: _WIDTHS.index(s.type))


def _aligner(schema: Schema | None) -> Callable[[Any], Any]:
    """What brings an element to the common schema, which has no room for a null."""

    def align(value: Any) -> Any:
        if schema is None:
            return value
        if value is None:
            raise _Broken
        if not schema.type.startswith("float"):
            return value
        return float32(float(value)) if schema.type == "float32" else float(value)

    return align
