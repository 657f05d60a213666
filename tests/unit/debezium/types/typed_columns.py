"""Columns as the catalog gives them, by the type's name: `int4`, `varchar(5)`, `numeric(6,2)[]`, `mood`."""

from __future__ import annotations

import re
from typing import Any

from pycdc.debezium.types import ResolvedColumn, TypeSettings, resolve
from pycdc.debezium.types.table import EXTENSIONS
from pycdc.model.table import Column, TypeInfo

MOOD = TypeInfo(oid=9, name="mood", schema="public", kind="e", category="E", labels=("sad", "ok"))


def type_info(name: str) -> TypeInfo:
    if name == "mood":
        return MOOD
    if name.endswith("[]"):
        element = type_info(name[:-2])
        return TypeInfo(oid=2, name="_" + element.name, schema=element.schema, category="A", element=element)
    return TypeInfo(oid=1, name=name, schema="public" if name in EXTENSIONS else "pg_catalog")


def typmod(name: str, arguments: list[int]) -> int:
    if not arguments:
        return -1
    if name == "numeric":
        return (arguments[0] << 16 | (arguments[1] if len(arguments) > 1 else 0) & 0x7FF) + 4
    return arguments[0] + 4 if name in ("varchar", "bpchar") else arguments[0]


def column(declaration: str, **attributes: Any) -> Column:
    match = re.fullmatch(r"(\w+)(?:\(([-\d,]+)\))?(\[])?", declaration)
    assert match is not None
    arguments = [int(a) for a in match[2].split(",")] if match[2] else []
    info = type_info(match[1] + (match[3] or ""))
    return Column(name="c", type=info, typmod=typmod(match[1], arguments), **attributes)


def resolved(declaration: str, settings: dict[str, Any] | None = None, **attributes: Any) -> ResolvedColumn:
    found = resolve(column(declaration, **attributes), TypeSettings(**(settings or {})))
    assert found is not None
    return found


def read(declaration: str, text: str, **settings: Any) -> Any:
    return resolved(declaration, settings).reader.read(text.encode())
