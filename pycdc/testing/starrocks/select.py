"""SELECT over tables and over information_schema, as far as clients of StarRocks ask for it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

from pycdc.testing.starrocks.bodies import split_top
from pycdc.testing.starrocks.cluster import Cluster
from pycdc.testing.starrocks.errors import UNSUPPORTED, SqlError
from pycdc.testing.starrocks.storage import Table
from pycdc.testing.starrocks.types import BITS

TEXT: Final = 253
LONG: Final = 8
#: Columns with their number in MySQL's protocol, and rows.
Rows = tuple[list[tuple[str, int]], Sequence[Sequence[Any]]]

IDENTIFIER: Final = r"(`[^`]+`|[\w$]+)"


def bare(name: str | None) -> str:
    return (name or "").strip("`")


def literal(text: str, database: str) -> Any:
    t = text.strip()
    if t[:1] in ("'", '"') and t[-1:] == t[:1]:
        return re.sub(r"\\(.)", r"\1", t[1:-1]).replace(t[0] * 2, t[0])
    if re.fullmatch(r"(?i)(database|schema)\(\)", t):
        return database
    if re.fullmatch(r"-?\d+", t):
        return int(t)
    return None if t.lower() == "null" else t


class Selection:
    """`what` of rows, with WHERE, ORDER BY and LIMIT in `rest`. Raises SqlError."""

    def __init__(self, columns: list[tuple[str, int]], rows: Iterable[Sequence[Any]], database: str) -> None:
        self._columns, self._rows, self._database = columns, list(rows), database
        self._names = [n.lower() for n, _ in columns]

    def run(self, what: str, rest: str) -> Rows:
        m = re.fullmatch(r"(?is)\s*(?:WHERE\s+(.*?))?\s*(?:ORDER\s+BY\s+(.*?))?\s*(?:LIMIT\s+(\d+)(?:\s+OFFSET\s+(\d+))?)?\s*", rest)
        if m is None:
            raise SqlError(f"Getting syntax error. Detail message: Unexpected input '{rest[:60]}'.")
        for condition in re.split(r"(?i)\s+AND\s+", m[1] or ""):
            if condition.strip():
                self._filter(condition.strip())
        for key in reversed(split_top(m[2] or "")):
            self._sort(key)
        if m[3]:
            begin = int(m[4] or 0)
            self._rows = self._rows[begin : begin + int(m[3])]
        return self._picked(what)

    def _at(self, name: str) -> int:
        known = bare(name.rsplit(".", maxsplit=1)[-1].strip()).lower()
        if known not in self._names:
            raise SqlError(f"Getting analyzing error. Detail message: Column '{bare(name)}' cannot be resolved.")
        return self._names.index(known)

    def _filter(self, condition: str) -> None:
        condition = condition[1:-1] if condition.startswith("(") else condition
        c = re.fullmatch(r"(?is)\s*([\w`.]+)\s*(=|<=|>=|!=|<>|<|>|IN|LIKE|IS\s+NOT|IS)\s*(.*?)\s*", condition)
        if c is None:
            raise SqlError(UNSUPPORTED % f"condition {condition}")
        i, op = self._at(c[1]), re.sub(r"\s+", " ", c[2].upper())
        values = [literal(v, self._database) for v in (split_top(c[3].strip("()")) if op == "IN" else [c[3]])]
        self._rows = [r for r in self._rows if _matches(r[i], op, values)]

    def _sort(self, key: str) -> None:
        k = re.fullmatch(r"(?i)(\S+)(?:\s+(ASC|DESC))?", key)
        if k is None:
            raise SqlError(UNSUPPORTED % f"order {key}")
        i = self._at(k[1])
        self._rows.sort(key=lambda r: (r[i] is not None, r[i]), reverse=(k[2] or "").upper() == "DESC")

    def _picked(self, what: str) -> Rows:
        if what.strip() == "*":
            return self._columns, self._rows
        counted = re.fullmatch(rf"(?i)\s*COUNT\s*\(\s*(?:\*|1)\s*\)(?:\s+(?:AS\s+)?{IDENTIFIER})?\s*", what)
        if counted is not None:
            return [(bare(counted[1]) or "count(*)", LONG)], [[len(self._rows)]]
        picked = []
        for item in split_top(what):
            p = re.fullmatch(rf"(?i)([\w`.$]+)(?:\s+(?:AS\s+)?{IDENTIFIER})?", item)
            if p is None:
                raise SqlError(UNSUPPORTED % f"select list {what}")
            picked.append((self._at(p[1]), bare(p[2]) or bare(p[1].split(".")[-1])))
        return [(name, self._columns[i][1]) for i, name in picked], [[r[i] for i, _ in picked] for r in self._rows]


def _matches(value: Any, op: str, wanted: list[Any]) -> bool:
    if op in ("IS", "IS NOT"):
        return bool((value is None) == (op == "IS"))
    if value is None:
        return False
    alike = [type(value)(w) if isinstance(value, int | float | Decimal) and w is not None else w for w in wanted]
    if op in ("=", "IN"):
        return value in alike
    if op in ("!=", "<>"):
        return value not in alike
    if op == "LIKE":
        return like(str(wanted[0])).fullmatch(value) is not None
    return bool({"<": value < alike[0], ">": value > alike[0], "<=": value <= alike[0], ">=": value >= alike[0]}[op])


def like(pattern: str) -> re.Pattern[str]:
    return re.compile("".join(".*" if c == "%" else "." if c == "_" else re.escape(c) for c in pattern), re.IGNORECASE)


def information_schema(cluster: Cluster, name: str) -> Rows:
    """One of its tables. Raises SqlError."""
    make = _VIRTUAL.get(name)
    if make is None:
        raise SqlError(f"Unknown table 'information_schema.{name}'", 5502, "42602")
    names, rows = make(cluster)
    return [(n, LONG if n in _NUMBERS else TEXT) for n in names.split()], rows


_NUMBERS = frozenset((
    "ORDINAL_POSITION", "TABLE_ROWS", "COLUMN_SIZE", "DECIMAL_DIGITS", "NUMERIC_PRECISION", "NUMERIC_SCALE", "CHARACTER_MAXIMUM_LENGTH",
    "CHARACTER_OCTET_LENGTH", "TABLE_ID", "DISTRIBUTE_BUCKET",
))  # fmt: skip
_KEYS = {"PRIMARY": "PRI", "DUPLICATE": "DUP"}


def _tables(cluster: Cluster) -> list[Table]:
    return [t for d in sorted(cluster.dbs) for _, t in sorted(cluster.dbs[d].items())]


def _schemata(cluster: Cluster) -> tuple[str, list[list[Any]]]:
    rows: list[list[Any]] = [["def", d, "utf8", "utf8_general_ci", None] for d in [*sorted(cluster.dbs), "information_schema"]]
    return "CATALOG_NAME SCHEMA_NAME DEFAULT_CHARACTER_SET_NAME DEFAULT_COLLATION_NAME SQL_PATH", rows


def _table_rows(cluster: Cluster) -> tuple[str, list[list[Any]]]:
    names = (
        "TABLE_CATALOG TABLE_SCHEMA TABLE_NAME TABLE_TYPE ENGINE VERSION ROW_FORMAT TABLE_ROWS AVG_ROW_LENGTH DATA_LENGTH "
        "CREATE_TIME TABLE_COLLATION TABLE_COMMENT"
    )
    return names, [
        ["def", t.db, t.name, "BASE TABLE", "StarRocks", None, "", len(t), 0, 0, stamp(t.created), "utf8_general_ci", t.comment]
        for t in _tables(cluster)
    ]


def _column_rows(cluster: Cluster) -> tuple[str, list[list[Any]]]:
    names = (
        "TABLE_CATALOG TABLE_SCHEMA TABLE_NAME COLUMN_NAME ORDINAL_POSITION COLUMN_DEFAULT IS_NULLABLE DATA_TYPE CHARACTER_MAXIMUM_LENGTH "
        "CHARACTER_OCTET_LENGTH NUMERIC_PRECISION NUMERIC_SCALE DATETIME_PRECISION CHARACTER_SET_NAME COLLATION_NAME COLUMN_TYPE "
        "COLUMN_KEY EXTRA PRIVILEGES COLUMN_COMMENT COLUMN_SIZE DECIMAL_DIGITS GENERATION_EXPRESSION SRS_ID"
    )
    rows: list[list[Any]] = []
    for t in _tables(cluster):
        for i, c in enumerate(t.columns, 1):
            kind = c.type
            digits = {8: 3, 16: 5, 32: 10, 64: 19, 128: 39}.get(BITS.get(kind.base, 0))
            length, precision = kind.length or None, kind.precision or None
            scale = kind.scale if kind.base == "DECIMAL" else None
            data_type, column_type, _ = kind.mysql()
            rows.append([
                "def", t.db, t.name, c.name, i, c.default if c.has_default else None, "YES" if c.null else "NO", data_type, length,
                length and length * 4, precision or digits, scale, None, None, None, column_type, _KEYS[t.model] if c.key else "", "",
                "", c.comment, length or precision or digits, scale, None, None,
            ])  # fmt: skip
    return names, rows


def _config_rows(cluster: Cluster) -> tuple[str, list[list[Any]]]:
    names = (
        "TABLE_SCHEMA TABLE_NAME TABLE_ENGINE TABLE_MODEL PRIMARY_KEY PARTITION_KEY DISTRIBUTE_KEY DISTRIBUTE_TYPE DISTRIBUTE_BUCKET "
        "SORT_KEY PROPERTIES TABLE_ID"
    )
    rows: list[list[Any]] = []
    for t in _tables(cluster):
        key = ", ".join(f"`{k}`" for k in t.keys)
        hashed = re.search(r"(?i)HASH\s*\(([^)]*)\)(?:\s+BUCKETS\s+(\d+))?", t.distribution)
        rows.append([
            t.db, t.name, "OLAP", t.model + "_KEYS", key, "", hashed[1] if hashed else "", "HASH" if hashed else "RANDOM",
            int(hashed[2] or 1) if hashed else 1, key, json.dumps({"replication_num": "3", **t.properties}), t.id,
        ])  # fmt: skip
    return names, rows


_VIRTUAL: Final = {"schemata": _schemata, "tables": _table_rows, "columns": _column_rows, "tables_config": _config_rows}


def stamp(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
