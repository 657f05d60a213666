"""Tables as the sink knows them: looked at once, made when missing, given the columns that records bring.

Runs in a thread. Another sink may make the same table or column at the same time: CREATE and ADD COLUMN do nothing
then, and what counts is how the table looks afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import structlog

from pycdc.errors import TargetSchemaError
from pycdc.model.change import Changes
from pycdc.model.schema import Schema
from pycdc.sinks.clickhouse import statements
from pycdc.sinks.clickhouse.blocks import MARK, is_metadata
from pycdc.sinks.clickhouse.client import Session
from pycdc.sinks.clickhouse.config import ClickHouseSinkConfig
from pycdc.sinks.clickhouse.kinds import bare, is_nullable, nullable
from pycdc.sinks.clickhouse.naming import Place
from pycdc.sinks.clickhouse.target import COLLAPSING, LOG, OP, REPLACING, Target, check_key, load
from pycdc.sinks.clickhouse.types import column_type, widened

log = structlog.get_logger(__name__)

#: Blocks that a table that we make remembers, where it is not replicated: a batch is one block for each of its partitions.
_WINDOW = 1000


class Tables:
    """One sink's."""

    def __init__(self, settings: ClickHouseSinkConfig) -> None:
        self._settings = settings
        self._known: dict[Place, Target] = {}
        self._looked: dict[Place, float] = {}
        #: The schema for whose rows a table was looked at last.
        self._fitted: dict[Place, Schema | None] = {}

    def find(self, session: Session, places: Sequence[Place], changes: Sequence[Changes]) -> Target | None:
        """The first that there is, made when asked for; None when the changes are to be left out. Raises TargetSchemaError."""
        for place in places:
            target = self._current(session, place)
            if target is not None:
                return target
        schema = next((c.row_schema for c in reversed(changes) if c.row_schema is not None), None)
        if self._settings.creates and all(row is None for c in changes for row in c.rows):
            return None  # nothing was ever written: there is nothing to delete
        if self._settings.creates and schema is not None:
            rows = [c for c in changes if any(r is not None for r in c.rows)]
            self._create(session, places[-1], schema, rows[-1].key_columns, direct=rows[-1].partition is None)
            return self._current(session, places[-1])
        name = ".".join(filter(None, places[-1]))
        if self._settings.skips_missing:
            log.warning("records are left out: ClickHouse has no table for them", table=name, records=sum(len(c) for c in changes))
            return None
        raise TargetSchemaError(
            f"ClickHouse has no table {name}", where=self._settings.where, hint="create it, or set auto.create=true (which needs records with schemas)"
        )

    def forget(self, place: Place) -> None:
        """Look again before the next write."""
        self._known.pop(place, None)
        self._fitted.pop(place, None)

    def _current(self, session: Session, place: Place) -> Target | None:
        refresh, now = self._settings.refresh, time.monotonic()
        if refresh and now - self._looked.get(place, now) >= refresh:
            self.forget(place)
        if place not in self._known:
            target = self._load(session, place)
            if target is None:
                return None
            self._known[place], self._looked[place] = target, now
        return self._known[place]

    def _load(self, session: Session, place: Place) -> Target | None:
        return load(session, place, self._settings.version_column, self._settings.deleted_column)

    # ---- does it fit

    def fitted(self, session: Session, target: Target, changes: Sequence[Changes]) -> Target:
        """The table with what these rows need, altered when asked for. Raises TargetSchemaError."""
        for c in changes:
            check_key(target, c.key_columns)
        self._check_promises(target)
        schemas = {id(c.row_schema): c.row_schema for c in changes if c.row_schema is not None}
        fields = {f: None for c in changes for f in _first_row(c)}
        missing = self._missing(target, fields)
        last = next(reversed(schemas.values()), None)
        if not missing and (last is None or self._fitted.get(target.place) is last):
            return target
        if missing:  # somebody may have added it meanwhile
            target = self._load(session, target.place) or target
        types = {f.name: f.schema for s in schemas.values() if s is not None for f in s.fields}
        target = self._evolved(session, target, self._missing(target, fields), types)
        self._known[target.place], self._fitted[target.place] = target, last
        return target

    @staticmethod
    def _missing(target: Target, fields: dict[str, None]) -> list[str]:
        return [f for f in fields if f not in target.types and not is_metadata(f)]

    def _check_promises(self, target: Target) -> None:
        s = self._settings
        if target.distributed and s.insert_settings.get("insert_quorum_parallel") == "0":
            raise TargetSchemaError(
                f"table {target} is Distributed", cause="with insert_quorum_parallel=0 it drops blocks that come at the same time without a word",
                hint="write to the shards' own tables, or leave insert_quorum_parallel out of clickhouseSettings",
            )  # fmt: skip
        if s.exactly_once and not target.deduplicates:
            raise TargetSchemaError(
                f"table {target} does not remember the blocks that it was sent, which exactlyOnce=true needs",
                hint=f"ALTER TABLE {target.name} MODIFY SETTING non_replicated_deduplication_window = {_WINDOW}, if it is of the MergeTree family",
            )  # fmt: skip
        if (target.family == COLLAPSING or target.op is not None) and s.engine.keeps_rows:
            raise TargetSchemaError(
                f"table {target} keeps every change", cause="to tell them apart, events have to be read whole",
                hint=f"set clickhouse.table.engine={target.family}MergeTree",
            )  # fmt: skip

    # ---- DDL

    def _create(self, session: Session, place: Place, schema: Schema, key: tuple[str, ...], *, direct: bool) -> None:
        s, version = self._settings, "UInt128" if direct else "UInt64"
        # without a key all rows of a replacing table would be one
        family = s.engine.family if key or s.engine.family != REPLACING or s.order_by else LOG
        columns = {f.name: column_type(f.schema, key=f.name in key, struct_to_json=s.struct_to_json) for f in schema.fields if f.name != MARK}
        arguments = [s.engine.arguments] if s.engine.arguments else []
        if family == COLLAPSING:
            columns["_sign"] = "Int8"
            arguments.append("_sign")
        else:
            columns.setdefault(s.version_column, version)
            if family == REPLACING:
                arguments += [statements.quoted(s.version_column), statements.quoted(s.deleted_column)]
            if s.engine.family == LOG:
                columns.setdefault(OP, "LowCardinality(String)")
            else:
                columns.setdefault(s.deleted_column, "UInt8")
        engine = f"{s.engine.copies}{family}MergeTree({', '.join(arguments)})"
        settings = s.table_settings
        if s.exactly_once and not s.engine.copies and "non_replicated_deduplication_window" not in settings:
            settings = ", ".join(filter(None, (settings, f"non_replicated_deduplication_window = {_WINDOW}")))
        order_by = s.order_by or (statements.names(key) if key else "tuple()")
        session.command(
            statements.create(place, columns, engine, order_by=order_by if order_by.startswith(("(", "tuple")) else f"({order_by})", partition_by=s.partition_by,
                              settings=settings, cluster=s.cluster),
            "a table cannot be made",
        )  # fmt: skip
        log.info("table created", table=".".join(filter(None, place)))

    def _evolved(self, session: Session, target: Target, missing: list[str], types: dict[str, Schema]) -> Target:
        s = self._settings
        added = {f: column_type(types[f], optional=True, struct_to_json=s.struct_to_json) if f in types else "<type>" for f in missing}
        if missing and (not s.evolves or "<type>" in added.values()):
            raise TargetSchemaError(
                f"table {target} lacks {', '.join(missing)}", hint=statements.alter(target.place, added, {}, cluster=s.cluster)
                + ("" if s.evolves else "; or set auto.evolve=true (which needs records with schemas)"),
            )  # fmt: skip
        changeable = {f: t for f, t in types.items() if f in target.types and f not in target.fixed}
        wider = {f: w for f, t in changeable.items() if (w := widened(t, target.types[f])) is not None} if s.evolves else {}
        return self._altered(session, target, added, wider) if added or wider else target

    def nullable(self, session: Session, target: Target, column: str) -> Target:
        """The table, its column nullable."""
        return self._altered(session, target, {}, {column: nullable(target.types[column])})

    def _altered(self, session: Session, target: Target, added: dict[str, str], wider: dict[str, str]) -> Target:
        if target.own is not None:
            session.command(statements.alter(target.own, added, wider, cluster=target.cluster), f"table {target} cannot be altered")
        session.command(statements.alter(target.place, added, wider, cluster=self._settings.cluster), f"table {target} cannot be altered")
        log.info("table altered", table=str(target), added=list(added), widened=list(wider))
        for attempt in range(self._settings.ddl_retries + 1):
            loaded = self._load(session, target.place)
            if loaded is not None and all(c in loaded.types for c in added) and all(_same(loaded.types.get(c), t) for c, t in wider.items()):
                self._known[target.place] = loaded
                return loaded
            time.sleep(0.2 * (attempt + 1))  # another server of the cluster may answer, which has not heard of it yet
        raise TargetSchemaError(
            f"table {target} does not show its new columns {', '.join((*added, *wider))}", hint="look at system.mutations and system.distributed_ddl_queue"
        )


def _same(kind: str | None, wanted: str) -> bool:
    return kind is not None and bare(kind) == bare(wanted) and is_nullable(kind) == is_nullable(wanted)


def _first_row(changes: Changes) -> Sequence[str]:
    """Fields that rows bring. Without a schema another row may bring more, which the writer finds."""
    first = next((r for r in changes.rows if r is not None), None)
    if first is None or changes.row_schema is None:
        return list(first or ())
    return [f.name for f in changes.row_schema.fields]
