"""Which resource a path means, and what may be done with it.

Paths are taken apart as they came over the wire, because names may hold anything: `%2F` is part of a name, `+` is a
plus, what stands behind a `;` belongs to no name (RFC 3986, 3.3).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote

import msgspec

#: Stands for any one segment.
_ANY: Final = "*"

#: Resource by its segments -> its name here, and the method of each HTTP method.
_RESOURCES: Final[dict[tuple[str, ...], dict[str, str]]] = {
    (): {"GET": "root"},
    ("health",): {"GET": "health"},
    ("health", "live"): {"GET": "live"},
    ("health", "ready"): {"GET": "ready"},
    ("health", "cdc"): {"GET": "cdc"},
    ("metrics",): {"GET": "metrics"},
    ("connectors",): {"GET": "connectors", "POST": "create"},
    ("connectors", _ANY): {"GET": "connector", "DELETE": "delete"},
    ("connectors", _ANY, "config"): {"GET": "config", "PUT": "put_config", "PATCH": "patch_config"},
    ("connectors", _ANY, "status"): {"GET": "status"},
    ("connectors", _ANY, "restart"): {"POST": "restart"},
    ("connectors", _ANY, "pause"): {"PUT": "pause"},
    ("connectors", _ANY, "resume"): {"PUT": "resume"},
    ("connectors", _ANY, "stop"): {"PUT": "stop"},
    ("connectors", _ANY, "topics"): {"GET": "topics"},
    ("connectors", _ANY, "topics", "reset"): {"PUT": "reset_topics"},
    ("connectors", _ANY, "offsets"): {"GET": "offsets", "PATCH": "alter_offsets", "DELETE": "reset_offsets"},
    ("connectors", _ANY, "tasks"): {"GET": "tasks", "POST": "internal_tasks"},
    ("connectors", _ANY, "tasks", _ANY, "status"): {"GET": "task_status"},
    ("connectors", _ANY, "tasks", _ANY, "restart"): {"POST": "restart_task"},
    ("connectors", _ANY, "fence"): {"PUT": "internal_fence"},
    ("connector-plugins",): {"GET": "plugins"},
    ("connector-plugins", _ANY, "config"): {"GET": "plugin_config"},
    ("connector-plugins", _ANY, "config", "validate"): {"PUT": "validate"},
    ("admin", "loggers"): {"GET": "loggers"},
    ("admin", "loggers", _ANY): {"GET": "logger", "PUT": "set_logger"},
}
#: What the original's web server does not let through.
_AMBIGUOUS: Final = ("%2f", "%25", "%5c", "%00", "%0a", "%0d", "%22", "%3b")


class Resource(msgspec.Struct, frozen=True):
    """What a path means. `names`: the segments that stand for something; `methods`: HTTP method -> its name here."""

    names: tuple[str, ...]
    methods: dict[str, str]
    is_admin: bool
    #: The original refuses such a path whatever it means.
    is_ambiguous: bool

    @property
    def allowed(self) -> str:
        """As the header Allow has it."""
        first = ["HEAD"] if "GET" in self.methods else []
        return ",".join([*first, *sorted(self.methods, key=("POST", "DELETE", "GET", "PUT", "PATCH").index), "OPTIONS"])


def resource(raw_path: str) -> Resource | None:
    """None where there is nothing. `raw_path`: as it came, without its query."""
    raw = raw_path.partition("?")[0]
    segments = [unquote(s.partition(";")[0], errors="replace") for s in raw.strip("/").split("/")] if raw.strip("/") else []
    ambiguous = "//" in raw or any(code in raw.lower() for code in _AMBIGUOUS)
    for pattern, methods in _RESOURCES.items():
        if len(pattern) == len(segments) and all(p in (_ANY, s) for p, s in zip(pattern, segments, strict=True)):
            names = tuple(s for p, s in zip(pattern, segments, strict=True) if p == _ANY)
            return Resource(names, methods, segments[:1] == ["admin"], ambiguous)
    return Resource((), {}, is_admin=False, is_ambiguous=True) if ambiguous else None


def location(name: str) -> str:
    """The path of a connector, as JAX-RS builds it: an escape that is there already is left alone."""
    return "/connectors/" + quote(name, safe="/;:@&=+$,!*'()~-._%")
