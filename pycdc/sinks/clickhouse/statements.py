"""SQL for ClickHouse, as texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pycdc.sinks.clickhouse.naming import Place


def quoted(name: str) -> str:
    """An identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def literal(text: str) -> str:
    """A string."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def table(place: Place) -> str:
    """A table's full name."""
    database, name = place
    return f"{quoted(database)}.{quoted(name)}" if database else quoted(name)


def on_cluster(cluster: str) -> str:
    return f" ON CLUSTER {quoted(cluster)}" if cluster else ""


def names(columns: Iterable[str]) -> str:
    return ", ".join(map(quoted, columns))


def create(place: Place, columns: Mapping[str, str], engine: str, *, order_by: str, partition_by: str = "", settings: str = "", cluster: str = "") -> str:
    """CREATE TABLE. Types, engine and expressions are SQL already."""
    listed = ", ".join(f"{quoted(c)} {t}" for c, t in columns.items())
    parts = f" PARTITION BY {partition_by}" if partition_by else ""
    tail = f" SETTINGS {settings}" if settings else ""
    return f"CREATE TABLE IF NOT EXISTS {table(place)}{on_cluster(cluster)} ({listed}) ENGINE = {engine}{parts} ORDER BY {order_by}{tail}"


def alter(place: Place, added: Mapping[str, str], wider: Mapping[str, str], *, cluster: str = "") -> str:
    """Columns added, unless another has added them, and columns of another type. The types are SQL."""
    parts = [f"ADD COLUMN IF NOT EXISTS {quoted(c)} {t}" for c, t in added.items()]
    parts += [f"MODIFY COLUMN {quoted(c)} {t}" for c, t in wider.items()]
    return f"ALTER TABLE {table(place)}{on_cluster(cluster)} {', '.join(parts)}"


def truncate(place: Place, *, cluster: str = "") -> str:
    return f"TRUNCATE TABLE {table(place)}{on_cluster(cluster)}"


def rebuild(place: Place, engine: str, order_by: str) -> str:
    """What gives a table another engine or sorting key, which no ALTER can."""
    old, new = table(place), table((place[0], place[1] + "_new"))
    return (
        f"CREATE TABLE {new} AS {old} ENGINE = {engine} ORDER BY {order_by}; "
        f"INSERT INTO {new} SELECT * FROM {old}; EXCHANGE TABLES {old} AND {new}"
    )


def own(name: str, columns: str, *, sorted_by: str, version: str = "", cluster: str = "") -> str:
    """A table of pycdc's own: replicated where a cluster is named, so that any of its servers may be asked."""
    engine = f"{'Replicated' if cluster else ''}{'Replacing' if version else ''}MergeTree"
    return f"CREATE TABLE IF NOT EXISTS {name}{on_cluster(cluster)} ({columns}) ENGINE = {engine}{f'({version})' if version else ''} ORDER BY {sorted_by}"
