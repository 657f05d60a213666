"""Records with holes: one per relation and kind of change, filled by each row's texts.

A template is an ordinary `Record` in whose key, value and headers a `Leaf` stands wherever a value comes
from the row. A row is a tuple of texts as PostgreSQL prints them (None = NULL). Filling a template gives
the record that the readable path transforms and converts; the plan runs transforms and converter once on
the template instead (docs/architecture.md, "One truth, two orders").
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

import msgspec

from pycdc.model.record import Header, Record

#: A row of texts: the columns after the change, the columns before it, then the system texts.
Row = Sequence[bytes | None]


class Form(enum.Enum):
    """What a text already is, so that a converter may pass it through."""

    NONE = 0
    DIGITS = 1  # the text is the decimal number
    TEXT = 2  # the text is the string, in UTF-8


class Reader(msgspec.Struct, frozen=True):
    """How a text becomes a value of its field's schema.

    `read` raises ConversionError or ValueError when the text has no such value.
    """

    read: Callable[[bytes], Any]
    form: Form = Form.NONE
    #: For Decimal: text -> the unscaled number at the schema's scale, without a Decimal in between.
    unscaled: Callable[[bytes], int] | None = None
    #: PostgreSQL's name of the type and the column's name, for messages.
    type_name: str = ""
    column_name: str = ""


class NeedsValue(Exception):
    """A transform looked at a leaf: this template must take the readable path."""


class Leaf:
    """Stands where a value will stand. It may be moved, never looked at."""

    __slots__ = ("column", "missing", "null", "reader")

    def __init__(self, column: int, reader: Reader, null: Any = None, missing: Any = None) -> None:
        self.column = column
        self.reader = reader
        #: What a NULL becomes.
        self.null = null
        #: What it becomes when `null` does not say: of a field that may not be null. Plans refuse such a row.
        self.missing = missing

    def or_default(self, default: Any) -> Leaf:
        """This leaf, its NULL replaced by `default`."""
        return self if self.null is not None else Leaf(self.column, self.reader, default)

    def mapped(self, change: Callable[[Any], Any]) -> Leaf:
        """A leaf whose value is this one's after `change`, which is not called for a NULL.

        Whatever `change` raises comes out as ValueError: in a plan it sends the row to the readable path,
        where the transform itself meets the value and makes its own error.
        """
        read = self.reader.read

        def changed(text: bytes) -> Any:
            value = read(text)
            if value is None:
                raise ValueError("a text without value")
            try:
                return change(value)
            except Exception as error:
                raise ValueError(str(error)) from error

        reader = Reader(changed, type_name=self.reader.type_name, column_name=self.reader.column_name)
        leaf = Leaf(self.column, reader, None if self.null is None else change(self.null), self.missing)
        watched = _MAPPED.get()
        if watched is not None:
            watched[:] = [w for w in watched if w is not self] + [leaf]
        return leaf

    def __repr__(self) -> str:
        return f"Leaf({self.column}, {self.reader.column_name}:{self.reader.type_name})"

    def _looked_at(self, *_: object) -> NoReturn:
        raise NeedsValue(self.reader.column_name)

    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = _looked_at
    __bool__ = __str__ = __len__ = __iter__ = __int__ = __float__ = __hash__ = _looked_at
    __getitem__ = __contains__ = __add__ = __format__ = _looked_at


_MAPPED: ContextVar[list[Leaf] | None] = ContextVar("mapped leaves", default=None)


@contextmanager
def mapped_leaves() -> Iterator[list[Leaf]]:
    """Gathers the leaves that `mapped` makes meanwhile, but for those mapped on.

    One that does not come out at the end was dropped: over a template its change, which may fail for some
    rows, would never be made.
    """
    made: list[Leaf] = []
    token = _MAPPED.set(made)
    try:
        yield made
    finally:
        _MAPPED.reset(token)


def leaves(value: Any) -> Iterator[Leaf]:
    """Every leaf inside."""
    if type(value) is Leaf:
        yield value
    elif type(value) in (dict, list):
        for part in value.values() if type(value) is dict else value:
            yield from leaves(part)


#: Called with the leaf, the text and the error; returns the value to use instead, or raises.
OnError = Callable[[Leaf, bytes, Exception], Any]


def fill_value(value: Any, row: Row, on_error: OnError | None = None) -> Any:
    """`value` with every leaf replaced by what its text reads as."""
    if type(value) is Leaf:
        text = row[value.column]
        if text is None:
            return value.missing if value.null is None else value.null
        try:
            return value.reader.read(text)
        except Exception as error:
            if on_error is None:
                raise
            return on_error(value, text, error)
    if type(value) is dict:
        return {k: fill_value(v, row, on_error) for k, v in value.items()}
    if type(value) is list:
        return [fill_value(v, row, on_error) for v in value]
    return value


def fill(template: Record, row: Row, on_error: OnError | None = None) -> Record:
    """The record that `template` and `row` stand for."""
    follows = template.follows
    return template.replace(
        follows=None if follows is None else fill(follows, row, on_error),
        key=fill_value(template.key, row, on_error),
        value=fill_value(template.value, row, on_error),
        headers=tuple(
            Header(h.key, h.schema, fill_value(h.value, row, on_error)) for h in template.headers
        ),
    )
