"""Column rules: masks, truncation, hashes and source-type parameters on top of the type table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from pycdc.debezium.types import ResolvedColumn, TypeSettings, hashed, masked, resolve, truncated, with_source_type
from pycdc.model.javaregex import NameFilter, split_list
from pycdc.model.table import Column, Table
from pycdc.model.template import Reader
from pycdc.plugins.contracts import CustomConverter

_MASK = re.compile(r"column\.mask\.with\.(\d+)\.chars")
_TRUNCATE = re.compile(r"column\.truncate\.to\.(\d+)\.chars")
_HASH = re.compile(r"column\.mask\.hash\.(v2\.)?([^.]+)\.with\.salt\.(.+)")

#: Beginnings of the keys that `ColumnRules.parse` reads.
PREFIXES = ("column.mask.with.", "column.truncate.to.", "column.mask.hash.")

#: Java's names of digests -> hashlib's.
_HASHLIB = {
    "MD5": "md5", "SHA-1": "sha1", "SHA": "sha1", "SHA-224": "sha224", "SHA-256": "sha256", "SHA-384": "sha384",
    "SHA-512": "sha512", "SHA3-256": "sha3_256", "SHA3-512": "sha3_512",
}  # fmt: skip


class _Rule(msgspec.Struct, frozen=True):
    filter: NameFilter
    kind: str
    length: int = 0
    algorithm: str = ""
    salt: str = ""
    v2: bool = False


#: Of several rules that match a column only the first in this order counts (Debezium's ColumnMappers).
_PRECEDENCE = ("truncate", "mask", "propagate column", "propagate type", "hash", "hash v2")


class ColumnRules:
    """Resolves a column of a table into schema and readers, with the configured rule applied."""

    def __init__(
        self,
        types: TypeSettings,
        rules: list[_Rule] | None = None,
        *,
        propagate_columns: NameFilter | None = None,
        propagate_types: NameFilter | None = None,
        custom: Sequence[CustomConverter] = (),
    ) -> None:
        self.types = types
        self._custom = tuple(custom)
        nothing = NameFilter([])
        rules = [
            *(rules or []),
            _Rule(propagate_columns or nothing, "propagate column"),
            _Rule(propagate_types or nothing, "propagate type"),
        ]
        self._rules = sorted(rules, key=lambda r: _PRECEDENCE.index(r.kind))

    @staticmethod
    def parse(raw: Mapping[str, str]) -> list[_Rule]:
        """The rules among `raw`'s keys, in the order given. Raises ValueError naming the key."""
        rules = []
        for key, value in raw.items():
            if not key.startswith(PREFIXES):
                continue
            filter_ = NameFilter(split_list(value))
            if m := _MASK.fullmatch(key):
                rules.append(_Rule(filter_, "mask", int(m[1])))
            elif m := _TRUNCATE.fullmatch(key):
                rules.append(_Rule(filter_, "truncate", int(m[1])))
            elif (m := _HASH.fullmatch(key)) and m[2].upper() in _HASHLIB:
                rules.append(_Rule(filter_, "hash v2" if m[1] else "hash", 0, _HASHLIB[m[2].upper()], m[3], bool(m[1])))
            else:
                raise ValueError(
                    f"{key} is not understood: see column.mask.with.N.chars, column.truncate.to.N.chars, "
                    f"column.mask.hash[.v2].ALGORITHM.with.salt.SALT with one of {', '.join(_HASHLIB)}"
                )
        return rules

    def resolve(self, table: Table, column: Column) -> ResolvedColumn | None:
        """The column as rows show it. None: its type is unknown and left out."""
        resolved = self._own(table, column) or resolve(column, self.types)
        if resolved is None:
            return None
        name, type_name = f"{table.id}.{column.name}", f"{table.id}.{column.type.name}"
        for rule in self._rules:
            if rule.filter.matches(type_name if rule.kind == "propagate type" else name):
                return _applied(rule, resolved, column)
        return resolved

    def _own(self, table: Table, column: Column) -> ResolvedColumn | None:
        """As the first custom converter shows it that wants to."""
        for converter in self._custom:
            form = converter.form_of(table, column)
            if form is not None:
                reader = Reader(_of_text(form.convert), type_name=column.type.name, column_name=column.name)
                fallback = form.schema.default if form.schema.has_default else None
                return ResolvedColumn(form.schema, reader, reader, fallback, None, unavailable_unmarked=True)
        return None

    def resolve_key(self, column: Column) -> ResolvedColumn | None:
        """The column as keys show it: no rule reaches them."""
        return resolve(column, self.types)


def _of_text(convert: Callable[[str], Any]) -> Callable[[bytes], Any]:
    return lambda text: convert(text.decode())


def _applied(rule: _Rule, resolved: ResolvedColumn, column: Column) -> ResolvedColumn:
    if rule.kind == "mask":
        return masked(resolved, rule.length)
    if rule.kind == "truncate":
        return truncated(resolved, column, rule.length)
    if rule.kind.startswith("hash"):
        return hashed(resolved, column, rule.algorithm, rule.salt, v2=rule.v2)
    return with_source_type(resolved, column)
