"""A table of the target: what ClickHouse's catalog says of it, and what that means for changes of rows.

Source: ClickHouse's documentation of system.tables, system.columns and the MergeTree family.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from pycdc.errors import TargetSchemaError
from pycdc.sinks.clickhouse import statements
from pycdc.sinks.clickhouse.client import Session
from pycdc.sinks.clickhouse.kinds import arguments, bare, first_call, split
from pycdc.sinks.clickhouse.naming import Place

#: A row stays one row: the newest version of a sorting key wins.
REPLACING: Final = "Replacing"
#: A change takes the old row away and adds the new one.
COLLAPSING: Final = "Collapsing"
#: Every change is a row.
LOG: Final = ""

_ENGINE: Final = re.compile(r"(Replicated|Shared)?(\w*)MergeTree")
#: Names that delete marks have where no engine names one: ours, then those of other tools and of hand-made tables.
_MARKS: Final = ("_is_deleted", "_deleted", "is_deleted")
OP: Final = "_op"

_COLUMNS: Final = (
    "SELECT name, type, default_kind, is_in_sorting_key, is_in_partition_key, is_in_primary_key FROM system.columns "
    "WHERE table = {t:String} AND database = if({d:String} = '', currentDatabase(), {d:String}) ORDER BY position"
)


class Target(msgspec.Struct, frozen=True):
    """`types` are those of the columns that can be written; the others are None where the table has no such column."""

    place: Place
    types: dict[str, str]
    family: str
    version: str | None = None
    deleted: str | None = None
    #: FINAL leaves deleted rows out by itself.
    hides_deleted: bool = False
    sign: str | None = None
    op: str | None = None
    #: The sorting key as SQL, the columns that it is of, and those that stand in it bare.
    sorting_key: str = ""
    sorted_by: frozenset[str] = frozenset()
    sorted_bare: frozenset[str] = frozenset()
    #: Columns whose type no ALTER may change: of keys, and those that the engine reads.
    fixed: frozenset[str] = frozenset()
    #: Blocks are remembered by their tokens.
    deduplicates: bool = False
    replicated: bool = False
    #: Of a Distributed table: where its rows are, and on which cluster.
    own: Place | None = None
    cluster: str = ""

    @property
    def distributed(self) -> bool:
        return self.own is not None

    @property
    def name(self) -> str:
        """As SQL."""
        return statements.table(self.place)

    def __str__(self) -> str:
        return ".".join(filter(None, self.place))


def load(session: Session, place: Place, version_column: str, deleted_column: str) -> Target | None:
    """The table as it is; None when there is none. Raises TargetSchemaError for an engine that cannot take changes."""
    database, name = place
    found = session.rows(
        "SELECT engine, engine_full, sorting_key FROM system.tables WHERE name = {t:String} AND database = "
        "if({d:String} = '', currentDatabase(), {d:String})", t=name, d=database,
    )  # fmt: skip
    if not found:
        return None
    engine, full, sorting_key = found[0]
    if engine == "Distributed":
        return _distributed(session, place, full, version_column, deleted_column)
    columns = session.rows(_COLUMNS, t=name, d=database)
    types = _writable(columns)
    read = _ENGINE.fullmatch(engine)
    family, given = read[2] if read is not None else LOG, _given(full, replicated=bool(read and read[1]))
    version = deleted = sign = None
    if family == REPLACING:
        version, deleted = [*given, None, None][:2]
    elif family == COLLAPSING:
        sign = given[0]
    elif family == "VersionedCollapsing":
        raise TargetSchemaError(
            f"table {'.'.join(filter(None, place))} is a {engine}", cause="the row that takes another away needs that row's version, which no event has",
            hint=statements.rebuild(place, f"ReplacingMergeTree({statements.quoted(given[1])})", f"({sorting_key})"),
        )  # fmt: skip
    else:
        family, version = LOG, version_column if version_column in types else None
    if family != COLLAPSING and deleted is None:
        deleted = next((c for c in (deleted_column, *_MARKS) if c in types and bare(types[c]) in ("UInt8", "Bool", "Int8")), None)
    fixed = {c[0] for c in columns if c[3] or c[4] or c[5]} | {c for c in (version, deleted, sign) if c}
    return Target(
        place, types, family, version=version, deleted=deleted, hides_deleted=family == REPLACING and len(given) > 1, sign=sign,
        op=OP if family == LOG and OP in types else None, sorting_key=sorting_key, sorted_by=frozenset(c[0] for c in columns if c[3]),
        sorted_bare=frozenset(_unquoted(e) for e in split(_without_parentheses(sorting_key))), fixed=frozenset(fixed),
        deduplicates=bool(read and (read[1] or _window(session, full))), replicated=bool(read and read[1]),
    )  # fmt: skip


def _writable(columns: Sequence[Sequence[str]]) -> dict[str, str]:
    return {c[0]: c[1] for c in columns if c[2] not in ("MATERIALIZED", "ALIAS")}


def _distributed(session: Session, place: Place, full: str, version_column: str, deleted_column: str) -> Target:
    """Distributed(cluster, database, table, ...): what its own table is. Raises TargetSchemaError."""
    cluster, database, name = (_unquoted(a) for a in arguments(first_call(full))[:3])
    local = load(session, (database, name), version_column, deleted_column)
    if local is None:
        raise TargetSchemaError(
            f"table {'.'.join(filter(None, place))} is Distributed over {database}.{name}, which this server has not", hint="connect to a server of the cluster"
        )
    types = _writable(session.rows(_COLUMNS, t=place[1], d=place[0]))
    return msgspec.structs.replace(local, place=place, types=types, own=(database, name), cluster=cluster)


def _given(full: str, *, replicated: bool) -> list[str]:
    """Columns that the engine is given: its arguments without a replication's path and replica name."""
    found = arguments(first_call(full))
    if replicated:
        found = [a for a in found if not a.startswith("'")]
    return [_unquoted(a) for a in found]


