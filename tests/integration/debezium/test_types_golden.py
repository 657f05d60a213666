"""Every captured row of real Debezium, made again from the texts of a real PostgreSQL.

A case's SQL runs; its snapshot rows are read by COPY, its streamed rows from pgoutput through a slot. Each
row struct is written by the JSON converter and compared byte for byte with the capture, its schema too.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from pycdc.converters.json import JsonConverter, JsonConverterConfig
from pycdc.debezium.types import (
    ResolvedColumn,
    TypeSettings,
    hashed,
    masked,
    resolve,
    truncated,
    with_source_type,
)
from pycdc.errors import ConversionError
from pycdc.model.schema import Schema, struct
from pycdc.model.table import Column, Table
from pycdc.postgres.catalog import Catalog
from pycdc.postgres.pgoutput import UNCHANGED, Delete, Insert, Update, decode
from pycdc.postgres.session import SESSION_SETTINGS

ROOT = Path(__file__).parents[3]
_OPTIONS = {
    "decimal": "decimal.handling.mode",
    "time": "time.precision.mode",
    "interval": "interval.handling.mode",
    "hstore": "hstore.handling.mode",
    "binary": "binary.handling.mode",
    "unavailable_placeholder": "unavailable.value.placeholder",
}

CASES = [
    "num_basic_precise",
    "num_decimal_precise",
    "num_decimal_string",
    "num_decimal_double",
    "num_money_precise",
    "num_bits",
    "txt_strings",
    "txt_json_xml_uuid",
    "bin_bytes",
    "bin_hex",
    "bin_base64",
    "time_adaptive",
    "time_adaptive_us",
    "time_defaults",
    "time_connect",
    "time_isostring",
    "time_nanoseconds",
    "time_microseconds",
    "interval_numeric",
    "interval_string",
    "delete_fallbacks",
    "pk_change_headers",
    "ri_default",
    "ri_full",
    "masks",
    "propagate_types",
    "names_odd",
    "arr_scalars",
    "arr_multidim",
    "arr_temporal",
    "domain_types",
    "domain_over_enum",
    "hstore_json",
    "hstore_map",
    "net_ranges",
    "geo_ltree_isn",
    "unknown_included",
    "unknown_excluded",
    "toast_placeholders",
    "toast_custom_modes",
    "toast_base64_default",
    "toast_full",
]

#: Fields in which pycdc differs on purpose (docs/differences.md), or where the capture is no model.
DIFFERENT = {
    "num_decimal_precise": {"nsc"},  # a negative scale, which Debezium cannot represent
    "txt_strings": {"n"},  # type name is streamed with its value
    "arr_multidim": {"m", "t", "t3"},  # arrays of arrays, which Debezium cannot represent
    "domain_over_enum": set(),
}


def golden(name: str) -> dict[str, Any]:
    given = os.environ.get("PYCDC_GOLDENS")
    folders = [Path(given)] if given else [p.parent for p in (ROOT / "tests/differential").rglob("num_bits.json")]
    if not folders:
        pytest.skip("no captures here")
    document: dict[str, Any] = json.loads((folders[0] / f"{name}.json").read_text())
    return document


def settings_of(config: dict[str, str]) -> TypeSettings:
    given: dict[str, Any] = {k: config[v] for k, v in _OPTIONS.items() if v in config}
    return TypeSettings(include_unknown=config.get("include.unknown.datatypes") == "true", **given)


class Row:
    """Columns of a table resolved under a case's configuration."""

    def __init__(self, table: Table, config: dict[str, str]) -> None:
        self.table = table
        resolved = [(c, self._resolve(c, config)) for c in table.columns]
        self.parts = [(i, c, r) for i, (c, r) in enumerate(resolved) if r is not None]

    def _resolve(self, column: Column, config: dict[str, str]) -> ResolvedColumn | None:
        resolved = resolve(column, settings_of(config))
        if resolved is None:
            return None
        name = f"{self.table.id}.{column.name}"
        for key, value in config.items():
            if not any(re.fullmatch(p, name) for p in value.split(",") if key.startswith("column.")):
                continue
            if key == "column.propagate.source.type":
                resolved = with_source_type(resolved, column)
            elif match := re.fullmatch(r"column.mask.with.(\d+).chars", key):
                resolved = masked(resolved, int(match[1]))
            elif match := re.fullmatch(r"column.truncate.to.(\d+).chars", key):
                resolved = truncated(resolved, column, int(match[1]))
            elif match := re.fullmatch(r"column.mask.hash.(v2.)?SHA-256.with.salt.(.*)", key):
                resolved = hashed(resolved, column, "sha256", match[2], v2=match[1] is not None)
        return resolved

    def schema(self, *, snapshot: bool) -> Schema:
        return struct(
            [(c.name, r.snapshot_schema if snapshot and r.snapshot_schema else r.schema) for _, c, r in self.parts]
        )

    def value(self, texts: list[Any], *, snapshot: bool = False) -> dict[str, Any]:
        return {c.name: self._value(r, texts[i], snapshot=snapshot) for i, c, r in self.parts}

    def _value(self, resolved: ResolvedColumn, text: Any, *, snapshot: bool) -> Any:
        if resolved.constant is not msgspec.UNSET:
            return resolved.constant
        if text is None or resolved.always_null:
            return None
        if text is UNCHANGED:
            return resolved.unavailable
        try:
            return (resolved.snapshot_reader if snapshot else resolved.reader).read(text)
        except (ValueError, ConversionError):
            return None  # event.converting.failure.handling.mode=warn

    def identity(self, texts: list[Any]) -> dict[str, Any]:
        """The old row of which only the identity is known."""
        value = self.value(texts)
        for _, c, r in self.parts:
            if c.name not in self.table.primary_key and r.constant is msgspec.UNSET:
                value[c.name] = None if c.nullable else r.fallback
        return value


