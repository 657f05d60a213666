"""What JSON Schemas and .proto texts say of each field, short: so that two versions can be told apart by name.

An outline is {dotted field: its type}, in the order of the text; "" is the schema itself. It is for the words of an error:
what it cannot read it leaves out, and whether two types are compatible is the registry's to say.
Sources: JSON Schema draft 7; the Protocol Buffers language specification, proto3.
"""

from __future__ import annotations

import json
import re
from typing import Any

#: What may hold braces and words without being a declaration.
_NOT_CODE = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|//[^\n]*|/\*.*?\*/', re.DOTALL)
_DECLARATION = re.compile(
    r"(?:message\s+(?P<message>\w+)\s*)?(?P<open>\{)|(?P<close>\})"
    r"|(?P<type>(?:(?:optional|repeated|required)\s+)?(?:map\s*<[^>]*>|[\w.]+))\s+(?P<field>\w+)\s*=\s*(?P<number>\d+)"
)
#: Fields that are looked at: definitions that lead to each other in many ways would have no end otherwise.
_MOST = 5_000


def json_outline(text: str) -> dict[str, str]:
    """Of a JSON Schema's properties; a reference to another document is not followed. Empty when it is not JSON."""
    try:
        whole = json.loads(text)
    except ValueError:
        return {}
    out: dict[str, str] = {}

    def walk(path: str, node: Any, around: list[dict[str, Any]]) -> None:
        branches = _branches(whole, node)
        out[path] = " or ".join(dict.fromkeys(_kind(b) for b in branches))
        for branch in branches:
            if any(branch is outer for outer in around):
                continue  # `$ref` leads back to it
            for name, inner in branch.get("properties", {}).items():
                if len(out) < _MOST:
                    walk(f"{path}.{name}" if path else name, inner, [*around, branch])

    walk("", whole, [])
    return out


def _branches(whole: Any, node: Any) -> list[dict[str, Any]]:
    """The objects that a value of the node may be described by, what they refer to in their place."""
    if not isinstance(node, dict):
        return []
    pointer = str(node.get("$ref", ""))
    if pointer.startswith("#/"):
        found = whole
        for step in pointer[2:].split("/"):
            found = found.get(step) if isinstance(found, dict) else None
        return [found] if isinstance(found, dict) else []
    alternatives = node.get("oneOf") or node.get("anyOf")
    return [b for a in alternatives for b in _branches(whole, a)] if alternatives else [node]


def _kind(branch: dict[str, Any]) -> str:
    kind = branch.get("type", "anything")
    if isinstance(kind, list):
        return " or ".join(kind)
    return "closed object" if kind == "object" and branch.get("additionalProperties") is False else str(kind)


def proto_outline(text: str) -> dict[str, str]:
    """Of the fields of a .proto text's messages, by the names of the messages around them: `string = 2`."""
    out: dict[str, str] = {}
    around: list[str] = []
    for found in _DECLARATION.finditer(_NOT_CODE.sub(" ", text)):
        if found["open"]:
            around.append(found["message"] or "")  # oneof, enum, service: their fields are the message's
        elif found["close"]:
            del around[-1:]
        elif any(around) and found["type"] != "option":
            out[".".join([*filter(None, around), found["field"]])] = f"{' '.join(found['type'].split())} = {found['number']}"
    return out