def _unquoted(name: str) -> str:
    if name[:1] in ("`", "'", '"'):
        return name[1:-1].replace("\\" + name[0], name[0]).replace("\\\\", "\\")
    return name


def _without_parentheses(key: str) -> str:
    key = key.strip()
    return key[1:-1] if key.startswith("(") and key.endswith(")") else key


def _window(session: Session, full: str) -> bool:
    """Whether a MergeTree that is not replicated remembers blocks."""
    own = re.search(r"non_replicated_deduplication_window = (\d+)", full)
    if own is not None:
        return int(own[1]) > 0
    found = session.rows("SELECT toUInt64(value) FROM system.merge_tree_settings WHERE name = 'non_replicated_deduplication_window'")
    return bool(found and found[0][0])


def check_key(target: Target, key: Sequence[str]) -> None:
    """Raises TargetSchemaError when changes of the key would miss their rows, or meet those of other keys."""
    if target.family != REPLACING or not key:
        return
    engine = f"ReplacingMergeTree({statements.names(c for c in (target.version, target.deleted if target.hides_deleted else None) if c)})"
    mends = statements.rebuild(target.place, engine, f"({statements.names(key)})")
    if not target.sorted_by:
        raise TargetSchemaError(f"table {target} is sorted by nothing, so that all its rows would be one", hint=mends)
    outside = sorted(target.sorted_by - set(key))
    if outside:
        raise TargetSchemaError(
            f"table {target} is sorted by {', '.join(outside)}, not only by the record's key", cause=f"the key is {', '.join(key)}: updates and deletes would miss their rows",
            hint=f"{mends}; or have the source send these columns in the key, too (message.key.columns)",
        )  # fmt: skip
    missing = [c for c in key if c not in target.sorted_bare]
    if missing:
        raise TargetSchemaError(
            f"table {target} is not sorted by {', '.join(missing)} of the record's key", cause=f"its ORDER BY is ({target.sorting_key}): rows of different keys would replace each other",
            hint=mends,
        )  # fmt: skip
