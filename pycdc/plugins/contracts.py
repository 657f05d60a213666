"""The protocols at which sources, sinks, converters and transforms meet the runtime.

Our own connectors come in by the same door as a third party's: a class named in `plugins.registry` or by
an entry point, with a `config` (its ConfigDef) and the methods below.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeVar, Union

import msgspec

from pycdc.config.definition import ConfigDef
from pycdc.errors import PycdcError
from pycdc.model.record import Record
from pycdc.model.schema import Schema
from pycdc.model.template import Row

T = TypeVar("T")

#: Source partition and source offset as Connect stores them, JSON values only.
Offset = dict[str, Any]


class Run(msgspec.Struct):
    """Rows that follow each other in the stream and fill the same template.

    `template` is compared by identity: a source hands out the same object for the same relation, kind of
    change and set of unavailable columns. One template is one record; a change that gives several records
    (delete and tombstone, key change) is a tuple of templates, filled by the same row in that order.
    """

    templates: tuple[Record, ...]
    rows: list[Row]
    #: Describes the row for an error: table and LSN column. `rows[i][lsn_column]` is the LSN's text.
    where: str = ""
    lsn_column: int = -1


class Batch(msgspec.Struct):
    """What a source yields: runs in stream order, then, if a commit border was passed, what may be stored.

    `offset` covers every row of this batch and all before it up to the last commit border; it is None when
    this batch ends inside a transaction. `border` is how many rows of this batch (counted over its runs)
    lie before that border: an offset never covers rows beyond it.
    """

    runs: list[Run]
    offset: Offset | None = None
    border: int = 0
    #: Sum of the lengths of the raw messages, for the byte budget.
    size: int = 0
    #: Commit time of the newest transaction, us since the epoch, for lag metrics; 0 = unknown.
    source_ts_us: int = 0


class Progress(msgspec.Struct):
    """What a source tells of itself, for health, metrics and the progress bar."""

    phase: str = "starting"  # snapshot, streaming
    #: Tables of the snapshot in all and done, the one being read and its rows so far and expected.
    tables: int = 0
    tables_done: int = 0
    table: str = ""
    rows: int = 0
    rows_expected: int = 0
    rows_total: int = 0
    #: LSN up to which the source has read, and the end of the server's WAL as last heard of.
    read_lsn: int = 0
    server_lsn: int = 0
    reconnects: int = 0
    #: Why the server is being waited for; empty while changes flow.
    fault: str = ""


class SourceContext(msgspec.Struct):
    """What the runtime hands to a source."""

    connector: str
    task_id: str
    #: The stored offset of this connector's partition, or None on the first start.
    load_offset: Callable[[Mapping[str, str]], Awaitable[Offset | None]]
    #: Write an offset and wait until it is durable (used before the first snapshot row and when idle).
    store_offset: Callable[[Mapping[str, str], Offset], Awaitable[None]]
    #: Waits until every batch handed out so far is acknowledged and its offset stored.
    settle: Callable[[], Awaitable[None]]
    #: The source keeps it up to date; the runtime only reads it.
    progress: Progress = msgspec.field(default_factory=Progress)


class Source(Protocol):
    """Reads changes. Knows neither Kafka nor converters.

    Order of calls: `open`, then `read` again and again, with `confirm` in between, then `close`.
    """

    config: ClassVar[type[ConfigDef]]

    @property
    def partition(self) -> Mapping[str, str]:
        """Connect's source partition, e.g. {"server": "shop"}."""

    @property
    def conversion_failure(self) -> str:
        """What a value without representation does: fail, or null with (warn) or without (skip) a log line."""

    @property
    def queue_bytes(self) -> int:
        """Most bytes of events in flight; 0 leaves it to the runtime."""

    async def open(self, context: SourceContext) -> None:
        """Connect and find the position. Raises PycdcError."""

    async def read(self) -> Batch | None:
        """The next batch; None when all is done (`initial_only`). Cancelling it loses nothing."""

    async def confirm(self, offset: Offset) -> None:
        """Called after `offset` is durable and every event it covers is acknowledged, in stream order."""

    async def close(self) -> None:
        """Release the connections; the slot stays."""


class Cell(msgspec.Struct, frozen=True):
    """A hole in encoded bytes: the text of `column` goes through `encode`; a NULL becomes `null`.

    `encode` None: the text is already what is written. `null` None: the field may not be null, a NULL
    fails the row (RecordError on the readable path).
    """

    column: int
    encode: Callable[[bytes], bytes] | None
    null: bytes | None
    #: `encode` for a whole column of texts that are not NULL, where that is faster than one by one.
    encode_column: Callable[[Iterable[bytes]], Iterable[bytes]] | None = None


Piece = Union[bytes, Cell]


class NotReady(PycdcError):
    """A converter needs something from outside first: await `fetch()`, then ask it the same again.

    Raised instead of waiting, because converters do no I/O: the loop that called does, once per schema and
    never per row. `fetch` raises PycdcError; when it returns, the same call does not raise for this reason again.
    """

    def __init__(self, what: str, fetch: Callable[[], Awaitable[None]]) -> None:
        super().__init__(what)
        self.fetch = fetch


async def when_ready(act: Callable[..., T], *arguments: Any) -> T:
    """What `act` returns, once nothing has to be fetched for it any more. It is called anew after each fetch."""
    while True:
        try:
            return act(*arguments)
        except NotReady as waiting:
            await waiting.fetch()


class Converter(Protocol):
    """Key, value or header converter. `write` and `read` may raise NotReady."""

    config: ClassVar[type[ConfigDef]]

    def __init__(self, settings: ConfigDef, *, is_key: bool) -> None: ...

    def write(self, topic: str, schema: Schema | None, value: Any, out: list[Piece]) -> bool:
        """Append the bytes of `value`, with a Cell wherever it holds a Leaf; False = a null message.

        Raises RecordError; NeedsValue when a leaf's text cannot be encoded without its surroundings.
        """

    def read(self, topic: str, data: bytes | None) -> tuple[Schema | None, Any]:
        """Bytes of a message -> schema and value. Raises RecordError."""


class Transform(Protocol):
    """A single message transform (SMT)."""

    config: ClassVar[type[ConfigDef]]
    #: It only moves, names or drops fields, never looks at a value: it may be traced over a template.
    moves_only: ClassVar[bool]

    def __init__(self, settings: ConfigDef) -> None: ...

    def apply(self, record: Record) -> Record | None:
        """The new record, or None to drop it. Never changes its argument."""


class Predicate(Protocol):
    """Chooses the records that a transform applies to."""

    config: ClassVar[type[ConfigDef]]

    def __init__(self, settings: ConfigDef) -> None: ...

    def test(self, record: Record) -> bool: ...


class SinkContext(msgspec.Struct):
    """What the runtime hands to a sink."""

    connector: str
    task_id: str


class Sink(Protocol):
    """Writes records to a target.

    `put` buffers, `flush` makes durable. Offsets are the runtime's: it commits what was put before a
    `flush` that returned. A sink that keeps positions in its target offers `load_positions`.
    """

    config: ClassVar[type[ConfigDef]]

    async def open(self, context: SinkContext) -> None: ...

    def put(self, records: Sequence[Record]) -> int:
        """Take records into the buffers; returns the buffered bytes. Raises SinkError for a bad record."""

    async def flush(self, position: Offset | None = None) -> None:
        """Write everything put so far. On return it is durable, with `position` where the target keeps it."""

    async def load_position(self) -> Offset | None:
        """The position stored by the last `flush`, for targets that keep one (`pycdc run`)."""

    async def close(self) -> None: ...
