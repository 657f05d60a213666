"""What becomes of a record that a sink cannot take: errors.tolerance, the dead letter queue and the log, as in Connect.

A record that cannot be converted, transformed or written goes, as it came, to the dead letter queue when there is
one, whatever the tolerance; then the task goes on (`all`) or ends (`none`). The headers that say why are Connect's
own, in its order; only the stack trace is of no Java code.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from pycdc.errors import PycdcError, RecordError
from pycdc.model.change import place
from pycdc.plugins.contracts import NotReady
from pycdc.telemetry.metrics import SinkMetrics

if TYPE_CHECKING:
    from pycdc.kafka.consumer import Messages
    from pycdc.kafka.dead_letters import DeadLetterQueue

log = structlog.get_logger(__name__)

_PREFIX: Final = "__connect.errors."
#: The class that Connect names for what a sink itself refuses.
_SINK_TASK: Final = "org.apache.kafka.connect.sink.SinkTask"
_DATA_EXCEPTION: Final = "org.apache.kafka.connect.errors.DataException"


class Stage(StrEnum):
    """Where a record failed, by Connect's names."""

    KEY_CONVERTER = "KEY_CONVERTER"
    VALUE_CONVERTER = "VALUE_CONVERTER"
    HEADER_CONVERTER = "HEADER_CONVERTER"
    TRANSFORMATION = "TRANSFORMATION"
    TASK_PUT = "TASK_PUT"


class StageError(Exception):
    """`error` at `stage`, in the class that the configuration names."""

    def __init__(self, stage: Stage, class_name: str, error: PycdcError) -> None:
        super().__init__(str(error))
        self.stage, self.class_name, self.error = stage, class_name, error


class StageWaits(Exception):
    """A converter needs something from outside first; see plugins.contracts.NotReady."""

    def __init__(self, stage: Stage, class_name: str, where: str, waiting: NotReady) -> None:
        super().__init__(waiting.what)
        self.stage, self.class_name, self.where, self.waiting = stage, class_name, where, waiting

    def refused(self, error: PycdcError) -> StageError:
        """What becomes of the record when it cannot be had: `error`, at the record's place."""
        fault = RecordError(error.what, where=self.where, cause="; ".join(filter(None, (error.cause, error.where))), hint=error.hint)
        return StageError(self.stage, self.class_name, fault)


class Policy(msgspec.Struct, frozen=True):
    """errors.* of a sink. `log_errors`: tell each record that is left out."""

    tolerant: bool = False
    log_errors: bool = False
    context_headers: bool = False


class RefusedRecords:
    """One task's."""

    def __init__(self, connector: str, policy: Policy, queue: DeadLetterQueue | None, metrics: SinkMetrics, number: str = "0") -> None:
        self._connector, self._number = connector, number
        self._policy = policy
        self._queue = queue
        self._metrics = metrics

    @property
    def tolerant(self) -> bool:
        return self._policy.tolerant

    @property
    def wants_originals(self) -> bool:
        """Whether messages have to be at hand until what became of them is written."""
        return self._queue is not None

    async def start(self) -> None:
        if self._queue is not None:
            await self._queue.start()

    async def settle(self) -> None:
        """What was told so far is durable. Raises ProduceError."""
        if self._queue is not None:
            await self._queue.flush()

    async def stop(self) -> None:
        if self._queue is not None:
            await self._queue.stop()

    async def refuse(self, failure: StageError, messages: Messages | None, index: int) -> None:
        """Tell of one record, `messages[index]` where it is at hand. Raises its error when it is not tolerated."""
        if self._queue is not None and messages is not None:
            headers = list(messages.headers[index])
            if self._policy.context_headers:
                headers += self._context(failure, messages, index)
            await self._queue.put(messages.keys[index], messages.values[index], headers, messages.timestamps[index])
            self._metrics.dead_letters += 1
        if not self._policy.tolerant:
            await self.settle()
            raise failure.error
        self._metrics.skipped += 1
        if self._policy.log_errors:
            log.error(
                "a record is left out", stage=str(failure.stage), by=failure.class_name, where=failure.error.where,
                what=failure.error.what, cause=failure.error.cause,
            )  # fmt: skip

    def _context(self, failure: StageError, messages: Messages, index: int) -> list[tuple[str, bytes | None]]:
        error = failure.error
        message = error.original or ": ".join(filter(None, (error.what, error.cause)))
        kind = "java.sql.SQLException" if failure.stage is Stage.TASK_PUT else _DATA_EXCEPTION
        values = {
            "topic": messages.topic, "partition": str(messages.partition), "offset": str(messages.offsets[index]),
            "connector.name": self._connector, "task.id": self._number, "stage": str(failure.stage), "class.name": failure.class_name,
            "exception.class.name": kind, "exception.message": message, "exception.stacktrace": f"{kind}: {message}\n",
        }  # fmt: skip
        return [(_PREFIX + name, text.encode()) for name, text in values.items()]


def at_stage(stage: Stage, class_name: str, where: str, act: Callable[..., Any], *arguments: Any) -> Any:
    """`act(*arguments)`; its errors come out as StageError with the record's place, NotReady as StageWaits."""
    try:
        return act(*arguments)
    except NotReady as waiting:
        raise StageWaits(stage, class_name, where, waiting) from None
    except PycdcError as error:
        error.where = where
        raise StageError(stage, class_name, error) from error
    except Exception as error:
        # its text may hold the record's values
        fault = RecordError("a record cannot be read", cause=type(error).__name__, where=where)
        raise StageError(stage, class_name, fault) from error


def by_the_sink(error: PycdcError) -> StageError:
    return StageError(Stage.TASK_PUT, _SINK_TASK, error)


def place_of(messages: Messages, index: int) -> str:
    return place(messages.topic, messages.partition, messages.offsets[index])