# ---- what PostgreSQL says


class Source:
    """Runs a case in its own database."""

    def __init__(self, dsn: str, case: dict[str, Any]) -> None:
        options = " ".join(f"-c {k}={v}" for k, v in SESSION_SETTINGS.items())
        self.dsn = psycopg.conninfo.make_conninfo(dsn, options=options, client_encoding="UTF8")
        self.case = case
        self.connection = psycopg.connect(self.dsn, autocommit=True)

    def tables(self) -> dict[str, Table]:
        async def load() -> dict[str, Table]:
            async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as connection:
                catalog = Catalog(connection)
                loaded = await catalog.load([t.oid for t in await catalog.tables()])
                return {t.id: t for t in loaded.values()}

        return asyncio.run(load())

    def execute(self, statement: str) -> None:
        self.connection.execute(statement)

    def copy(self, table: Table) -> list[list[bytes | None]]:
        names = ", ".join(f'"{c.name.replace(chr(34), chr(34) * 2)}"' for c in table.columns)
        target = f'"{table.schema}"."{table.name.replace(chr(34), chr(34) * 2)}"'
        with self.connection.cursor().copy(f"COPY (SELECT {names} FROM {target}) TO STDOUT") as copy:
            return [[None if text is None else text.encode() for text in row] for row in copy.rows()]

    def stream(self) -> Iterator[Insert | Update | Delete]:
        rows = self.connection.execute(
            "SELECT data FROM pg_logical_slot_get_binary_changes(current_database(), NULL, NULL, 'proto_version', '1', "
            "'publication_names', 'golden')"
        )
        for (data,) in rows.fetchall():
            message = decode(data)
            if isinstance(message, (Insert, Update, Delete)):
                yield message

    def close(self) -> None:
        self.connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = current_database()"
        )
        self.connection.close()


