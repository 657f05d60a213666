"""Late values: `${env:NAME}`, `${file:/path:key}` and `${dir:/path:key}`, looked up when a value is needed.

The forms are Kafka's EnvVarConfigProvider, FileConfigProvider and DirectoryConfigProvider; `config.providers`
may give them other names. What is not such a reference (`${topic}`, `$1`) is left as it is. A resolved text
goes to the property's parser and nowhere else: `Resolution.hidden` takes it out of every message.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from pycdc.config.files import read_file
from pycdc.errors import ConfigError, Fault

#: Kafka's ConfigTransformer.DEFAULT_PATTERN: provider, optional path, key.
_REFERENCE = re.compile(r"\$\{([^}]*?):(([^}]*?):)?([^}]*?)\}")

#: Texts shorter than this are not searched for in messages: replacing every "1" would garble them.
_SHORTEST_SECRET = 3


def _env(_path: str, key: str) -> str:
    value = os.environ.get(key)
    if value is None:
        raise ValueError(f"the environment variable {key} is not set")
    return value


def _file(path: str, key: str) -> str:
    if not path:
        raise ValueError("names no file: write ${file:/path:key}")
    try:
        return read_file(path)[key]
    except KeyError:
        raise ValueError(f"the file {path} has no key {key}") from None
    except ConfigError as error:
        raise ValueError(f"the file {path} cannot be read: {error.faults[0].message}") from None


def _dir(path: str, key: str) -> str:
    if not path:
        raise ValueError("names no directory: write ${dir:/path:file}")
    if "/" in key or key in ("", ".", ".."):
        raise ValueError(f"{key!r} is no file name in {path}")
    try:
        # Kafka keeps a last newline; no password has one, and `echo secret > file` always does.
        return (Path(path) / key).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}/{key} cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None


_PROVIDERS: dict[str, Callable[[str, str], str]] = {"env": _env, "file": _file, "dir": _dir}
_CLASSES = {"EnvVarConfigProvider": _env, "FileConfigProvider": _file, "DirectoryConfigProvider": _dir}


class Resolution:
    """A configuration with its late values looked up, and what must not be shown of it.

    `texts` are the resolved values; `late` the keys that hold references; `faults` what could not be found;
    `foreign` the keys whose text looks like a reference to a provider that is not among these -> its name.
    """

    def __init__(self, raw: Mapping[str, str]) -> None:
        self.raw = raw
        self.texts: dict[str, str] = {}
        self.late: set[str] = set()
        self.faults: list[Fault] = []
        self.foreign: dict[str, str] = {}
        self._pieces: dict[str, str] = {}
        providers = _providers(raw)
        for key, text in raw.items():
            self.texts[key] = self._resolve(key, text, providers) if "${" in text else text

    def _resolve(self, key: str, text: str, providers: Mapping[str, Callable[[str, str], str]]) -> str:
        def one(match: re.Match[str]) -> str:
            provider = providers.get(match[1])
            if provider is None:
                self.foreign[key] = match[1]
                return match[0]
            self.late.add(key)
            try:
                found = provider(match[3] or "", match[4])
            except ValueError as error:
                self.faults.append(Fault(key, str(error), text))
                return match[0]
            self._pieces[found] = match[0]
            return found

        return _REFERENCE.sub(one, text)

    def hidden(self, message: str) -> str:
        """`message` with every resolved text in it put back to its reference."""
        for piece in sorted(self._pieces, key=len, reverse=True):
            if len(piece) >= _SHORTEST_SECRET:
                message = message.replace(piece, self._pieces[piece])
        return message


def _providers(raw: Mapping[str, str]) -> dict[str, Callable[[str, str], str]]:
    """The three by their usual names, and those that `config.providers` names otherwise."""
    found = dict(_PROVIDERS)
    for alias in raw.get("config.providers", "").split(","):
        name = raw.get(f"config.providers.{alias.strip()}.class", "").rpartition(".")[2]
        if name in _CLASSES:
            found[alias.strip()] = _CLASSES[name]
    return found
