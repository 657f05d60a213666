"""Tables and what loads bring into them, in memory."""

from __future__ import annotations

import time
from typing import Any

from pycdc.testing.starrocks.types import SqlType

#: One row of a load: whether it is a delete, its key, the values of the batch's columns.
LoadedRow = tuple[int, tuple[Any, ...], list[Any]]


class Column:
    """A column as declared."""

    def __init__(self, name: str, type_: SqlType, *, null: bool = True, default: Any = None, has_default: bool = False, comment: str = "") -> None:
        self.name, self.type, self.null, self.default = name, type_, null, default
        self.has_default, self.comment, self.key = has_default, comment, False
        #: NULL was written out, which a key column refuses.
        self.explicit_null = False

    def fill(self) -> Any:
        """What a row gets that does not name the column."""
        if self.has_default:
            return self.default
        return None if self.null else self.type.zero()


class Table:
    """A PRIMARY KEY or DUPLICATE KEY table."""

    def __init__(
        self, db: str, name: str, columns: list[Column], model: str, keys: list[str], properties: dict[str, str], distribution: str,
        comment: str = "",
    ) -> None:  # fmt: skip
        self.db, self.name, self.columns, self.model, self.keys = db, name, columns, model, keys
        self.properties, self.distribution, self.comment, self.created = properties, distribution, comment, time.time()
        self.id, self.state = 0, "NORMAL"
        #: By key in a PRIMARY KEY table, else in the order of arrival.
        self.by_key: dict[tuple[Any, ...], list[Any]] = {}
        self.appended: list[list[Any]] = []
        self.stats = {"loads": 0, "rows_loaded": 0, "rows_filtered": 0, "bytes": 0, "versions": 1}

    @property
    def is_primary(self) -> bool:
        return self.model == "PRIMARY"

    def __len__(self) -> int:
        return len(self.by_key) if self.is_primary else len(self.appended)

    def column(self, name: str) -> Column | None:
        return next((c for c in self.columns if c.name.lower() == name.lower()), None)

    def names(self) -> list[str]:
        return [c.name for c in self.columns]

    def ordered(self) -> list[list[Any]]:
        if self.is_primary:
            return [self.by_key[k] for k in sorted(self.by_key)]
        at = [self.names().index(k) for k in self.keys]
        return sorted(self.appended, key=lambda r: [(r[i] is not None, r[i]) for i in at])

    def clear(self) -> None:
        self.by_key.clear()
        self.appended.clear()

    def apply(self, batch: Batch) -> None:
        """Publish one batch: rows in order, the last one of a key wins."""
        self.stats["versions"] += 1
        names = self.names()
        if batch.names == names and not batch.partial and not batch.condition:  # the usual, quick way
            self._replace(batch.rows)
            return
        at = {n: i for i, n in enumerate(names)}
        for deleted, key, row in batch.rows:
            if deleted:
                self.by_key.pop(key, None)
                continue
            new = {n: v for n, v in zip(batch.names, row, strict=True) if n in at}
            old = self.by_key.get(key)
            if old is not None and batch.condition and not _newer(new[batch.condition], old[at[batch.condition]]):
                continue
            full = list(old) if old is not None and batch.partial else [c.fill() for c in self.columns]
            for n, v in new.items():
                full[at[n]] = v
            if self.is_primary:
                self.by_key[key] = full
            else:
                self.appended.append(full)

    def _replace(self, rows: list[LoadedRow]) -> None:
        if not self.is_primary:
            self.appended.extend(row for _, _, row in rows)
            return
        for deleted, key, row in rows:
            if deleted:
                self.by_key.pop(key, None)
            else:
                self.by_key[key] = row


def _newer(new: Any, old: Any) -> bool:
    """merge_condition."""
    return old is None or (new is not None and bool(new >= old))


class Batch:
    """What one load brings into one table."""

    def __init__(self, table: Table, names: list[str], *, partial: bool, condition: str) -> None:
        self.table, self.names, self.partial, self.condition = table, names, partial, condition
        self.rows: list[LoadedRow] = []
        self.filtered, self.bytes = 0, 0
        #: Lines of the error log, as it is fetched behind ErrorURL.
        self.errors: list[str] = []
        self.error_url = ""
        #: Rows of a load that was only counted.
        self.counted = 0

    @property
    def loaded(self) -> int:
        return self.counted or len(self.rows)
