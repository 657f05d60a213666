"""Column rules: masks, truncation, hashes and source-type parameters on top of the type table."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from pycdc.debezium.types import ResolvedColumn, TypeSettings, hashed, masked, resolve, truncated, with_source_type
from pycdc.model.javaregex import NameFilter, split_list
from pycdc.model.table import Column, Table

_MASK = re.compile(r"column\.mask\.with\.(\d+)\.chars")
_TRUNCATE = re.compile(r"column\.truncate\.to\.(\d+)\.chars")
_HASH = re.compile(r"column\.mask\.hash\.(v2\.)?([^.]+)\.with\.salt\.(.+)")

#: Beginnings of the keys that `ColumnRules.parse` reads.
PREFIXES = ("column.mask.with.", "column.truncate.to.", "column.mask.hash.")

_HASHLIB = {"MD2": None, "MD5": "md5", "SHA-1": "sha1", "SHA": "sha1", "SHA-224": "sha224", "SHA-256": "sha256",
            "SHA-384": "sha384", "SHA-512": "sha512", "SHA3-256": "sha3_256", "SHA3-512": "sha3_512"}  # fmt: skip


class _Rule(msgspec.Struct, frozen=True):
    filter: NameFilter
    kind: str
    length: int = 0
    algorithm: str = ""
    salt: str = ""
    v2: bool = False


class ColumnRules:
    """Resolves a column of a table into schema and readers, with every configured rule applied."""

    def __init__(
        self,
        types: TypeSettings,
        rules: list[_Rule] | None = None,
        *,
        propagate_columns: NameFilter | None = None,
        propagate_types: NameFilter | None = None,
        comments: bool = False,
    ) -> None:
        self.types = types
        self._rules = rules or []
        self._propagate_columns = propagate_columns or NameFilter([])
        self._propagate_types = propagate_types or NameFilter([])
        self._comments = comments

    @staticmethod
    def parse(raw: Mapping[str, str]) -> list[_Rule]:
        """The rules among `raw`'s keys, in the order given. Raises ValueError naming the key."""
        rules = []
        for key, value in raw.items():
            filter_ = NameFilter(split_list(value)) if key.startswith(PREFIXES) else None
            if filter_ is None:
                continue
            if m := _MASK.fullmatch(key):
                rules.append(_Rule(filter_, "mask", int(m[1])))
            elif m := _TRUNCATE.fullmatch(key):
                rules.append(_Rule(filter_, "truncate", int(m[1])))
            elif (m := _HASH.fullmatch(key)) and _HASHLIB.get(m[2].upper()):
                rules.append(_Rule(filter_, "hash", 0, _HASHLIB[m[2].upper()] or "", m[3], m[1] is not None))
            else:
                raise ValueError(f"{key} is not understood: see column.mask.with.N.chars, column.truncate.to.N.chars, "
                                 "column.mask.hash[.v2].ALGORITHM.with.salt.SALT")  # fmt: skip
        return rules

    def resolve(self, table: Table, column: Column, database: str) -> ResolvedColumn | None:
        """None: the column's type is unknown and left out."""
        resolved = resolve(column, self.types)
        if resolved is None:
            return None
        name = f"{table.id}.{column.name}"
        if self._propagates(name, column, database):
            resolved = with_source_type(resolved, column)
        for rule in self._rules:
            if not rule.filter.matches(name):
                continue
            if rule.kind == "mask":
                resolved = masked(resolved, rule.length)
            elif rule.kind == "truncate":
                resolved = truncated(resolved, column, rule.length)
            else:
                resolved = hashed(resolved, column, rule.algorithm, rule.salt, v2=rule.v2)
        if self._comments and column.comment:
            resolved = msgspec.structs.replace(resolved, schema=resolved.schema.replace(doc=column.comment))
        return resolved

    def _propagates(self, name: str, column: Column, database: str) -> bool:
        if self._propagate_columns.matches(name):
            return True
        return self._propagate_types.matches(f"{database}.{column.type.name}")
