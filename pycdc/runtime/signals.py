"""Channels by which signals come to a source besides its own tables: a Kafka topic, a file.

A signal is handed to the source and forgotten here only when the source has taken it, which it does when its
effect is in the stored offset: a crash in between repeats a signal and never loses one. A channel that fails
is told and tried again; it never stops the stream.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import orjson
import structlog

from pycdc.errors import PycdcError
from pycdc.kafka.partition import PartitionReader
from pycdc.plugins.contracts import Signal, SignalChannels, SignalTopic

log = structlog.get_logger(__name__)

#: Seconds before a channel that failed is tried again.
_PAUSE = 5.0


async def read_signals(channels: SignalChannels, signals: asyncio.Queue[Signal]) -> None:
    """Runs until it is cancelled; `signals` is what the source takes from."""
    async with asyncio.TaskGroup() as group:
        if channels.topic is not None:
            group.create_task(_read_topic(channels.topic, signals))
        if channels.file is not None:
            group.create_task(_read_file(Path(channels.file), channels.interval, signals))


async def _read_topic(topic: SignalTopic, signals: asyncio.Queue[Signal]) -> None:
    while True:
        reader = PartitionReader(topic.consumer, topic.topic, topic.group, client_id=f"{topic.key}-signal")
        try:
            await reader.start()
            log.info("reading signals", topic=topic.topic, key=topic.key)
            while True:
                for message in await reader.read(timeout_ms=1000):
                    if message.key == topic.key.encode():
                        await _hand_over(signal_of(message.value, f"{topic.topic} offset {message.offset}"), signals)
                    await reader.done(message)
        except PycdcError as error:
            log.warning("the topic of signals cannot be read, trying again", topic=topic.topic, cause=error.cause, seconds=_PAUSE)
        finally:
            await reader.stop()
        await asyncio.sleep(_PAUSE)


async def _read_file(path: Path, interval: float, signals: asyncio.Queue[Signal]) -> None:
    while True:
        try:
            whole = await asyncio.to_thread(_bytes, path)
            lines = whole[: whole.rfind(b"\n") + 1] or whole  # a line that is being written waits for its end
            for number, line in enumerate(lines.splitlines(), 1):
                if line.strip():
                    await _hand_over(signal_of(line, f"{path} line {number}"), signals)
            if lines:
                await asyncio.to_thread(_forget, path, len(lines))
        except OSError as error:
            log.warning("the file of signals cannot be read or emptied", file=str(path), cause=str(error))
        await asyncio.sleep(interval)


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _forget(path: Path, length: int) -> None:
    """Remove what was read; what was appended meanwhile stays."""
    with path.open("r+b") as file:
        rest = file.read()[length:]
        file.seek(0)
        file.write(rest)
        file.truncate()


async def _hand_over(signal: Signal | None, signals: asyncio.Queue[Signal]) -> None:
    """Wait until the source has taken it."""
    if signal is None:
        return
    signals.put_nowait(signal)
    await signals.join()


def signal_of(text: bytes | None, where: str) -> Signal | None:
    """The signal of a JSON object {"id", "type", "data"}; None, with a warning, when it is none."""
    if not text:
        return None
    try:
        fields = msgspec.json.decode(text, type=_Line)
    except msgspec.MsgspecError as error:
        log.warning(
            "a signal is ignored", where=where, cause=str(error),
            hint='an example: {"id": "1", "type": "execute-snapshot", "data": {"data-collections": ["public.orders"]}}',
        )  # fmt: skip
        return None
    data = fields.data if fields.data is None or isinstance(fields.data, str) else orjson.dumps(fields.data).decode()
    return Signal(fields.id or "", fields.type, data)


class _Line(msgspec.Struct):
    type: str
    id: str | None = None
    data: dict[str, object] | str | None = None
