"""The target's tables as a sink knows them: looked at once, made and widened where that was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import orjson

from pycdc.cutoff import to_its_end
from pycdc.errors import PycdcError, TargetSchemaError
from pycdc.model.schema import Schema
from pycdc.plugins.contracts import Offset
from pycdc.sinks.buffer import Buffer
from pycdc.sinks.starrocks.catalog import Catalog, Target, wider_columns
from pycdc.sinks.starrocks.config import StarRocksSinkConfig
from pycdc.sinks.starrocks.load import Tries
from pycdc.sinks.starrocks.rows import marks_of

T = TypeVar("T")

#: Where `pycdc run` keeps its position.
POSITION: Final = "pycdc_offsets"


class Tables:
    """One sink's. `tries` makes what decides how often a lost connection is made again."""

    def __init__(self, settings: StarRocksSinkConfig, catalog: Catalog, tries: Callable[[], Tries]) -> None:
        self._settings, self._catalog, self._tries = settings, catalog, tries
        self._known: dict[str, Target] = {}

    async def version(self) -> tuple[int, ...]:
        return await self._call(self._catalog.version)

    async def truncate(self, table: str) -> None:
        await self._call(lambda: self._catalog.truncate(table))

    async def load_position(self, name: str) -> Offset | None:
        """The position of `pycdc run` stored under `name`; its table is made when it is missing."""
        await self.make_own(POSITION, ("`name` VARCHAR(128) NOT NULL", "`position` STRING NOT NULL"))
        rows = await self.select(f"SELECT position FROM {POSITION} WHERE name = %s", name)
        if not rows:
            return None
        position: Offset = orjson.loads(rows[0][0])
        return position

    async def make_own(self, table: str, columns: Sequence[str]) -> None:
        """A table of pycdc's, whose key is its first column, unless it is there."""
        await self._call(lambda: self._catalog.make_own(table, columns, self._settings.table_properties))

    async def select(self, statement: str, *values: str) -> Sequence[Sequence[Any]]:
        return await self._call(lambda: self._catalog.select(statement, *values))

    def forget(self, table: str) -> None:
        """Look at it again before the next write."""
        self._known.pop(table, None)

    async def target(self, table: str, buffer: Buffer) -> Target:
        """The table with every column of the rows, made or widened when asked for. Raises TargetSchemaError."""
        names = buffer.names
        target = self._known.get(table)
        if target is None or _missing(target, names):  # somebody may have added what is missing
            target = await self._call(lambda: self._catalog.describe(table))
        row = next((c.row_schema for c in reversed(buffer.changes) if c.row_schema is not None), None)
        if target is None and self._settings.creates and row is not None:
            target = await self._made(table, row, buffer)
        if target is None:
            raise TargetSchemaError(
                f"StarRocks has no table {table}", where=self._settings.database,
                hint="create it, or set schema.evolution=basic (which needs records with schemas)",
            )  # fmt: skip
        missing = _missing(target, names)
        if missing:
            target = await self._widened(table, missing, row)
        rows = list({id(c.row_schema): c.row_schema for c in buffer.changes if c.row_schema is not None}.values())
        if self._settings.creates and wider_columns(target, rows):
            target = await self._call(lambda: self._catalog.widen_columns(table, rows))
        self._known[table] = target
        return target

    async def _made(self, table: str, row: Schema, buffer: Buffer) -> Target | None:
        key = next((k for c in reversed(buffer.changes) if (k := c.key_columns)), ())
        if not key:
            raise TargetSchemaError(
                f"table {table} cannot be made", cause="its records have no key, so nothing could be changed or deleted in it",
                hint="message.key.columns at the source names a key; a table that is only appended to is made by hand, with DUPLICATE KEY",
            )  # fmt: skip
        marks, s = marks_of(None), self._settings
        fields = row.replace(fields=tuple(f for f in row.fields if f.name not in marks))
        await self._call(lambda: self._catalog.create(table, fields, key, s.table_properties, s.buckets))
        return await self._call(lambda: self._catalog.describe(table))

    async def _widened(self, table: str, missing: Sequence[str], row: Schema | None) -> Target:
        schemas = {c: s for c in missing if row is not None and (s := row.field(c)) is not None}
        if not self._settings.creates or len(schemas) != len(missing):
            clauses = ", ".join(f"ADD COLUMN `{c}` <type> NULL" for c in missing)
            raise TargetSchemaError(
                f"table {table} lacks {', '.join(missing)}", where=self._settings.database,
                hint=f"ALTER TABLE `{table}` {clauses}, or schema.evolution=basic",
            )  # fmt: skip
        return await self._call(lambda: self._catalog.add_columns(table, schemas))

    async def _call(self, function: Callable[[], T]) -> T:
        """A blocking call in a thread, tried again while StarRocks cannot be reached. One that has begun is waited for also
        when we are cancelled: half a schema change must not meet another.
        """
        tries = self._tries()
        while True:
            try:
                return await to_its_end(asyncio.to_thread(function))
            except PycdcError as error:
                await tries.failed(error)


def _missing(target: Target, names: Sequence[str]) -> list[str]:
    """Those that the table does not have."""
    marks = marks_of(target)
    return [n for n in names if n not in marks and target.column(n) is None]
