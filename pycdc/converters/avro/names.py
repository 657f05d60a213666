"""Names: Connect's dotted ones cut into namespace and name, and cleaned where that is asked for."""

from __future__ import annotations

import re
from urllib.parse import quote_plus

from pycdc.errors import RecordError

NAMESPACE = "io.confluent.connect.avro"
DEFAULT_NAME = "ConnectDefault"
UNION = f"{NAMESPACE}.Union"
ENUM = f"{NAMESPACE}.Enum"

_CLEAN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_]")


def split(full: str, *, scrub: bool) -> tuple[str | None, str]:
    """Namespace (None when there is no dot) and name; each part cleaned when `scrub` is set."""
    parts = full.split(".")
    while len(parts) > 1 and not parts[-1]:  # Java's split drops empty parts at the end
        parts.pop()
    if scrub:
        parts = [scrubbed(p) for p in parts]
    return ".".join(parts[:-1]) or None, parts[-1]


def field_name(name: str, *, scrub: bool) -> str:
    """A field's name in Avro; dots are no separators here."""
    return scrubbed(name) if scrub else name


def scrubbed(name: str) -> str:
    """URL-encoded, then an underscore for whatever Avro forbids, and x before a digit."""
    if not name or _CLEAN.fullmatch(name):
        return name
    encoded = quote_plus(name, safe="*-._").replace("~", "%7E")
    return _FORBIDDEN.sub("_", f"x{encoded}" if encoded[0].isdigit() else encoded)


def valid(name: str, what: str) -> str:
    """`name`, when Avro allows it. Raises RecordError."""
    good = (
        name and (name[0].isalpha() or name[0] == "_")
        and all((c.isalpha() or c.isdecimal() or c == "_") and c <= "\uffff" for c in name)  # Java looks at UTF-16 units
    )  # fmt: skip
    if not good:
        raise RecordError(
            f"Avro does not allow the {what} {name!r}",
            cause="letters, digits and underscores, and no digit first",
            hint="set field.name.adjustment.mode=avro and schema.name.adjustment.mode=avro, or scrub.invalid.names=true "
            "for the converter",
        )
    return name
