"""The SQL of polls, with the position written into it: rows are streamed, which takes no parameters.

Source: TimestampIncrementingCriteria of kafka-connect-jdbc 10.9.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pycdc.sources.jdbc.offsets import Position
from pycdc.sources.jdbc.tables import TableId


class Names(msgspec.Struct, frozen=True):
    """How a dialect writes names: of columns and schemas, and of tables."""

    name: Callable[[str], str]
    table: Callable[[str], str]


class Stamps(msgspec.Struct, frozen=True):
    """Columns of which the first that is not NULL counts, and the SQL that means a moment beside them."""

    columns: tuple[str, ...]
    literal: Callable[[int], str]
    step_us: int = 1


class Statements:
    """Of one table or query. `number` None: nothing grows; `stamps` None: nothing tells a change."""

    def __init__(
        self, source: TableId | str, names: Names, *, number: str | None = None, stamps: Stamps | None = None, suffix: str = ""
    ) -> None:
        self._source = source
        self._names = names
        self._number = number
        self._stamps = stamps
        self._suffix = f" {suffix.strip()}" if suffix.strip() else ""

    @property
    def base(self) -> str:
        """Without condition and suffix."""
        if isinstance(self._source, str):
            return self._source.strip().rstrip(";")
        schema, table = self._source
        return f"SELECT * FROM {self._names.name(schema)}.{self._names.table(table)}"

    @property
    def id(self) -> str:
        """The incrementing column, as SQL."""
        assert self._number is not None
        return self._names.name(self._number)

    @property
    def stamp(self) -> str:
        """The timestamp, as SQL."""
        assert self._stamps is not None
        names = [self._names.name(c) for c in self._stamps.columns]
        return names[0] if len(names) == 1 else f"COALESCE({','.join(names)})"

    @property
    def literal(self) -> Callable[[int], str]:
        """SQL that means a moment beside `stamp`."""
        assert self._stamps is not None
        return self._stamps.literal

    def everything(self) -> str:
        """Without a condition: what bulk reads, and what is described."""
        return f"{self.base}{self._suffix}"

    def new(self, position: Position, until_us: int) -> str:
        """Rows above the position; with timestamps, those before `until_us`."""
        after = -1 if position.number is None else position.number
        if self._stamps is None:
            if self._number is None:
                return self.everything()
            return f"{self.base} WHERE {self.id} > {after} ORDER BY {self.id} ASC{self._suffix}"
        stamp, begin, end = self.stamp, self.literal(position.stamp_us or 0), self.literal(until_us)
        if self._number is None:
            return f"{self.base} WHERE {stamp} > {begin} AND {stamp} < {end} ORDER BY {stamp} ASC{self._suffix}"
        return (
            f"{self.base} WHERE {stamp} < {end} AND (({stamp} = {begin} AND {self.id} > {after}) OR {stamp} > {begin})"
            f" ORDER BY {stamp},{self.id} ASC{self._suffix}"
        )

    def nulls(self) -> str:
        """One of the rows that no poll finds, because they have no tracking value."""
        columns = [*([self.id] if self._number is not None else ()), *([self.stamp] if self._stamps is not None else ())]
        return f"{self.base} WHERE {' OR '.join(f'{c} IS NULL' for c in columns)} LIMIT 1"
