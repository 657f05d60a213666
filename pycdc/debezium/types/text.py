"""Types whose value is the text PostgreSQL prints: characters, json, uuid, network, ranges, enums ...

Under the session's settings (UTC, DateStyle ISO) that text is Debezium's value too.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from pycdc.debezium.types.entry import Entry, TypeSettings
from pycdc.model.schema import Schema
from pycdc.model.table import TypeInfo
from pycdc.model.template import Form

Maker = Callable[[TypeSettings], Entry]


def text(
    name: str | None = None,
    *,
    characters: bool = False,
    default: Callable[[str], str] | None = None,
    generated: str = "",
    items: str = "optional",
) -> Maker:
    """A string, with a logical name where Debezium gives one."""
    schema = Schema(type="string", name=name, version=None if name is None else 1)
    return lambda settings: Entry(
        schema=schema, read=bytes.decode, form=Form.TEXT, fallback="", default=default, generated=generated,
        unavailable=settings.placeholder_text, characters=characters, items=items,
    )  # fmt: skip


def as_is(literal: str) -> str:
    return literal


def uuid_default(literal: str) -> str:
    return str(uuid.UUID(literal))


def enum(typ: TypeInfo, settings: TypeSettings) -> Entry:
    """Of a user's enum type."""
    schema = Schema(
        type="string", name="io.debezium.data.Enum", version=1, parameters=(("allowed", ",".join(typ.labels)),)
    )
    return Entry(
        schema=schema, read=bytes.decode, form=Form.TEXT, fallback="", default=as_is,
        unavailable=settings.placeholder_text, characters=True, items="required",
    )  # fmt: skip
