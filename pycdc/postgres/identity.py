"""replica.identity.autoset.values: sets what old images hold, table by table.

Source: ALTER TABLE ... REPLICA IDENTITY (PostgreSQL docs) and Debezium's property. A table that cannot be
altered keeps its identity: that is told, with the SQL, and is no reason not to stream.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
import regex
import structlog

from pycdc.model.javaregex import compile_java
from pycdc.model.table import Table
from pycdc.postgres.session import ConnectionSettings, quote_name, translate

log = structlog.get_logger(__name__)

_WORDS = {"DEFAULT": "d", "FULL": "f", "NOTHING": "n"}


class IdentityRules:
    """`schema.table:FULL,other:INDEX its_index`; the table is a Java pattern, the first one that fits counts."""

    def __init__(self, rules: list[tuple[regex.Pattern[str], str]]) -> None:
        self._rules = rules

    def __bool__(self) -> bool:
        return bool(self._rules)

    @classmethod
    def parse(cls, text: str) -> IdentityRules:
        """Raises ValueError that names the malformed rule."""
        rules = []
        for rule in filter(str.strip, text.split(",")):
            table, colon, value = rule.strip().rpartition(":")
            word = value.strip().upper()
            if not colon or not table or (word not in _WORDS and not word.startswith("INDEX ")):
                raise ValueError(f"rule {rule.strip()!r} is not of the form table:DEFAULT, FULL, NOTHING or INDEX name")
            rules.append((compile_java(table.strip(), ignore_case=True), value.strip()))
        return cls(rules)

    def value(self, table: str) -> str | None:
        """What the table's identity shall be, as written; None = as it is."""
        return next((value for pattern, value in self._rules if pattern.fullmatch(table)), None)


async def set_identities(
    conn: psycopg.AsyncConnection, rules: IdentityRules, tables: Sequence[Table], settings: ConnectionSettings
) -> None:
    """Alter those of `tables` whose identity is another than the rules say."""
    for table in tables:
        value = rules.value(table.id)
        if value is None or _WORDS.get(value.upper()) == table.replica_identity:
            continue
        name = f"{quote_name(table.schema)}.{quote_name(table.name)}"
        index = value[len("INDEX ") :].strip() if value.upper().startswith("INDEX ") else None
        wanted = f"USING INDEX {quote_name(index)}" if index is not None else value.upper()
        statement = f"ALTER TABLE {name} REPLICA IDENTITY {wanted}"
        try:
            await conn.execute(statement.encode())
            log.info("replica identity set", table=table.id, identity=value)
        except psycopg.Error as error:
            fault = translate(error, settings, "the replica identity cannot be set")
            if fault.retriable:
                raise fault from None
            log.warning("the replica identity cannot be set", table=table.id, cause=fault.cause, hint=f"as its owner: {statement}")
