"""What pycdc knows of a PostgreSQL table: columns, types, key, replica identity.

Filled by postgres.catalog and by Relation messages, read by debezium. Names, types and order of a row's
columns come from the Relation message of its moment; nullability, defaults and keys from the catalog.
"""

from __future__ import annotations

import msgspec


class TypeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A row of pg_type, with what it refers to.

    `kind` is typtype: b base, c composite, d domain, e enum, p pseudo, r range, m multirange.
    """

    oid: int
    name: str
    schema: str = "pg_catalog"
    kind: str = "b"
    category: str = ""
    #: Element of an array type (typcategory A), else None.
    element: TypeInfo | None = None
    #: Direct base of a domain, with the domain's own modifier.
    base: TypeInfo | None = None
    base_typmod: int = -1
    #: Labels of an enum in sort order.
    labels: tuple[str, ...] = ()


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column. `typmod` is atttypmod (-1 = none)."""

    name: str
    type: TypeInfo
    typmod: int = -1
    nullable: bool = True
    #: Expression as pg_get_expr prints it, None without a default (generated columns have none).
    default: str | None = None
    #: Identity or serial: the value comes from a sequence.
    auto_increment: bool = False
    comment: str | None = None
    #: Part of the replica identity, as the Relation message says (flag 1) or the catalog.
    identity: bool = False


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """A unique index whose columns are all plain columns."""

    name: str
    columns: tuple[str, ...]


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """`replica_identity` is relreplident: d default, f full, i index, n nothing. `kind` is relkind: r or p."""

    oid: int
    schema: str
    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    #: In the order in which the JDBC driver's metadata lists them: by name.
    unique_indexes: tuple[Index, ...] = ()
    replica_identity: str = "d"
    kind: str = "r"
    comment: str | None = None
    #: False when the catalog no longer knows the table (dropped while WAL still held rows of it).
    known: bool = True

    @property
    def id(self) -> str:
        return f"{self.schema}.{self.name}"

    def column(self, name: str) -> Column | None:
        for c in self.columns:
            if c.name == name:
                return c
        return None
