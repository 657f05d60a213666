"""Compares the answer to one step with the captured one.

Never compared: worker ids (only that they are host:port), versions and commits, the cluster's id, texts of traces
(only that there is one where one was), times, LSNs and transaction ids (integers), order of keys and of names,
plugins beyond those of the captured connectors, loggers beyond those asked for by name, what a web server says of
itself, its HTML pages, how a configuration key is shown (documentation, width, order, recommended values).

Accepted: 400 where the original trips over a body with 500 and a text of Java's, and any wording where it speaks
Java; a Content-Type where the original forgets it; RESTARTING, UNASSIGNED and RUNNING for each other right after
a restart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from rest_capture import Answer, Step

#: What only a Java program says.
_JAVA: Final = re.compile(
    r"Cannot invoke|Cannot deserialize|construct instance|Unrecognized (token|field)|PluginDesc|java\.|org\.apache\."
    r"|was expecting|No enum constant|Unexpected (end|character)|JsonToken|jackson|Unparse?able|ParseException|near index"
    r"|Error while validating connector config"
)
_FREE: Final = {"commit", "kafka_cluster_id"}
_INTEGERS: Final = {"lsn", "lsn_proc", "lsn_commit", "txId", "ts_usec", "last_modified", "creation-timestamp"}
_SHOWN: Final = {"documentation", "display_name", "order", "dependents", "recommended_values", "width"}
_STARTING: Final = {"RESTARTING", "UNASSIGNED", "RUNNING"}
#: Plugins that both have: those of the captured connectors, and Kafka's own converters and transforms.
_PLUGINS: Final = re.compile(r"debezium.*(postgres|jdbc|transforms|converters)|kafka\.connect\.(transforms|json|storage|converters)")
#: Headers that a configuration puts there, not a web server.
_CONFIGURED: Final = ("access-control-", "x-")
#: Of what differs only so much is shown.
_SHOW: Final = 200


def differences(step: Step, original: Answer, here: Answer, *, soft: bool = False) -> list[str]:
    """One line for each point that differs; `soft`: states may be on their way in every answer."""
    if original.status != here.status and {original.status, here.status} <= set(step.get("either", ())):
        return []
    if original.status == here.status == 0:
        return []
    java = original.status == 500 and _JAVA.search(original.body) is not None
    if original.status != here.status and not (java and here.status == 400):
        return [f"status: {here.status} for {original.status} (here {here.body[:_SHOW]!r}, the original {original.body[:_SHOW]!r})"]
    found = list(_headers(original, here))
    if java or step.get("loose") or _media(original) == "text/html":
        return found
    restarted = step["m"] == "POST" and step["p"].rstrip("/").endswith("/restart")
    return found + list(_Bodies(soft=soft or restarted).differ(*_comparable(step, _parsed(original), _parsed(here)), "body"))


def _media(answer: Answer) -> str:
    return answer.headers.get("content-type", "").partition(";")[0]


def _headers(original: Answer, here: Answer) -> Iterator[str]:
    if _media(original) == "application/json" and here.body and _media(here) != "application/json":
        yield f"Content-Type: {_media(here)!r} for 'application/json'"
    location = re.sub("^/", "${BASE}/", here.headers.get("location", ""))  # a client resolves it to the same
    if location != original.headers.get("location", ""):
        yield f"Location: {location!r} for {original.headers.get('location', '')!r}"
    allowed = [{name.strip() for name in answer.headers.get("allow", "").split(",")} for answer in (original, here)]
    if "allow" in original.headers and allowed[0] != allowed[1]:
        yield f"Allow: {sorted(allowed[1])} for {sorted(allowed[0])}"
    for name in sorted(original.headers.keys() | here.headers.keys()):
        if name.startswith(_CONFIGURED) and original.headers.get(name) != here.headers.get(name):
            yield f"{name}: {here.headers.get(name)!r} for {original.headers.get(name)!r}"


def _parsed(answer: Answer) -> Any:
    if not answer.body:
        return None
    try:
        return json.loads(answer.body)
    except ValueError:
        return answer.body


def _comparable(step: Step, original: Any, here: Any) -> tuple[Any, Any]:
    """Loggers are those of the program: only what was asked for by name is the same in another one."""
    path = step["p"].rstrip("/")
    if path == "/admin/loggers" and isinstance(original, dict) and isinstance(here, dict):
        return _root(original), _root(here) if "root" in original else {}
    if path == "/admin/loggers/root" and isinstance(original, dict) and isinstance(here, dict) and "level" in original:
        return original | {"level": here.get("level")}, here
    if step["m"] == "PUT" and path.startswith("/admin/loggers/") and isinstance(original, list) and isinstance(here, list):
        asked = path.rpartition("/")[2]
        return [name for name in original if name == asked], [name for name in here if name == asked]
    return original, here


def _root(loggers: dict[str, Any]) -> Any:
    """The one logger that every program has, at any level."""
    return {name: {**logger, "level": ""} for name, logger in loggers.items() if name == "root"}


class _Bodies:
    """`differ` walks both bodies at once; `key` is the nearest key, which says what a value means."""

    def __init__(self, *, soft: bool) -> None:
        self._soft = soft

    def differ(self, original: Any, here: Any, at: str, key: str = "") -> Iterator[str]:
        if self._free(original, here, key):
            return
        if isinstance(original, dict) and isinstance(here, dict):
            yield from self._objects(original, here, at)
        elif isinstance(original, list) and isinstance(here, list):
            yield from self._lists(original, here, at, key)
        elif type(original) is not type(here) or not self._same(original, here, key):
            yield f"{at}: {_short(here)} for {_short(original)}"

    @staticmethod
    def _free(original: Any, here: Any, key: str) -> bool:
        """Whether the value is one of its run's own, and of the right kind."""
        if key == "worker_id":
            return isinstance(here, str) and re.fullmatch(r".+:\d+", here) is not None
        if key == "version":
            return here is None or isinstance(here, str)
        if key == "trace":
            return isinstance(here, str) and bool(here.strip())
        if key == "groups":
            return isinstance(here, list) and set(original) == set(here)
        return key in _FREE or key in _SHOWN or (key in _INTEGERS and original is not None and type(here) is int)

    def _objects(self, original: dict[str, Any], here: dict[str, Any], at: str) -> Iterator[str]:
        for key in [*original, *(k for k in here if k not in original)]:
            if key not in here:
                if key not in {"version", "documentation"}:
                    yield f"{at}.{key}: missing, is {_short(original[key])}"
            elif key not in original:
                if key != "version":
                    yield f"{at}.{key}: not in the original, here {_short(here[key])}"
            else:
                yield from self.differ(original[key], here[key], f"{at}.{key}", key)

    def _lists(self, original: list[Any], here: list[Any], at: str, key: str) -> Iterator[str]:
        if _all_objects(original, {"class", "type"}):
            yield from _missing_plugins(original, here, at)
        elif _all_objects(original, {"definition", "value"}) or _all_objects(original, {"default_value"}):
            yield from self._by_name({_key_name(i): i for i in original}, {_key_name(i): i for i in here}, at)
        elif len(original) != len(here):
            yield f"{at}: {len(here)} items for {len(original)}: {_short(here)} for {_short(original)}"
        else:
            order = _order(original + here)
            for number, (one, other) in enumerate(zip(sorted(original, key=order), sorted(here, key=order), strict=True)):
                yield from self.differ(one, other, f"{at}[{number}]", key if key == "errors" else "")

    def _by_name(self, original: dict[str, Any], here: dict[str, Any], at: str) -> Iterator[str]:
        for name in sorted(original.keys() | here.keys()):
            if name not in here or name not in original:
                yield f"{at}[{name}]: {'missing' if name in original else 'not in the original'}"
            else:
                yield from self.differ(original[name], here[name], f"{at}[{name}]")

    def _same(self, original: Any, here: Any, key: str) -> bool:
        if original == here:
            return True
        if not isinstance(original, str):
            return False
        if key == "state":
            return self._soft and {original, here} <= _STARTING
        if key in {"message", "errors"} and _JAVA.search(original):
            return True
        return key == "message" and (_lines(original) == _lines(here) or _maps(original) == _maps(here))


