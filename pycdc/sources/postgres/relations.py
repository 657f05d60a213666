"""A Relation message and the catalog, made into one Table.

Names, types and column order come from the Relation of the row's own moment; nullability, defaults and keys
from the catalog as it is now, because pgoutput has none of them. A column that the catalog no longer knows
is optional without default; so is every column of a table that is gone, and it has no key.
"""

from __future__ import annotations

from collections.abc import Mapping

from pycdc.model.table import Column, Table, TypeInfo
from pycdc.postgres.pgoutput import Relation


def merge(relation: Relation, known: Table | None, types: Mapping[int, TypeInfo]) -> Table:
    """The table as rows under `relation` have it."""
    columns = []
    for c in relation.columns:
        catalog = known.column(c.name) if known is not None else None
        info = types.get(c.type_oid) or TypeInfo(oid=c.type_oid, name="?", kind="p")
        columns.append(
            Column(
                name=c.name,
                type=info,
                typmod=c.typmod,
                nullable=catalog.nullable if catalog is not None else True,
                default=catalog.default if catalog is not None else None,
                auto_increment=catalog.auto_increment if catalog is not None else False,
                comment=catalog.comment if catalog is not None else None,
                identity=bool(c.flags & 1),
            )
        )
    return Table(
        oid=relation.oid,
        schema=relation.schema,
        name=relation.name,
        columns=tuple(columns),
        primary_key=known.primary_key if known is not None else (),
        unique_indexes=known.unique_indexes if known is not None else (),
        replica_identity=relation.replica_identity,
        comment=known.comment if known is not None else None,
        known=known is not None,
    )
