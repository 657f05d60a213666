"""What differs between two schemas, in words: so that a refusal names the field, whatever the registry says of it.

Only what a reader or writer can trip over: fields that came or went, other types, null no longer allowed. Docs, defaults'
values, properties and the order of unions are left out. Source: Avro's specification, "Schema Resolution"; of the other
kinds the fields and their types (registry.outlines).
"""

from __future__ import annotations

import json
from typing import Any, Final

from pycdc.registry.outlines import json_outline, proto_outline

_NAMED: Final = ("record", "enum", "fixed")


def differences(old: str, new: str, kind: str = "AVRO") -> list[str]:
    """One sentence per field, in the order of the new schema; empty when nothing differs, or one is not of the kind."""
    if kind != "AVRO":
        return _changed(json_outline(old), json_outline(new)) if kind == "JSON" else _changed(proto_outline(old), proto_outline(new))
    try:
        before, after = json.loads(old), json.loads(new)
    except ValueError:
        return []
    found: list[str] = []
    _Walk(found).pair("", before, after)
    # Debezium's envelope names the row's record in `before` first: users know the column without it
    return [sentence.replace("field before.", "field ", 1) for sentence in found]


def _changed(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """The same of two outlines."""
    if not old or not new:
        return []
    said = [(name, f"was {old[name]}, is {kind}" if name in old else "is new") for name, kind in new.items() if old.get(name) != kind]
    said += [(name, "is gone") for name in old if name not in new]
    # a row stands twice in Debezium's envelope: told once, by its columns' names
    return list(dict.fromkeys(f"field {name.removeprefix('before.').removeprefix('after.')} {what}" if name else f"the schema {what}"
                              for name, what in said))  # fmt: skip


class _Walk:
    def __init__(self, found: list[str]) -> None:
        self._found = found
        self._old: dict[str, Any] = {}
        self._new: dict[str, Any] = {}
        #: Pairs of named types that were met: a table's row is told once, though an envelope holds it twice.
        self._seen: set[tuple[str, str]] = set()

    def pair(self, path: str, old: Any, new: Any) -> None:
        """Compare what stands at `path`, the dotted names of the fields down to here."""
        olds, news = _branches(old, self._old), _branches(new, self._new)
        if "null" in olds and "null" not in news:
            self._tell(path, "may no longer be null")
        was = {k: v for k, v in olds.items() if k != "null"}
        now = {k: v for k, v in news.items() if k != "null"}
        if was.keys() != now.keys():
            self._tell(path, f"was {' or '.join(was) or 'null'}, is {' or '.join(now) or 'null'}")
        for kind in was.keys() & now.keys():
            self._same_kind(path, kind, was[kind], now[kind])

    def _same_kind(self, path: str, kind: str, old: Any, new: Any) -> None:
        if not isinstance(old, dict) or not isinstance(new, dict):
            return
        if kind.startswith("array"):
            self.pair(path, old["items"], new["items"])
        elif kind.startswith("map"):
            self.pair(path, old["values"], new["values"])
        elif old["type"] == "record":
            self._record(path, old, new)
        elif old["type"] == "enum":
            gone = [s for s in old["symbols"] if s not in new["symbols"]]
            came = [s for s in new["symbols"] if s not in old["symbols"]]
            if gone or came:
                self._tell(path, "; ".join([f"no longer has {', '.join(gone)}"] * bool(gone) + [f"now has {', '.join(came)}"] * bool(came)))

    def _record(self, path: str, old: dict[str, Any], new: dict[str, Any]) -> None:
        names = (old["name"], new["name"])
        if names in self._seen:
            return
        self._seen.add(names)
        was = {f["name"]: f for f in old["fields"]}
        now = {f["name"]: f for f in new["fields"]}
        for name, field in now.items():
            place = f"{path}.{name}" if path else name
            if name in was:
                self.pair(place, was[name]["type"], field["type"])
            else:
                self._tell(place, "is new" if "default" in field else "is new and has no default")
        for name, field in was.items():
            if name not in now:
                self._tell(f"{path}.{name}" if path else name, "is gone" if "default" in field else "is gone and had no default")

    def _tell(self, path: str, what: str) -> None:
        self._found.append(f"field {path} {what}" if path else f"the schema {what}")


def _branches(schema: Any, named: dict[str, Any]) -> dict[str, Any]:
    """The types of a union, or the one type, by what tells them apart; names are followed and remembered."""
    out: dict[str, Any] = {}
    for branch in schema if isinstance(schema, list) else [schema]:
        resolved = named.get(branch, branch) if isinstance(branch, str) else branch
        kind = resolved["type"] if isinstance(resolved, dict) else resolved
        if isinstance(kind, dict | list):  # {"type": {"type": ...}} says no more than what it holds
            out |= _branches(kind, named)
            continue
        if isinstance(resolved, dict) and kind in _NAMED:
            named[resolved["name"]] = resolved
            named[f"{resolved.get('namespace', '')}.{resolved['name']}"] = resolved
        out[_label(kind, resolved)] = resolved
    return out


def _label(kind: str, schema: Any) -> str:
    if not isinstance(schema, dict):
        return kind
    if kind in _NAMED:
        return f"{kind} {schema['name']}"
    if schema.get("logicalType") == "decimal":
        return f"decimal({schema.get('precision')},{schema.get('scale', 0)})"
    return f"{kind} ({schema['logicalType']})" if "logicalType" in schema else kind
