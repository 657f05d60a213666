"""Many messages of one schema at once: what a sink reads of JSON by the thousand.

Of an envelope only what a row needs is parsed: `before` and `source` cost half of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import orjson

from pycdc.converters.json_schema import Fixer, InexactNumberError
from pycdc.errors import RecordError
from pycdc.model.change import Rows
from pycdc.model.envelope import OP, SOURCE
from pycdc.model.schema import Schema


class Known(msgspec.Struct, frozen=True):
    """A schema that was read, and what its payloads need. `prefix` stands in front of them; `row_schema`: of an envelope's
    `after`.
    """

    prefix: bytes
    schema: Schema
    fix: Fixer | None
    row_schema: Schema | None
    fix_row: Fixer | None


def values_of(payloads: Sequence[bytes], known: Known | None) -> tuple[Schema | None, list[Any]]:
    """The schema and the values. Raises one of CANNOT_READ_MANY."""
    values = list(map(orjson.loads, payloads))
    if known is None:
        return None, values
    fix = known.fix
    return known.schema, values if fix is None else [None if v is None else fix(v) for v in values]


def rows_of(payloads: Sequence[bytes], known: Known | None) -> Rows | None:
    """See plugins.contracts.RowReader. Raises one of CANNOT_READ_MANY."""
    if not _is_envelope(payloads[0]):
        rows = list(map(orjson.loads, payloads))
        if any(type(r) is not dict or (OP in r and SOURCE in r) for r in rows):
            return None
        return Rows(None, rows) if known is None else Rows(None, _mended(rows, known.fix), known.schema)
    envelopes = list(map(_decode_envelope, payloads))
    rows = orjson.loads(b"[" + b",".join([e.after for e in envelopes]) + b"]")
    ops = [e.op for e in envelopes]
    source = _common_source(envelopes, payloads[0])
    if known is None:
        return Rows(ops, rows, None, source)
    return Rows(ops, _mended(rows, known.fix_row), known.row_schema, source)


class _Table(msgspec.Struct, gc=False):
    schema: str | None = None
    table: str | None = None


class _Envelope(msgspec.Struct, kw_only=True, gc=False):
    op: str
    source: _Table | None
    after: msgspec.Raw = msgspec.Raw(b"null")


_decode_envelope = msgspec.json.Decoder(_Envelope).decode


def _common_source(envelopes: list[_Envelope], first: bytes) -> dict[str, Any]:
    """The source block of the first one, which is `first`. Raises ValueError when they are of several tables, as a router
    may mix them.
    """
    table = envelopes[0].source
    if any(e.source != table for e in envelopes):
        raise ValueError
    source: dict[str, Any] | None = orjson.loads(first)[SOURCE]
    return source or {}


def _is_envelope(payload: bytes) -> bool:
    try:
        _decode_envelope(payload)
    except msgspec.DecodeError:
        return False
    return True


def _mended(rows: list[Any], fix: Fixer | None) -> list[Any]:
    return rows if fix is None else [None if r is None else fix(r) for r in rows]


#: `read` takes the messages one by one then, and names the one at fault.
CANNOT_READ_MANY = (RecordError, msgspec.DecodeError, ValueError, TypeError, AttributeError, InexactNumberError)
