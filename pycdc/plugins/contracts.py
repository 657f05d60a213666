"""The protocols at which sources, sinks, converters and transforms meet the runtime.

Our own connectors come in by the same door as a third party's: a class named in `plugins.registry` or by
an entry point, with a `config` (its ConfigDef) and the methods below.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeVar, Union, runtime_checkable

import msgspec

from pycdc.config.definition import ConfigDef
from pycdc.errors import Fault, PycdcError
from pycdc.model.change import Changes, Rows
from pycdc.model.record import Record
from pycdc.model.schema import Schema
from pycdc.model.table import Column, Table
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
    #: Where transactions begin: from `runs[run].rows[row]` on, changes belong to the commit at `lsn`: (run, row, lsn).
    #: What comes before the first goes on from the batch before.
    begins: Sequence[tuple[int, int, int]] = ()
    #: The source partition that `offset` belongs to, of a source that has several; None: it is `Source.partition`.
    partition: Mapping[str, str] | None = None


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
    #: Rows read so far, by table; the tables that are captured; how the snapshot ended: completed, aborted, skipped.
    by_table: dict[str, int] = {}
    captured: int = 0
    ended: str = ""
    #: Seconds (monotonic) at which it began, and how long it took.
    began: float = 0.0
    seconds: float = 0.0
    #: Parts that a table is read in, and how many of them are read, by table; tables read in one part are not in it.
    chunks: dict[str, tuple[int, int]] = {}
    #: The snapshot beside the stream: running, paused, or empty; seconds that it was paused.
    incremental: str = ""
    paused_for: float = 0.0
    #: LSN up to which the source has read, and the end of the server's WAL as last heard of.
    read_lsn: int = 0
    server_lsn: int = 0
    #: Transaction read last; changes left out because they changed nothing, -1 = those are not left out.
    txid: int = 0
    unchanged: int = -1
    reconnects: int = 0
    #: Why the server is being waited for; empty while changes flow.
    fault: str = ""
    #: Further labels of its metrics.
    labels: dict[str, str] = {}


class Signal(msgspec.Struct, frozen=True):
    """A command to a running source, from whatever channel. `data` is JSON text or None."""

    id: str
    type: str
    data: str | None = None


class SignalTopic(msgspec.Struct, frozen=True):
    """Signals in partition 0 of a Kafka topic; records with another key are meant for another connector."""

    topic: str
    key: str
    group: str
    #: The consumer's properties, bootstrap.servers among them.
    consumer: dict[str, str]


class SignalChannels(msgspec.Struct, frozen=True):
    """The channels, besides the source itself, that the runtime reads for a source."""

    topic: SignalTopic | None = None
    #: A file of JSON lines, emptied as they are read.
    file: str | None = None
    #: Seconds between looks.
    interval: float = 5.0


class SignalQueue(asyncio.Queue[Signal]):
    """What a source has still to obey; `on_arrival` is called for each, so that a source that waits need not look."""

    def __init__(self) -> None:
        super().__init__()
        self.on_arrival: Callable[[], None] = lambda: None

    def _put(self, item: Signal) -> None:
        super()._put(item)
        self.on_arrival()


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
    #: Signals from the runtime's channels. The source takes them between transactions, and calls `task_done` when
    #: what they ask for is in the stored offset.
    signals: SignalQueue = msgspec.field(default_factory=SignalQueue)
    #: Where connectors move between workers: raises ProducerFenced when another one has this connector now. Behind it,
    #: whoever still reads from the server in our name has lost it to us, and may be ended. None: nobody takes over.
    confirm_owner: Callable[[], Awaitable[None]] | None = None


class Source(Protocol):
    """Reads changes. Knows neither Kafka nor converters.

    Order of calls: `open`, then `read` again and again, with `confirm` in between, then `close`.
    """

    config: ClassVar[type[ConfigDef]]

    @property
    def partition(self) -> Mapping[str, str]:
        """Connect's source partition, e.g. {"server": "shop"}.

        Empty for a source that has several: it loads the offset of each, and each batch says whose it is.
        """

    @property
    def conversion_failure(self) -> str:
        """What a value without representation does: fail, or null with (warn) or without (skip) a log line."""

    @property
    def event_failure(self) -> str:
        """What an event that cannot be made does: fail, or be left out with (warn) or without (skip) a log line."""

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


@runtime_checkable
class Signalled(Protocol):
    """A source that takes signals."""

    @property
    def signal_channels(self) -> SignalChannels | None:
        """What the runtime is to read for it; None = nothing."""


@runtime_checkable
class Checked(Protocol):
    """A connector's class that can try its connection before a connector is made of it."""

    @classmethod
    async def check_connection(cls, settings: ConfigDef, faults: Sequence[Fault]) -> Mapping[str, str]:
        """What is wrong, by the key to which it belongs. `faults` are those that the settings have got already."""