def _all_objects(items: list[Any], keys: set[str]) -> bool:
    return bool(items) and all(isinstance(item, dict) and keys <= item.keys() for item in items)


def _key_name(item: Any) -> str:
    """A configuration key's name, from its definition, its value, or both."""
    inner = (item.get("definition") or item.get("value")) if isinstance(item, dict) and "value" in item else item
    return str(inner.get("name")) if isinstance(inner, dict) else str(inner)


def _missing_plugins(original: list[Any], here: list[Any], at: str) -> Iterator[str]:
    have = {(item.get("class"), item.get("type")) for item in here if isinstance(item, dict)}
    for item in original:
        if (item["class"], item["type"]) not in have and _PLUGINS.search(item["class"]):
            yield f"{at}: plugin {item['class']} ({item['type']}) is missing"


def _order(items: list[Any]) -> Callable[[Any], str]:
    """Names and offsets come in any order; all else in its own."""
    if all(isinstance(item, str) for item in items):
        return str
    if all(isinstance(item, dict) and "partition" in item for item in items):
        return lambda item: json.dumps(item["partition"], sort_keys=True)
    return lambda _: ""


def _lines(message: str) -> list[str]:
    """Faults of a configuration, in any order."""
    return sorted(message.split("\n"))


def _maps(message: str) -> str:
    """A message that shows maps as Java prints them, their entries in one order."""
    return re.sub(r"\{([^}]*)\}", lambda shown: str(sorted(shown[1].split(", "))), message)


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:_SHOW]
