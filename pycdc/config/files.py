"""Configuration files: JSON, .properties, YAML and TOML, each read as one flat map of texts.

A file may be the flat map or Connect's `{"name": ..., "config": {...}}`. Nested tables are joined by dots,
lists by commas; numbers keep the digits they were written with and booleans become `true`/`false`, because
every property parses its own text. A null (JSON, YAML) is a key that is not given. What is wrong with a file
is a ConfigError that names file, line and column; it never quotes the file, which may hold passwords.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pycdc.errors import ConfigError, Fault

#: What `GET /connectors/NAME` puts beside `name` and `config`; people save its answer as a file.
_REST_EXTRAS = frozenset(("name", "config", "tasks", "type", "initial_state"))


class _Malformed(ValueError):
    """Names a place in the file; `line` counts from 1, 0 = unknown."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        place = f"line {line}" + (f", column {column}" if column else "") + ": " if line else ""
        super().__init__(place + message)


def read_file(path: str | Path) -> dict[str, str]:
    """The flat map in `path`. Raises ConfigError."""
    data = _bytes(str(path))
    suffix = Path(path).suffix.lower()
    parse = _PARSERS.get(suffix) or _sniffed(data)
    try:
        tree = parse(data)
        return flatten(_unwrapped(tree))
    except ValueError as error:
        raise _refused(str(path), str(error)) from None


def _refused(path: str, message: str) -> ConfigError:
    return ConfigError("A configuration file cannot be read.", faults=(Fault(path, message),))


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise _refused(path, f"no such file (looked from {Path.cwd()})") from None
    except OSError as error:
        raise _refused(path, error.strerror or type(error).__name__) from None


def flatten(tree: Mapping[str, Any]) -> dict[str, str]:
    """Nested tables joined by dots, values as texts. Raises ValueError when two paths give one key."""
    flat: dict[str, str] = {}
    for key, value in _leaves(tree, ""):
        if key in flat:
            raise _Malformed(f"the key {key} is given twice")
        flat[key] = value
    return flat


def _leaves(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _leaves(value, key + ".")
        elif isinstance(value, list):
            if any(isinstance(v, (Mapping, list)) for v in value):
                raise _Malformed(f"the list {key} must hold plain values only")
            yield key, ",".join(_text(v) for v in value)
        elif value is not None:
            yield key, _text(value)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _unwrapped(tree: object) -> Mapping[str, Any]:
    """Connect's `{"name", "config"}` as the flat map with `name` in it."""
    if tree is None:
        return {}
    if not isinstance(tree, Mapping):
        raise _Malformed("must hold a table of keys and values")
    config = tree.get("config")
    if not isinstance(config, Mapping) or not set(tree) <= _REST_EXTRAS:
        return tree
    name = tree.get("name")
    if name is None:
        return config
    inner = config.get("name")
    if inner is not None and _text(inner) != _text(name):
        raise _Malformed('"name" and "config": {"name"} differ')
    return {**config, "name": name}


def _utf8(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _Malformed("is not UTF-8", data.count(b"\n", 0, error.start) + 1) from None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen = dict(pairs)
    if len(seen) < len(pairs):
        names = [k for k, _ in pairs]
        raise _Malformed(f"the key {next(k for k in names if names.count(k) > 1)} is given twice")
    return seen


def _json(data: bytes) -> object:
    import json

    try:
        return json.loads(_utf8(data), parse_int=str, parse_float=str, object_pairs_hook=_no_duplicates)
    except json.JSONDecodeError as error:
        raise _Malformed(f"is not valid JSON: {error.msg}", error.lineno, error.colno) from None


def _properties(data: bytes) -> object:
    """Java's format. Java reads it as Latin-1; UTF-8, which people write, is tried first."""
    import javaproperties

    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    try:
        pairs = [(p.key, p.value) for p in javaproperties.parse(text) if isinstance(p, javaproperties.KeyValue)]
    except javaproperties.InvalidUEscapeError:
        line = next((n for n, t in enumerate(text.splitlines(), 1) if re.search(r"\\u(?![0-9a-fA-F]{4})", t)), 0)
        raise _Malformed("is not a valid properties file: \\u needs four hexadecimal digits", line) from None
    return dict(pairs)  # as Java: the last of equal keys counts


def _yaml(data: bytes) -> object:
    import yaml

    text = _utf8(data)
    try:
        return yaml.load(text, Loader=_yaml_loader())  # noqa: S506 - a SafeLoader that keeps texts
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # The parser quotes what it found, which may be (part of) a password.
        problem = re.sub(r"'[^']*'|\"[^\"]*\"", "...", error.problem or "cannot be parsed")
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise _Malformed(f"is not valid YAML: {problem}", line, column) from None
    except yaml.YAMLError:
        raise _Malformed("is not valid YAML: it holds a character that YAML does not allow") from None


def _yaml_loader() -> Any:
    """A safe loader that leaves numbers and dates as the texts they are and refuses a key given twice."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def mapping(loader: Loader, node: Any) -> dict[str, Any]:
        loader.flatten_mapping(node)
        seen: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(loader.construct_object(key_node, deep=True))
            if key in seen:
                raise _Malformed(f"the key {key} is given twice", key_node.start_mark.line + 1)
            seen[key] = loader.construct_object(value_node, deep=True)
        return seen

    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    for kept in ("int", "float", "timestamp"):
        Loader.add_constructor(f"tag:yaml.org,2002:{kept}", lambda _loader, node: node.value)
    return Loader


def _toml(data: bytes) -> object:
    import tomllib

    try:
        return tomllib.loads(_utf8(data), parse_float=str)
    except tomllib.TOMLDecodeError as error:
        text = str(error)
        place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", text)
        message = text[: place.start()] if place else text
        if "overwrite" in message or "mutate" in message:
            message += '; a key that is both a value and a table must be quoted: "key.converter.schemas.enable" = false'
        line, column = (int(place[1]), int(place[2])) if place and place[1] else (0, 0)
        raise _Malformed(f"is not valid TOML: {message}", line or data.count(b"\n") + 1, column) from None


_PARSERS: dict[str, Callable[[bytes], object]] = {
    ".json": _json,
    ".properties": _properties,
    ".yaml": _yaml,
    ".yml": _yaml,
    ".toml": _toml,
}


def _sniffed(data: bytes) -> Callable[[bytes], object]:
    """Of a file without a known ending: what begins with a brace is JSON, else properties."""
    return _json if data.lstrip()[:1] == b"{" else _properties