def expected(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """By table: op, images as raw text, and the row's schema."""
    out: dict[str, list[dict[str, Any]]] = {}
    for records in document["records"].values():
        for record in records:
            raw = record.get("value_raw")
            if raw is None:
                continue
            value = record["value"]["payload"] if "schema" in record["value"] else record["value"]
            if "source" not in value:
                continue
            reference = re.match(r'\{"schema":§(\w+)§', raw)
            body = raw[raw.index('"before":') :]
            images = re.fullmatch(
                r'"before":(null|\{.*\}),"after":(null|\{.*\}),"source":\{"version.*', body, re.DOTALL
            )
            assert images is not None
            schema = document["schemas"][reference[1]]["fields"][1] if reference else None
            table = f"{value['source']['schema']}.{value['source']['table']}"
            out.setdefault(table, []).append(
                {"op": value["op"], "before": images[1], "after": images[2], "schema": schema}
            )
    return out


# ---- comparison


def written(schema: Schema, value: dict[str, Any]) -> str:
    converter = JsonConverter(JsonConverterConfig.parse({"schemas.enable": "false"}, []), is_key=False)
    pieces: list[Any] = []
    converter.write("t", schema, value, pieces)
    return b"".join(pieces).decode()


def fields_of(schema: Schema) -> list[Any]:
    converter = JsonConverter(JsonConverterConfig.parse({}, []), is_key=False)
    fields: list[Any] = json.loads(b"".join(converter._schema(schema)), object_pairs_hook=list)[1][1]
    return fields


def differences(where: str, row: Row, texts: dict[str, Any], want: dict[str, Any], *, snapshot: bool) -> list[str]:
    """Names of what differs between `texts` read and the captured images."""
    schema = row.schema(snapshot=snapshot)
    out = []
    for image, value in texts.items():
        for (name, have), (other, ought) in zip(
            json.loads(written(schema, value), object_pairs_hook=list, parse_float=str),
            json.loads(want[image], object_pairs_hook=list, parse_float=str),
            strict=True,
        ):
            if (name, have) != (other, ought):
                out.append(f"{where} {image} {name}: {have!r} instead of {ought!r}")
        if not out and written(schema, value) != want[image]:
            out.append(f"{where} {image}: other bytes {written(schema, value)!r} instead of {want[image]!r}")
    if want["schema"] is not None:
        ordered = json.loads(json.dumps(want["schema"]["fields"]), object_pairs_hook=list)
        for have, ought in zip(fields_of(schema), ordered, strict=True):
            if have != ought:
                out.append(f"{where} schema {dict(ought).get('field')}: {have} instead of {ought}")
    return out


@pytest.mark.parametrize("name", CASES)
def test_rows_and_schemas_equal_the_capture(name: str, postgres_db: Any) -> None:
    document = golden(name)
    case = document["case"]
    source = Source(postgres_db.dsn, case)
    try:
        found = _run(source, document)
    finally:
        source.close()
    ignored = DIFFERENT.get(name, set())
    assert [d for d in found if not any(re.search(rf" {f}:", d) for f in ignored)] == []


def _run(source: Source, document: dict[str, Any]) -> list[str]:
    case = document["case"]
    want = expected(document)
    assert want or case["name"] == "domain_over_enum"
    setup = case["setup"]
    for statement in [setup] if isinstance(setup, str) else setup:
        source.execute(statement)
    tables = source.tables()
    rows = {t.id: Row(t, case["config"]) for t in tables.values()}
    found = []
    for table in tables.values():
        snapshot = [w for w in want.get(table.id, ()) if w["op"] == "r"]
        for n, (texts, w) in enumerate(zip(source.copy(table), snapshot, strict=bool(snapshot))):
            row = rows[table.id]
            found += differences(f"r{n}", row, {"after": row.value(texts, snapshot=True)}, w, snapshot=True)
    source.execute("CREATE PUBLICATION golden FOR ALL TABLES")
    source.execute("SELECT pg_create_logical_replication_slot(current_database(), 'pgoutput')")
    for step in case["steps"]:
        source.execute(step)
    by_oid = {t.oid: t for t in tables.values()}
    streamed = {t: iter([w for w in ws if w["op"] != "r"]) for t, ws in want.items()}
    for n, change in enumerate(source.stream()):
        table = by_oid[change.oid]
        found += _change(f"{n}", change, rows[table.id], streamed[table.id])
    assert all(next(rest, None) is None for rest in streamed.values())
    return found


def _change(where: str, change: Insert | Update | Delete, row: Row, want: Iterator[dict[str, Any]]) -> list[str]:
    def old(kind: str, texts: list[Any]) -> dict[str, Any]:
        return row.identity(texts) if kind == "K" else row.value(texts)

    if isinstance(change, Delete):
        return differences(where, row, {"before": old(change.old_kind, change.old)}, next(want), snapshot=False)
    new = list(change.new)
    out = []
    if isinstance(change, Update) and change.old is not None:
        keys = [i for i, c in enumerate(row.table.columns) if c.name in row.table.primary_key]
        if any(change.old[i] != new[i] for i in keys):
            out += differences(where, row, {"before": old(change.old_kind, change.old)}, next(want), snapshot=False)
        if change.old_kind == "O":
            new = [o if n is UNCHANGED else n for o, n in zip(change.old, new, strict=True)]
    return out + differences(where, row, {"after": row.value(new)}, next(want), snapshot=False)
