"""The statements that a sink and its operator need. Source: fe CreateTableAnalyzer, OlapTableFactory, SchemaChangeHandler."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from pycdc.testing.starrocks.bodies import split_top
from pycdc.testing.starrocks.cluster import AlterJob, Cluster
from pycdc.testing.starrocks.errors import UNSUPPORTED, Bad, SqlError
from pycdc.testing.starrocks.select import (
    IDENTIFIER,
    LONG,
    TEXT,
    Rows,
    Selection,
    bare,
    information_schema,
    like,
    literal,
    stamp,
)
from pycdc.testing.starrocks.storage import Column, Table
from pycdc.testing.starrocks.types import KEY_BYTES, SqlType, to_text

_NAME = rf"(?:{IDENTIFIER}\s*\.\s*)?{IDENTIFIER}"
_VERSION: Final = "3.5.4"
_VARIABLES: Final = {
    "version": "8.0.33", "version_comment": f"StarRocks version {_VERSION}", "autocommit": "1", "lower_case_table_names": "0",
    "max_allowed_packet": "33554432", "sql_mode": "32", "time_zone": "Asia/Shanghai", "tx_isolation": "REPEATABLE-READ",
    "transaction_isolation": "REPEATABLE-READ", "character_set_client": "utf8", "auto_increment_increment": "1", "wait_timeout": "28800",
    "interactive_timeout": "3600", "net_write_timeout": "60", "system_time_zone": "UTC",
}  # fmt: skip
#: Types that no key column may have.
_NO_KEY: Final = ("FLOAT", "DOUBLE", "JSON", "ARRAY", "VARBINARY")


class Session:
    """One client's."""

    def __init__(self, database: str = "") -> None:
        self.database = database


