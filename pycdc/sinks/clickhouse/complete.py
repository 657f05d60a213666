"""Rows that a change knows only in part, completed from the target: all of a block in one query.

Texts go both ways: keys as the rows' own writer has them, the other columns as ClickHouse writes them, which it
reads again without a difference.
"""

from __future__ import annotations

from collections.abc import Callable

from pycdc.sinks.clickhouse.blocks import Block, unknown_columns
from pycdc.sinks.clickhouse.client import Session
from pycdc.sinks.clickhouse.statements import literal, names, quoted
from pycdc.sinks.clickhouse.target import Target
from pycdc.sinks.lines import NULL, Part

#: The lines of a part's columns.
Lines = Callable[[Part], bytes]


def completed(session: Session, target: Target, part: Part, key: tuple[str, ...], lines: Lines) -> Block:
    """The part with all columns of the table. Raises BadRow for a row that is not there."""
    own = {target.version, target.deleted}
    missing = tuple(c for c in target.types if c not in part.columns and c not in own)
    if not key:
        _, changes, index = part.entries[0]
        raise unknown_columns(target, changes, index)
    if not missing:
        return Block(part)
    keyed = Part(key, [part.values[part.columns.index(k)] for k in key], part.entries, part.schema)
    numbered = b"".join(b"%d\t%s\n" % (n, line) for n, line in enumerate(lines(keyed).split(b"\n")[:-1]))
    found = {int(row[0]): row[1:] for row in session.texts(_query(target, key, missing, numbered.decode()))}
    absent = next((n for n in range(len(part.entries)) if n not in found), None)
    if absent is not None:
        _, changes, index = part.entries[absent]
        raise unknown_columns(target, changes, index)
    texts = [[None if t == NULL else t for t in column] for column in zip(*(found[n] for n in range(len(part.entries))), strict=True)]
    return Block(Part((*part.columns, *missing), [*part.values, *texts], part.entries, part.schema), frozenset(missing))


def _query(target: Target, key: tuple[str, ...], missing: tuple[str, ...], numbered: str) -> str:
    """FINAL over the keys only: the set is made of them before the table is read."""
    shape = "_n UInt32, " + ", ".join(f"_k{i} {target.types[k]}" for i, k in enumerate(key))
    given = ", ".join(f"_k{i}" for i in range(len(key)))
    alive = f" AND {quoted(target.deleted)} = 0" if target.deleted and not target.hides_deleted else ""
    same = " AND ".join(f"t.{quoted(k)} = k._k{i}" for i, k in enumerate(key))
    return (
        f"WITH k AS (SELECT * FROM format(TSV, {literal(shape)}, {literal(numbered)})) "
        f"SELECT k._n, {', '.join(f't.{quoted(c)}' for c in missing)} FROM "
        f"(SELECT {names((*key, *missing))} FROM {target.name} FINAL WHERE ({names(key)}) IN (SELECT {given} FROM k){alive}) AS t "
        f"INNER JOIN k ON {same}"
    )
