"""Properties and definitions: the single place where a configuration key is declared.

A property is one typed class attribute of a `ConfigDef` subclass; parsing, error texts, `--help`, the
reference pages and the REST form all come from it:

    class Settings(ConfigDef):
        topic_prefix = Property("topic.prefix", text(), required=True, doc="Logical name of the server.")

    settings = Settings.parse({"topic.prefix": "shop"}, faults := [])
    settings.topic_prefix        # str

Values arrive as text (JSON numbers and booleans are turned into text before). A parser takes the text and
returns the value or raises ValueError, whose message says what is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, Self, TypeVar, overload

from pycdc.errors import Fault

T = TypeVar("T")


class Kind(Generic[T]):
    """How one sort of value is read: its Connect type name, its parser, what it allows in words."""

    def __init__(
        self, connect_type: str, parse: Callable[[str], T], allowed: str = "", choices: tuple[str, ...] = ()
    ) -> None:
        self.connect_type = connect_type
        self.parse = parse
        self.allowed = allowed
        self.choices = choices


def text() -> Kind[str]:
    return Kind("STRING", lambda s: s)


def password() -> Kind[str]:
    """Never logged, never echoed."""
    return Kind("PASSWORD", lambda s: s)


def integer(low: int | None = None, high: int | None = None) -> Kind[int]:
    bounds = f"{'' if low is None else f'at least {low}'}{' and ' if low is not None and high is not None else ''}"
    bounds += "" if high is None else f"at most {high}"

    def parse(s: str) -> int:
        try:
            n = int(s.strip())
        except ValueError:
            raise ValueError(f"must be a whole number{', ' if bounds else ''}{bounds}") from None
        if (low is not None and n < low) or (high is not None and n > high):
            raise ValueError(f"must be {bounds}")
        return n

    return Kind("LONG", parse, bounds)


def boolean() -> Kind[bool]:
    def parse(s: str) -> bool:
        word = s.strip().lower()
        if word not in ("true", "false"):
            raise ValueError("must be true or false")
        return word == "true"

    return Kind("BOOLEAN", parse, "true, false", ("true", "false"))


def one_of(*choices: str) -> Kind[str]:
    """One of these words, in any case; the value is the word as listed."""
    by_lower = {c.lower(): c for c in choices}

    def parse(s: str) -> str:
        try:
            return by_lower[s.strip().lower()]
        except KeyError:
            raise ValueError(f"must be one of {', '.join(choices)}") from None

    return Kind("STRING", parse, ", ".join(choices), choices)


def words() -> Kind[tuple[str, ...]]:
    """A list separated by commas, white space trimmed, empty entries dropped."""
    return Kind("LIST", lambda s: tuple(w.strip() for w in s.split(",") if w.strip()))


def parsed(connect_type: str, parse: Callable[[str], T], allowed: str = "") -> Kind[T]:
    """Any other sort: `parse` raises ValueError that says what is allowed."""
    return Kind(connect_type, parse, allowed)


class Property(Generic[T]):
    """One configuration key. Reading it on a parsed ConfigDef gives its value.

    `default` is the parsed value; without one, and not `required`, the value is None: declare such a
    property as `Property[str | None](...)`. `old_names` are mapped to this one with a warning.
    """

    attribute: str

    def __init__(
        self,
        name: str,
        kind: Kind[Any],
        *,
        default: T | None = None,
        required: bool = False,
        doc: str = "",
        group: str = "",
        importance: str = "MEDIUM",
        old_names: tuple[str, ...] = (),
        ignored: str = "",
        old_values: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.default = default
        self.required = required
        self.doc = doc
        self.group = group
        self.importance = importance
        self.old_names = old_names
        #: Why the key has no effect here, for keys that are accepted with a warning.
        self.ignored = ignored
        #: Values of older releases -> today's, mapped with a warning.
        self.old_values = dict(old_values or {})

    def __set_name__(self, owner: type, attribute: str) -> None:
        self.attribute = attribute

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: ConfigDef, owner: type) -> T: ...
    def __get__(self, instance: ConfigDef | None, owner: type) -> Self | T:
        if instance is None:
            return self
        value: T = instance.__dict__[self.attribute]
        return value

    def read(self, raw: str | None, faults: list[Fault]) -> Any:
        """The value of `raw` (None = not given). A bad value becomes a fault and the default is returned."""
        if raw is None:
            if self.required:
                faults.append(Fault(self.name, "is required and has no default"))
            return self.default
        try:
            return self.kind.parse(raw)
        except ValueError as error:
            shown = None if self.kind.connect_type == "PASSWORD" else raw
            faults.append(Fault(self.name, str(error), shown))
            return self.default


def moot(name: str, why: str) -> Property[str | None]:
    """A property that is accepted and has no effect; a warning gives the reason."""
    return Property[str | None](name, text(), ignored=why, importance="LOW")


class ConfigDef:
    """Base of all definitions; an instance is one parsed configuration.

    `raw` keeps the texts the instance was parsed from, for keys that are only known by a prefix.
    """

    raw: Mapping[str, str]

    #: Beginnings of keys that this definition also reads (pass-through and numbered keys).
    prefixes: tuple[str, ...] = ()

    @classmethod
    def properties(cls) -> Iterator[Property[Any]]:
        """Every property, those of base classes first, in the order of declaration."""
        seen: dict[str, Property[Any]] = {}
        for base in reversed(cls.__mro__):
            for value in vars(base).values():
                if isinstance(value, Property):
                    seen[value.name] = value
        return iter(seen.values())

    @classmethod
    def parse(cls, raw: Mapping[str, str], faults: list[Fault]) -> Self:
        """Read all properties from `raw`; faults are appended, never raised, so that all are told at once."""
        self = cls.__new__(cls)
        self.raw = raw
        for p in cls.properties():
            self.__dict__[p.attribute] = p.read(raw.get(p.name), faults)
        if not faults:
            self.check(faults)
        return self

    @classmethod
    def reads(cls, key: str) -> bool:
        """Whether this definition knows `key`, by name, by an old name or by a prefix."""
        return key.startswith(cls.prefixes) or any(key == p.name or key in p.old_names for p in cls.properties())

    @classmethod
    def of(cls, **values: Any) -> Self:
        """An instance with these attribute values and defaults for the rest; for tests and embedding."""
        self = cls.__new__(cls)
        self.raw = {}
        for p in cls.properties():
            self.__dict__[p.attribute] = values.pop(p.attribute, p.default)
        if values:
            raise TypeError(f"unknown settings: {', '.join(values)}")
        return self

    def check(self, faults: list[Fault]) -> None:
        """Rules between properties. Called only when every single value is right."""

    def named_prefixes(self) -> tuple[str, ...]:
        """Beginnings of further keys that this configuration names itself, and whose checks are its own."""
        return ()

    def warnings(self) -> Iterator[str]:
        """What is accepted but should be known: deprecated ways, options without effect. Never values."""
        return iter(())

    def with_prefix(self, prefix: str) -> dict[str, str]:
        """The raw entries whose keys begin with `prefix`, the prefix removed."""
        return {k[len(prefix):]: v for k, v in self.raw.items() if k.startswith(prefix)}