@runtime_checkable
class Explained(Protocol):
    """A connector's class that can say what it would do."""

    @classmethod
    async def explained(cls, settings: ConfigDef) -> Mapping[str, Sequence[str]]:
        """By key, the values that a form offers for it. Called for settings that are right. Raises PycdcError."""


@runtime_checkable
class Divided(Protocol):
    """A source's class whose work several tasks share."""

    @classmethod
    async def divided(cls, settings: ConfigDef, tasks: int) -> list[dict[str, str]]:
        """What each task's configuration has besides the connector's: at least one of them, at most `tasks`.

        Equal while nothing changed at the source. Raises PycdcError.
        """

    @classmethod
    def divided_for(cls, settings: ConfigDef) -> float:
        """Seconds after which it may be divided otherwise."""


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


class Framed(msgspec.Struct, frozen=True):
    """Pieces in front of which their length stands, or what else `frame` makes of them, once joined, row by row."""

    pieces: tuple[Piece, ...]
    frame: Callable[[Sequence[bytes]], Sequence[bytes]]


Piece = Union[bytes, Cell, Framed]


#: Names and values of one record's headers, as they are written.
Headers = list[tuple[str, bytes | None]]


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

        What goes around cells and depends on them is a Framed.

        Raises RecordError; NeedsValue when a leaf's text cannot be encoded without its surroundings.
        """

    def read(self, topic: str, data: bytes | None) -> tuple[Schema | None, Any]:
        """Bytes of a message -> schema and value. Raises RecordError."""


@runtime_checkable
class HeaderReader(Protocol):
    """What a value converter may offer that writes part of the headers into its message."""

    @property
    def reads_headers(self) -> bool:
        """Whether its settings make it do so; then its records take the readable path."""

    def write_with_headers(self, topic: str, headers: Headers, schema: Schema | None, value: Any, out: list[Piece]) -> bool:
        """As `write`."""


@runtime_checkable
class Delegating(Protocol):
    """A converter that leaves some values to another one, whose class its settings name as `delegate`."""

    delegate: Converter | None


@runtime_checkable
class RowReader(Protocol):
    """What a converter may offer besides `read`: many messages in one go, where its format makes that quicker.

    Both return None for what they do not take: messages of several schemas or tables, malformed ones,
    events that are no change of a row. `read` then takes them one by one, and names the one at fault.
    """

    def read_many(self, topic: str, data: Sequence[bytes]) -> tuple[Schema | None, Sequence[Any]] | None:
        """The common schema and the values."""

    def read_rows(self, topic: str, data: Sequence[bytes]) -> Rows | None:
        """What envelopes say of their rows (`op`, `after`, the first one's `source`), or rows without envelope."""


class Transform(Protocol):
    """A single message transform (SMT)."""

    config: ClassVar[type[ConfigDef]]
    #: It may be traced over a template: it moves, names or drops fields, changes a leaf's value only through
    #: `Leaf.mapped`, and looks at a value only so that a Leaf there raises NeedsValue (`isinstance` does not).
    moves_only: ClassVar[bool]
    # Optional: adds_headers_in_place: ClassVar[bool]. The original adds headers to the record that it is given, which
    # a tombstone made with it then has too (plan.chain); others give a new record its own headers.

    def __init__(self, settings: ConfigDef) -> None: ...

    def apply(self, record: Record) -> Record | None:
        """The new record, or None to drop it. Never changes its argument."""


class Link(msgspec.Struct, frozen=True):
    """One transform; it applies where `predicate` says True (False with `negate`); without one always.

    `name` is what the configuration calls it, for errors.
    """

    transform: Transform
    predicate: Callable[[Record], bool] | None = None
    negate: bool = False
    name: str = ""

    def applies(self, record: Record) -> bool:
        """Whether the transform is to see this record."""
        return self.predicate is None or self.predicate(record) is not self.negate


class Predicate(Protocol):
    """Chooses the records that a transform applies to."""

    config: ClassVar[type[ConfigDef]]

    def __init__(self, settings: ConfigDef) -> None: ...

    def test(self, record: Record) -> bool: ...


class ColumnForm(msgspec.Struct, frozen=True):
    """How a custom converter shows a column: the field's schema, and what makes its value of PostgreSQL's text.

    A NULL stays null, without a call. `convert` raises ValueError for a text that has no value.
    """

    schema: Schema
    convert: Callable[[str], Any]


class CustomConverter(Protocol):
    """Shows columns of the user's choice in another way than Debezium does (property `converters`).

    In place of Debezium's Java interface of that name: `NAME.type` is `module:Class` or an entry point of the
    group `pycdc.custom_converters`, the other `NAME.*` properties are its options.
    """

    def __init__(self, options: Mapping[str, str]) -> None:
        """Raises ValueError that says which option is wrong."""

    def form_of(self, table: Table, column: Column) -> ColumnForm | None:
        """None leaves the column as it is. Asked once per table and column, and again when they change."""


async def no_topic_id(_topic: str) -> str:
    """Where no broker tells a topic's incarnation."""
    return ""


class SinkContext(msgspec.Struct):
    """What the runtime hands to a sink."""

    connector: str
    task_id: str
    #: The id that tells a topic from one of the same name before or after it; empty where it is not known.
    topic_id: Callable[[str], Awaitable[str]] = no_topic_id
    #: A row that the target refuses is left out and told in `Sink.refused`; else it ends the flush.
    tolerant: bool = False


class RefusedRow(msgspec.Struct, frozen=True):
    """A record that was left out: its place in Kafka, and why."""

    topic: str
    partition: int | None
    offset: int
    error: PycdcError


class Written(msgspec.Struct):
    """Rows written to one target table since the start."""

    upserts: int = 0
    deletes: int = 0


class Sink(Protocol):
    """Writes records to a target.

    `put` buffers, `flush` makes durable what was put when it was called: it takes the buffers before its first
    await. Offsets are the runtime's: it commits what was put before a `flush` that returned. A sink that keeps
    positions in its target is a PositionedSink.
    """

    config: ClassVar[type[ConfigDef]]
    #: By target table.
    written: Mapping[str, Written]
    #: What `put` and `flush` left out since they were told to be tolerant; whoever reads it empties it.
    refused: list[RefusedRow]
    #: Seconds that a record may wait for others to be written with; what a write costs decides.
    linger: float

    @property
    def retries(self) -> int:
        """Writes that were tried again, since the start."""

    async def open(self, context: SinkContext) -> None: ...

    def put(self, records: Sequence[Record]) -> None:
        """Take records into the buffers, all or none. Raises SinkError for a bad record, unless it is tolerated."""

    async def flush(self, position: Offset | None = None) -> None:
        """Write everything put so far. On return it is durable, with `position` where the target keeps it."""

    async def load_position(self) -> Offset | None:
        """The position stored by the last `flush`, for targets that keep one (`pycdc run`)."""

    async def close(self) -> None: ...


#: Topic and partition.
Partition = tuple[str, int]


@runtime_checkable
class PositionedSink(Protocol):
    """What a sink may offer besides: positions in Kafka kept in the target, written with the rows they cover.

    With them a record is written exactly once: after whatever failure reading goes on where the target's rows end.
    """

    @property
    def keeps_positions(self) -> bool:
        """Whether it was asked to; then `flush_to` stands for `flush`."""

    async def claim(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """Take the partitions over from whoever wrote them, who cannot any more, and tell where each goes on.

        Those of which nothing is stored are missing from the answer.
        """

    async def flush_to(self, positions: Mapping[Partition, int]) -> None:
        """Write everything put so far, with the next offset of each partition, all or nothing.

        Raises SinkError when another writer has claimed one of them.
        """


@runtime_checkable
class ChangeSink(Protocol):
    """What a sink may offer besides `put`: changes in columns, which saves an object per record."""

    @property
    def takes_changes(self) -> bool:
        """Whether its settings let it do without the records themselves (headers, timestamps, source block)."""

    def put_changes(self, changes: Changes) -> None:
        """As `put`."""