class Sql:
    """`run` gives columns and rows, or None for an OK packet."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._statements: list[tuple[re.Pattern[str], Callable[[re.Match[str], Session], Rows | None]]] = [
            (re.compile(pattern, re.DOTALL | re.IGNORECASE), method)
            for pattern, method in (
                (r"(?:SET|COMMIT|ROLLBACK|BEGIN|START\s+TRANSACTION|KILL)\b.*", lambda _m, _s: None),
                (rf"USE\s+{IDENTIFIER}", self._use),
                (rf"CREATE\s+(?:DATABASE|SCHEMA)\s+(IF\s+NOT\s+EXISTS\s+)?{IDENTIFIER}.*", self._create_database),
                (rf"DROP\s+(?:DATABASE|SCHEMA)\s+(IF\s+EXISTS\s+)?{IDENTIFIER}(?:\s+FORCE)?", self._drop_database),
                (rf"CREATE\s+TABLE\s+(IF\s+NOT\s+EXISTS\s+)?{_NAME}\s*(\(.*)", self._create_table),
                (rf"DROP\s+TABLE\s+(IF\s+EXISTS\s+)?{_NAME}(?:\s+FORCE)?", self._drop_table),
                (rf"TRUNCATE\s+TABLE\s+{_NAME}", self._truncate),
                (rf"ALTER\s+TABLE\s+{_NAME}\s+(.*)", self._alter),
                (rf"SHOW\s+ALTER\s+TABLE\s+COLUMN(?:\s+FROM\s+{IDENTIFIER})?(\s+.*)?", self._show_alter),
                (r"SHOW\s+(?:DATABASES|SCHEMAS)", self._show_databases),
                (r"SHOW\s+WARNINGS|SHOW\s+ERRORS", lambda _m, _s: ([("Level", TEXT)], [])),
                (rf"SHOW\s+(?:FULL\s+)?TABLES(?:\s+(?:FROM|IN)\s+{IDENTIFIER})?(?:\s+LIKE\s+'([^']*)')?", self._show_tables),
                (rf"SHOW\s+CREATE\s+TABLE\s+{_NAME}", self._show_create),
                (rf"(?:DESC|DESCRIBE|SHOW\s+(?:FULL\s+)?COLUMNS\s+FROM)\s+{_NAME}", self._describe),
                (r"SHOW\s+(?:SESSION\s+|GLOBAL\s+)?VARIABLES(?:\s+(?:LIKE|WHERE\s+Variable_name\s*=)\s*'([^']*)')?.*", self._show_variables),
                (rf"SELECT\s+(.*?)\s+FROM\s+{_NAME}(\s+.*)?", self._select),
                (r"SELECT\s+(.*)", self._select_expressions),
            )
        ]

    def run(self, text: str, session: Session) -> Rows | None:
        """Raises SqlError."""
        self._cluster.sweep()
        self._cluster.stats["sql"] += 1
        statement = re.sub(r"/\*.*?\*/|--[^\n]*$", " ", text, flags=re.DOTALL | re.MULTILINE).strip().rstrip(";").strip()
        for pattern, method in self._statements:
            m = pattern.fullmatch(statement)
            if m is not None:
                return method(m, session)
        raise SqlError(
            f"Getting syntax error. Detail message: No viable statement for input '{statement[:80]}' (or the fake does not support it)."
        )

    # ---- databases

    def _database(self, name: str | None, session: Session) -> dict[str, Table]:
        wanted = bare(name) or session.database
        if not wanted:
            raise SqlError("No database selected", 1046, "3D000")
        if wanted not in self._cluster.dbs:
            raise SqlError(f"Unknown database '{wanted}'", 1049, "42000")
        return self._cluster.dbs[wanted]

    def _find(self, database: str | None, name: str, session: Session) -> Table:
        tables = self._database(database, session)
        if bare(name) not in tables:
            raise SqlError(f"Unknown table '{bare(database) or session.database}.{bare(name)}'", 5502, "42602")
        return tables[bare(name)]

    def _use(self, m: re.Match[str], session: Session) -> None:
        self._database(m[1], session)
        session.database = bare(m[1])

    def _create_database(self, m: re.Match[str], _session: Session) -> None:
        if bare(m[2]) in self._cluster.dbs and not m[1]:
            raise SqlError(f"Can't create database '{bare(m[2])}'; database exists", 1007)
        self._cluster.dbs.setdefault(bare(m[2]), {})

    def _drop_database(self, m: re.Match[str], _session: Session) -> None:
        if self._cluster.dbs.pop(bare(m[2]), None) is None and not m[1]:
            raise SqlError(f"Can't drop database '{bare(m[2])}'; database doesn't exist", 1008)

    # ---- tables

    def _create_table(self, m: re.Match[str], session: Session) -> None:
        tables, name = self._database(m[2], session), bare(m[3])
        if name in tables:
            if m[1]:
                return
            raise SqlError(f"Table '{name}' already exists", 1050, "42S01")
        table = _declared(bare(m[2]) or session.database, name, m[4])
        backends = self._cluster.settings.backends
        if int(table.properties.get("replication_num", "3")) > backends:
            raise SqlError(
                "Table replication num should be less than or equal to the number of available BE nodes. You can change this default "
                f"by setting the replication_num table properties. Current alive backend is [{','.join(str(10001 + i) for i in range(backends))}]. "
                f", table={name}, default_replication_num=3"
            )
        table.id = self._cluster.new_id()
        tables[name] = table

    def _drop_table(self, m: re.Match[str], session: Session) -> None:
        if self._database(m[2], session).pop(bare(m[3]), None) is None and not m[1]:
            raise SqlError(f"Unknown table '{bare(m[2]) or session.database}.{bare(m[3])}'", 5502, "42602")

    def _truncate(self, m: re.Match[str], session: Session) -> None:
        self._find(m[1], m[2], session).clear()

    def _alter(self, m: re.Match[str], session: Session) -> None:
        table = self._find(m[1], m[2], session)
        if table.state != "NORMAL":
            raise SqlError(f"Table[{table.name}]'s state({table.state}) is not NORMAL. Do not allow doing ALTER ops")
        alteration = _Alteration(table)
        for clause in split_top(m[3]):
            alteration.add(clause)
        delay = self._cluster.settings.alter_delay_ms / 1000 if alteration.slow else 0
        job = AlterJob(self._cluster.new_id(), table, delay, alteration.carry_out)
        if delay:
            table.state = "SCHEMA_CHANGE"
        else:
            job.change()
        self._cluster.jobs.append(job)

    # ---- SHOW

    def _show_alter(self, m: re.Match[str], session: Session) -> Rows:
        database = bare(m[1]) or session.database
        names = (
            "JobId", "TableName", "CreateTime", "FinishTime", "IndexName", "IndexId", "OriginIndexId", "SchemaVersion", "TransactionId",
            "State", "Msg", "Progress", "Timeout", "Warehouse",
        )  # fmt: skip
        rows = [
            (j.id, j.table.name, stamp(j.start), stamp(j.finish) if j.state == "FINISHED" else None, j.table.name, j.table.id + 1, j.table.id,
             "1:0", j.id + 1, j.state, "", None, 86400, "")
            for j in self._cluster.jobs if j.table.db == database
        ]  # fmt: skip
        return Selection([(n, LONG if n == "JobId" else TEXT) for n in names], rows, session.database).run("*", m[2] or "")

    def _show_databases(self, _m: re.Match[str], _session: Session) -> Rows:
        return [("Database", TEXT)], sorted([d] for d in [*self._cluster.dbs, "information_schema"] if d != "_statistics_")

    def _show_tables(self, m: re.Match[str], session: Session) -> Rows:
        wanted = like(m[2] or "%")
        tables = sorted(self._database(m[1], session))
        return [(f"Tables_in_{bare(m[1]) or session.database}", TEXT)], [[t] for t in tables if wanted.fullmatch(t)]

    def _describe(self, m: re.Match[str], session: Session) -> Rows:
        return [(n, TEXT) for n in ("Field", "Type", "Null", "Key", "Default", "Extra")], [
            [c.name, c.type.sql(), "YES" if c.null else "NO", "true" if c.key else "false", c.default if c.has_default else None, ""]
            for c in self._find(m[1], m[2], session).columns
        ]

    def _show_create(self, m: re.Match[str], session: Session) -> Rows:
        t = self._find(m[1], m[2], session)
        columns = [
            f"  `{c.name}` {c.type.sql()} {'NULL' if c.null else 'NOT NULL'}"
            + (f' DEFAULT "{c.default}"' if c.has_default and c.default is not None else "")
            + f' COMMENT "{c.comment}"'
            for c in t.columns
        ]
        properties = {"replication_num": "3", "enable_persistent_index": "true", **t.properties}
        if not t.is_primary:
            del properties["enable_persistent_index"]
        text = (
            f"CREATE TABLE `{t.name}` (\n" + ",\n".join(columns) + "\n) ENGINE=OLAP \n" + f"{t.model} KEY("
            + ", ".join(f"`{k}`" for k in t.keys) + f")\n{t.distribution}\nPROPERTIES (\n"
            + ",\n".join(f'"{k}" = "{v}"' for k, v in properties.items()) + "\n);"
        )  # fmt: skip
        return [("Table", TEXT), ("Create Table", TEXT)], [[t.name, text]]

    def _show_variables(self, m: re.Match[str], _session: Session) -> Rows:
        wanted = like(m[1] or "%")
        return [("Variable_name", TEXT), ("Value", TEXT)], [[k, v] for k, v in _VARIABLES.items() if wanted.fullmatch(k)]

    # ---- SELECT

    def _select(self, m: re.Match[str], session: Session) -> Rows:
        database = bare(m[2]) or session.database
        if database.lower() == "information_schema":
            columns, rows = information_schema(self._cluster, bare(m[3]).lower())
        else:
            table = self._find(m[2], m[3], session)
            columns, rows = [(c.name, c.type.mysql()[2]) for c in table.columns], table.ordered()
        return Selection(columns, rows, session.database).run(m[1], m[4] or "")

    def _select_expressions(self, m: re.Match[str], session: Session) -> Rows:
        columns: list[tuple[str, int]] = []
        row: list[Any] = []
        for item in split_top(re.sub(r"(?i)\s+LIMIT\s+\d+$", "", m[1])):
            named = re.fullmatch(rf"(?i)(.*?)(?:\s+AS\s+{IDENTIFIER})?", item, re.DOTALL)
            assert named is not None
            expression = named[1].strip()
            value = self._value(expression, session)
            columns.append((bare(named[2]) or expression, LONG if isinstance(value, int) else TEXT))
            row.append(value)
        return columns, [row]

    def _value(self, expression: str, session: Session) -> Any:
        function = re.fullmatch(r"(?i)(?:@@(?:session\.|global\.)?(\w+)|(\w+)\(\))", expression)
        if function is None:
            return literal(expression, session.database)
        known = {
            "database": session.database or None, "schema": session.database or None, "current_version": _VERSION, "connection_id": 1,
            "now": stamp(time.time()), "user": f"'{self._cluster.settings.user}'@'%'", **_VARIABLES,
        }  # fmt: skip
        return known.get((function[1] or function[2]).lower(), "")


# ---- declarations


def _column(text: str) -> Column:
    m = re.fullmatch(rf"{IDENTIFIER}\s+(\w+\s*(?:\([^)]*\))?(?:<.*>)?)(.*)", text, re.DOTALL)
    if m is None:
        raise SqlError(f"Getting syntax error. Detail message: Unexpected input '{text[:60]}'.")
    rest, type_ = m[3], SqlType(m[2])
    comment = re.search(r"(?i)\bCOMMENT\s+('[^']*'|\"[^\"]*\")", rest)
    rest = rest.replace(comment[0], "") if comment else rest
    declared = re.search(r"(?i)\bDEFAULT\s+('[^']*'|\"[^\"]*\"|\S+)", rest)
    word = literal(declared[1], "") if declared else None
    if declared and str(word).upper().startswith("CURRENT_TIMESTAMP"):
        word = stamp(time.time())
    try:
        default = None if word is None else type_.from_text(str(word))
    except Bad:
        raise SqlError(f"Getting analyzing error. Detail message: Invalid default value for '{bare(m[1])}'.") from None
    column = Column(
        bare(m[1]), type_, null=not re.search(r"(?i)\bNOT\s+NULL\b", rest), default=default, has_default=declared is not None,
        comment=comment[1][1:-1] if comment else "",
    )  # fmt: skip
    column.explicit_null = bool(re.search(r"(?i)\bNULL\b", re.sub(r"(?i)NOT\s+NULL|DEFAULT\s+NULL", "", rest)))
    return column


def _declared(database: str, name: str, text: str) -> Table:
    """The table that `(columns) clauses` declares. Raises SqlError."""
    body, tail = _in_brackets(text)
    columns = [_column(p) for p in split_top(body) if not re.match(r"(?i)(INDEX|CONSTRAINT)\s", p)]
    found = re.search(r"(?i)\bPROPERTIES\s*\((.*)\)", tail, re.DOTALL)
    properties = dict(re.findall(r"[\"']([\w.]+)[\"']\s*=\s*[\"']([^\"']*)[\"']", found[1] if found else ""))
    key = re.search(r"(?i)\b(PRIMARY|DUPLICATE|UNIQUE|AGGREGATE)\s+KEY\s*\(([^)]*)\)", tail)
    distribution = re.search(r"(?i)\bDISTRIBUTED\s+BY\s+(?:HASH\s*\(([^)]*)\)|RANDOM)(?:\s+BUCKETS\s+(\d+))?", tail)
    model = key[1].upper() if key else "DUPLICATE"
    if model not in ("PRIMARY", "DUPLICATE"):
        raise SqlError(UNSUPPORTED % f"{model} KEY")
    names = [c.name for c in columns]
    if len({n.lower() for n in names}) != len(names):
        raise SqlError("Getting analyzing error. Detail message: Duplicate column name.", 1060)
    keys = [bare(k) for k in split_top(key[2])] if key else names[: min(3, len(names))]
    if [k.lower() for k in keys] != [n.lower() for n in names[: len(keys)]]:
        raise SqlError(
            "Getting analyzing error. Detail message: Key columns must be the first few columns of the "
            "schema and the order of the key columns must be consistent with the order of the schema."
        )
    for column in columns[: len(keys)]:
        _make_key(column, primary=model == "PRIMARY")
    hashed = distribution[1] if distribution else None
    if model == "PRIMARY" and not hashed:
        raise SqlError("Getting analyzing error. Detail message: PRIMARY KEY must use hash distribution.")
    for k in split_top(hashed or ""):
        if model == "PRIMARY" and bare(k).lower() not in [x.lower() for x in keys]:
            raise SqlError(f"Getting analyzing error. Detail message: Distribution column is not key column: {bare(k)}")
    comment = re.search(r"(?i)\)\s*COMMENT\s+[\"']([^\"']*)", tail)
    return Table(
        database, name, columns, model, names[: len(keys)], properties, distribution[0] if distribution else "DISTRIBUTED BY RANDOM",
        comment[1] if comment else "",
    )  # fmt: skip


def _in_brackets(text: str) -> tuple[str, str]:
    """`(body) tail` taken apart."""
    depth = 0
    for i, ch in enumerate(text):
        depth += (ch == "(") - (ch == ")")
        if depth == 0:
            return text[1:i], text[i + 1 :]
    raise SqlError("Getting syntax error. Detail message: missing ')'.")


def _make_key(column: Column, *, primary: bool) -> None:
    column.key = True
    base = column.type.base
    if primary:
        bad = "cannot be nullable" if column.explicit_null else ""
        if not bad and base not in KEY_BYTES and base != "VARCHAR":
            bad = f"type not supported: {column.type.sql()}"
        if bad:
            raise SqlError(f"Getting analyzing error. Detail message: primary key column[{column.name}] {bad}.")
        column.null = False
    if base in _NO_KEY:
        raise SqlError(f"Getting analyzing error. Detail message: Invalid data type of key column '{column.name}': '{column.type.sql()}'.")


class _Alteration:
    """The clauses of one ALTER TABLE, and what they do when the job ends."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._columns = list(table.columns)
        self._renames: list[tuple[Column, str]] = []
        #: More than metadata changes.
        self.slow = table.properties.get("fast_schema_evolution", "true").lower() == "false"

    def add(self, clause: str) -> None:
        """Raises SqlError."""
        if a := re.fullmatch(r"(?i)ADD\s+COLUMN\s+(.*)", clause, re.DOTALL):
            for declaration in split_top(a[1][1:-1]) if a[1].startswith("(") else [a[1]]:
                self._add_column(declaration)
        elif a := re.fullmatch(rf"(?i)DROP\s+COLUMN\s+{IDENTIFIER}", clause):
            self._drop_column(bare(a[1]))
        elif a := re.fullmatch(r"(?i)MODIFY\s+COLUMN\s+(.*)", clause, re.DOTALL):
            self._modify_column(_column(a[1]))
        elif a := re.fullmatch(rf"(?i)RENAME\s+COLUMN\s+{IDENTIFIER}\s+TO\s+{IDENTIFIER}", clause):
            column = self._table.column(bare(a[1]))
            if column is None:
                raise SqlError(f"Column[{bare(a[1])}] does not exists")
            self._renames.append((column, bare(a[2])))
        elif not re.match(r"(?i)SET\s*\(", clause):
            raise SqlError(f"Getting syntax error. Detail message: unsupported alter clause '{clause[:60]}'.")

    def _place(self, name: str) -> int | None:
        return next((i for i, c in enumerate(self._columns) if c.name.lower() == name.lower()), None)

    def _add_column(self, declaration: str) -> None:
        where = re.search(rf"(?i)\s+(?:AFTER\s+{IDENTIFIER}|FIRST)\s*$", declaration)
        column = _column(declaration[: where.start()] if where else declaration)
        if self._place(column.name) is not None:
            raise SqlError(f"Can not add column which already exists in base table: {column.name}")
        at = len(self._columns)
        if where and where[1]:
            before = self._place(bare(where[1]))
            at = len(self._columns) if before is None else before + 1
        self._columns.insert(max(at, len(self._table.keys)), column)

    def _drop_column(self, name: str) -> None:
        at = self._place(name)
        if at is None:
            raise SqlError(f"Column does not exists: {name}")
        if self._columns[at].key:
            raise SqlError(f"Can not drop key column {self._columns[at].name} in {self._table.model.lower()} key table")
        del self._columns[at]

    def _modify_column(self, column: Column) -> None:
        at = self._place(column.name)
        if at is None:
            raise SqlError(f"Column[{column.name}] does not exists")
        if self._columns[at].key:
            raise SqlError(f"Can not modify key column: {column.name} for primary key table")
        self._columns[at] = column
        self.slow = True

    def carry_out(self) -> None:
        table = self._table
        kept = {c.name: i for i, c in enumerate(table.columns)}

        def changed(row: list[Any]) -> list[Any]:
            return [_recast(row[kept[c.name]], c) if c.name in kept else c.fill() for c in self._columns]

        table.by_key = {k: changed(r) for k, r in table.by_key.items()}
        table.appended = list(map(changed, table.appended))
        table.columns = self._columns
        for column, new in self._renames:
            table.keys = [new if k == column.name else k for k in table.keys]
            column.name = new


def _recast(value: Any, column: Column) -> Any:
    try:
        return None if value is None else column.type.from_text(str(value) if isinstance(value, Decimal) else to_text(value))
    except Bad:
        return None
