"""The one tree of errors.

Every error a user can meet says what failed, where (which object), why (cause) and what to do next
(hint: a command or SQL). Retry policy switches on the class and its `retriable`, never on text.
Configuration errors collect every fault at once. This module imports nothing of pycdc.
"""

from __future__ import annotations

from typing import NamedTuple, Self


class PycdcError(Exception):
    """Something in pycdc failed."""

    #: The process's exit code when this error ends it: 1 is run time, 2 is configuration.
    exit_code = 1
    #: Whether the same act may succeed later without anyone mending anything.
    retriable = False

    def __init__(
        self,
        what: str = "",
        *,
        where: str = "",
        cause: str = "",
        hint: str = "",
        retriable: bool | None = None,
        original: str = "",
    ) -> None:
        self.what = what or (type(self).__doc__ or type(self).__name__).strip()
        self.where = where
        self.cause = cause
        self.hint = hint
        #: What Connect's own code says here, where its users may look for it: in the headers of dead letters.
        self.original = original
        if retriable is not None:
            self.retriable = retriable
        super().__init__(self.what)

    def __str__(self) -> str:
        parts = [self.what if not self.where else f"{self.what} [{self.where}]"]
        if self.cause:
            parts.append(f"cause: {self.cause}")
        if self.hint:
            parts.append(f"hint: {self.hint}")
        return "\n  ".join(parts)


class Fault(NamedTuple):
    """One thing wrong in a configuration: the key, the value as written (never resolved), what is allowed."""

    key: str
    message: str
    value: str | None = None
    origin: str = ""


class ConfigError(PycdcError):
    """The configuration is wrong."""

    exit_code = 2

    def __init__(self, what: str = "", *, faults: tuple[Fault, ...] = (), hint: str = "") -> None:
        super().__init__(what, hint=hint)
        self.faults = faults

    def __str__(self) -> str:
        lines = [self.what]
        for f in self.faults:
            shown = "" if f.value is None else f" = {f.value!r}"
            origin = f"  (from {f.origin})" if f.origin else ""
            lines.append(f"  {f.key}{shown}: {f.message}{origin}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class ProtocolError(PycdcError):
    """Bytes from a server are not what its protocol allows."""


class DecodeError(ProtocolError):
    """A pgoutput message is malformed."""


class ServerError(PycdcError):
    """A server refused a request."""


class ConnectionLost(ServerError):
    """The connection to a server was lost."""

    retriable = True


class RegistryError(ServerError):
    """The schema registry did not do what it was asked for."""


class SlotError(ServerError):
    """A replication slot cannot be used."""


class SlotBusy(SlotError):
    """The replication slot is held by another process."""

    retriable = True


class SlotLost(SlotError):
    """WAL that had not been delivered is gone: the slot was dropped, recreated or invalidated."""


class SnapshotError(ServerError):
    """The snapshot cannot be taken."""


class ConversionError(PycdcError):
    """A column's value cannot be represented in its Connect schema."""


class RecordError(PycdcError):
    """An event cannot be built or encoded."""


class ProducerFenced(ServerError):
    """Another producer with the same identity took over."""


class ProduceError(ServerError):
    """Kafka did not accept a batch."""

    retriable = True


class SinkError(PycdcError):
    """A target refused a write."""


class BadRow(SinkError):
    """One row cannot be written to its target, whatever is done about the others."""

    #: Topic, partition and offset of its record, where they are known.
    record: tuple[str, int | None, int] | None = None

    @classmethod
    def of(cls, record: tuple[str, int | None, int], what: str, *, where: str, cause: str = "", hint: str = "") -> Self:
        """The error of a known record."""
        error = cls(what, where=where, cause=cause, hint=hint)
        error.record = record
        return error


class TargetSchemaError(SinkError):
    """The target's table does not fit the records."""
