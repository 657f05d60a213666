"""What converters whose schemas are kept in a registry have in common: the head of a message, subjects, and asking.

A message begins with 0x00 and the schema's id in four bytes. An id is fetched before a value is written, and a schema
before one is read: where the registry's memory has no answer NotReady is raised, whose `fetch` asks the registry; the
caller awaits that and calls again. So there is one request per schema, none per row, and nothing here waits.
Source: Confluent's documentation, "Wire format".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from typing import Any, ClassVar, Final, Protocol, TypeVar

from pycdc.config.definition import ConfigDef
from pycdc.errors import RecordError
from pycdc.model.schema import Schema
from pycdc.model.template import Leaf, NeedsValue
from pycdc.plugins.contracts import NotReady
from pycdc.registry import RegistryConfig, SchemaRegistry, Written

K = TypeVar("K")
V = TypeVar("V")

#: Schemas that are kept at least, whatever schemas.cache.config says: relations come and go.
_FEWEST: Final = 64
_MAGIC: Final = b"\x00"
#: Bytes in front of what a converter writes itself.
HEAD: Final = 5


class Schemas(Protocol):
    """What a converter needs of a registry; see pycdc.registry.SchemaRegistry."""

    def written(self, subject: str, text: str) -> Written | None: ...
    def text(self, id_: int) -> str | None: ...
    def referred(self, id_: int) -> Mapping[str, str]: ...
    async def fetch_written(self, subject: str, text: str) -> None: ...
    async def fetch_text(self, id_: int, subject: str) -> None: ...


class Kept(dict[K, V]):
    """A memory that begins anew when it is full: what is still used is soon made again."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = max(_FEWEST, most)

    def keep(self, key: K, value: V) -> V:
        if len(self) >= self._most:
            self.clear()
        self[key] = value
        return value


class RegisteredConverter:
    """A converter's side that speaks with the registry."""

    #: What registries call the format, and what messages for people do.
    kind: ClassVar[str]
    format: ClassVar[str]

    def __init__(self, settings: ConfigDef, *, is_key: bool, schemas: Schemas | None = None) -> None:
        assert isinstance(settings, RegistryConfig)
        self.is_key = is_key
        self._registry_settings: RegistryConfig = settings
        self._schemas: Schemas = schemas or SchemaRegistry(settings, self.kind)

    @property
    def _side(self) -> str:
        return "key" if self.is_key else "value"

    # ---- writing

    def _ready(self, topic: str, name: str | None, text: str) -> Written:
        """Id and schema to write with, of a record called `name`. Raises NotReady on first use."""
        subject = self._registry_settings.subject(topic, name, is_key=self.is_key)
        if subject is None:
            side = self._side
            raise RecordError(
                f"the {side} is no record, so that it has no name for a subject", where=topic,
                hint=f"set {side}.converter.{side}.subject.name.strategy to "
                "io.confluent.kafka.serializers.subject.TopicNameStrategy",
            )  # fmt: skip
        found = self._schemas.written(subject, text)
        if found is None:
            raise NotReady(f"a schema id of {subject}", _fetch(self._schemas.fetch_written, subject, text))
        return found

    # ---- reading

    def _id(self, topic: str, data: bytes) -> int:
        """The schema's id. Raises RecordError where there is none."""
        if len(data) < HEAD or data[0] != 0:
            raise RecordError(
                f"a message is not {self.format} with a schema id", where=topic,
                cause="it does not begin with 0x00 and four bytes",
                hint=f"was it written by another converter? Set {self._side}.converter to that one",
            )  # fmt: skip
        return int.from_bytes(data[1:HEAD], "big")

    def _text(self, topic: str, id_: int) -> str:
        """The schema of an id. Raises NotReady for one that was not seen yet."""
        text = self._schemas.text(id_)
        if text is None:
            subject = self._registry_settings.subject(topic, None, is_key=self.is_key) or ""
            raise NotReady(f"schema {id_}", _fetch(self._schemas.fetch_text, id_, subject))
        return text


def common_id(data: Sequence[bytes]) -> int | None:
    """The id in front of all messages; None when that is not one."""
    start = data[0][:HEAD]
    return int.from_bytes(start[1:], "big") if len(start) == HEAD and start[0] == 0 and all_begin_with(data, start) else None


def all_begin_with(data: Sequence[bytes], start: bytes) -> bool:
    return all(map(bytes.startswith, data, repeat(start)))


def has_value(topic: str, schema: Schema | None, value: Any, *, format_: str) -> bool:
    """Whether a message is to be written; a null is a null message. Raises RecordError, and NeedsValue for a column of which
    only the row tells.
    """
    if type(value) is Leaf and (schema is None or schema.optional):
        raise NeedsValue(value.reader.column_name)  # a null column is a null message, which no cell can be
    if value is None:
        if schema is None or schema.optional:
            return False
        raise RecordError("a required value is null", where=topic, cause=f"schema {schema.name or schema.type}")
    if schema is None:
        raise RecordError(f"{format_} needs a schema", where=topic, cause="the record's value has none")
    return True


def head(id_: int) -> bytes:
    """What stands in front of a message."""
    return _MAGIC + id_.to_bytes(4, "big")


def not_as_said(topic: str, id_: int, error: Exception) -> RecordError:
    """A message's bytes do not fit its schema. What the decoder says of them is a value's only where it is a number or a kind."""
    return RecordError("a message is not what its schema says", where=topic, cause=f"schema {id_}: {type(error).__name__}: {error}")


def _fetch(ask: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    return lambda: ask(*arguments)
