"""The process of an isolated task: `python -m pycdc.worker.child`, started by a worker alone (see `isolated`)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, Final

import msgspec

from pycdc.errors import PycdcError
from pycdc.telemetry.log import bind, configure
from pycdc.worker.isolated import Order, Report, Trouble, report_of, trouble_of

if TYPE_CHECKING:
    from pycdc.runtime.job import Job

#: Seconds between two reports; the first ones come sooner, for a start is waited for.
_EVERY: Final = 0.25
_FIRST: Final = 0.02


def _tell(report: Report) -> None:
    """Whole lines, past Python's buffers."""
    line = msgspec.json.encode(report) + b"\n"
    while line:
        line = line[os.write(sys.stdout.fileno(), line) :]


async def _run(order: Order) -> None:
    from pycdc.config.layers import Layered
    from pycdc.kafka.checks import client_checks
    from pycdc.worker.launch import ConnectorLauncher
    from pycdc.worker.offsets import SourceOffsets
    from pycdc.worker.settings import read_worker

    worker = read_worker(Layered.of(order.worker), standalone="group.id" not in order.worker)
    offsets = SourceOffsets(worker)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await offsets.start()
    try:
        launcher = ConnectorLauncher(worker, offsets, client_checks())
        async with launcher.launched(order.name, order.number, {**order.config, "isolation": "task"}) as job:
            telling = asyncio.create_task(_tell_regularly(job))
            orphaned = asyncio.create_task(_until_orphaned(stop))
            try:
                await job.run(stop)
            finally:
                telling.cancel()
                orphaned.cancel()
                _tell(report_of(job))
    finally:
        await offsets.stop()


async def _tell_regularly(job: Job) -> None:
    while True:
        _tell(report_of(job))
        await asyncio.sleep(_EVERY if job.begun() else _FIRST)


async def _until_orphaned(stop: asyncio.Event) -> None:
    """The worker keeps our input open while it lives."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    stop.set()


def main() -> None:
    """Reads its order from the first line of its input."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    configure(order.log_format, order.log_level)  # type: ignore[arg-type]
    bind(connector=order.name, task=str(order.number))
    try:
        import uvloop

        uvloop.run(_run(order))
    except PycdcError as error:
        _tell(Report(trouble=trouble_of(error)))
    except Exception as error:
        _tell(Report(trouble=Trouble("PycdcError", f"internal error: {type(error).__name__}")))
        raise


if __name__ == "__main__":
    main()
