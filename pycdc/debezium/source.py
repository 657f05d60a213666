"""The `source` block, the system texts of a row, and the schemas around the row.

System texts stand behind a row's columns, in the order of `System`; the streaming and the snapshot reader
append them, the templates hold leaves on them.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Final

from pycdc.model.schema import INT64, OPTIONAL_INT64, OPTIONAL_STRING, STRING, Schema, struct
from pycdc.model.template import Form, Leaf, Reader

#: The Debezium release whose output is emulated; consumers see it as source.version.
VERSION: Final = "3.6.3.Final"

SNAPSHOT = Schema(
    type="string",
    optional=True,
    name="io.debezium.data.Enum",
    version=1,
    parameters=(("allowed", "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental"),),
    default="false",
)

SOURCE_SCHEMA = struct(
    [
        ("version", STRING), ("connector", STRING), ("name", STRING), ("ts_ms", INT64), ("snapshot", SNAPSHOT),
        ("db", STRING), ("sequence", OPTIONAL_STRING), ("ts_us", OPTIONAL_INT64), ("ts_ns", OPTIONAL_INT64),
        ("schema", STRING), ("table", STRING), ("txId", OPTIONAL_INT64), ("lsn", OPTIONAL_INT64),
        ("xmin", OPTIONAL_INT64), ("origin", OPTIONAL_STRING), ("origin_lsn", OPTIONAL_INT64),
    ],
    name="io.debezium.connector.postgresql.Source",
    version=1,
)

TRANSACTION_SCHEMA = struct(
    [("id", STRING), ("total_order", INT64), ("data_collection_order", INT64)],
    optional=True, name="event.block", version=1,
)


class System(enum.IntEnum):
    """Places of the system texts behind a row's columns. Those from TRANSACTION_ID on only with transaction metadata."""

    LSN = 0
    SEQUENCE = 1
    TS_MS = 2
    TS_US = 3
    TS_NS = 4
    TX_ID = 5
    XMIN = 6
    ORIGIN = 7
    ORIGIN_LSN = 8
    SNAPSHOT = 9
    NOW_MS = 10
    NOW_US = 11
    NOW_NS = 12
    TRANSACTION_ID = 13
    TOTAL_ORDER = 14
    TABLE_ORDER = 15
    #: Of the create that a key change ends with: it counts as an event of its own.
    NEXT_TOTAL_ORDER = 16
    NEXT_TABLE_ORDER = 17


def _text(name: str) -> Reader:
    return Reader(read=bytes.decode, form=Form.TEXT, type_name="text", column_name=name)


def _digits(name: str) -> Reader:
    return Reader(read=int, form=Form.DIGITS, type_name="int8", column_name=name)


_READERS: dict[System, Reader] = {
    s: (_text if s in (System.SEQUENCE, System.ORIGIN, System.SNAPSHOT, System.TRANSACTION_ID) else _digits)(
        f"source.{s.name.lower()}"
    )
    for s in System
}

#: Gives the leaf of a system text.
SystemLeaf = Callable[[System], Leaf]


def system_leaf(base: int) -> SystemLeaf:
    """Leaves on the system texts of rows that have `base` column texts before them."""
    return lambda s: Leaf(base + s, _READERS[s])


def source_value(prefix: str, database: str, schema: str, table: str, leaf: SystemLeaf, *, snapshot: bool) -> dict[str, Any]:
    """The source block of one relation. A streamed event leaves `snapshot` null, which prints as its default."""
    return {
        "version": VERSION, "connector": "postgresql", "name": prefix, "ts_ms": leaf(System.TS_MS),
        "snapshot": leaf(System.SNAPSHOT) if snapshot else None, "db": database, "sequence": leaf(System.SEQUENCE),
        "ts_us": leaf(System.TS_US), "ts_ns": leaf(System.TS_NS), "schema": schema, "table": table,
        "txId": leaf(System.TX_ID), "lsn": leaf(System.LSN), "xmin": leaf(System.XMIN),
        "origin": leaf(System.ORIGIN), "origin_lsn": leaf(System.ORIGIN_LSN),
    }


def transaction_value(leaf: SystemLeaf, *, second: bool = False) -> dict[str, Any]:
    """The `transaction` block of an event (provide.transaction.metadata); `second` of the same row's two."""
    return {
        "id": leaf(System.TRANSACTION_ID),
        "total_order": leaf(System.NEXT_TOTAL_ORDER if second else System.TOTAL_ORDER),
        "data_collection_order": leaf(System.NEXT_TABLE_ORDER if second else System.TABLE_ORDER),
    }


def sequence_text(last_commit: int | None, lsn: int) -> bytes:
    """source.sequence: JSON list of the last commit's LSN (null before the first) and the event's."""
    return b'[null,"%d"]' % lsn if last_commit is None else b'["%d","%d"]' % (last_commit, lsn)
