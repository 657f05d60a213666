"""Signals from a file: each is handed over once, in order, and forgotten when the source has taken it."""

import asyncio

from pycdc.plugins.contracts import Signal, SignalChannels
from pycdc.runtime.signals import read_signals, signal_of


def json_line(number):
    return f'{{"id": "{number}", "type": "log"}}\n'


async def take(queue):
    async with asyncio.timeout(10):
        return await queue.get()


async def test_lines_come_one_by_one_and_the_file_is_emptied_behind_them(tmp_path):
    file = tmp_path / "signals.txt"
    queue = asyncio.Queue()
    reading = asyncio.ensure_future(read_signals(SignalChannels(file=str(file), interval=0.01), queue))
    try:
        file.write_text(
            '{"id": "1", "type": "log", "data": {"message": "a"}}\n\nnot json\n{"id": "2", "type": "log", "data": "{}"}\n{"id": "3"'
        )
        assert await take(queue) == Signal("1", "log", '{"message":"a"}')
        assert queue.empty(), "the next one waits until this one is done"
        assert '"1"' in file.read_text(), "a crash now would bring it again"
        queue.task_done()
        assert await take(queue) == Signal("2", "log", "{}")
        with file.open("a") as more:
            more.write(', "type": "log"}\n')
        queue.task_done()
        assert await take(queue) == Signal("3", "log", None)
        queue.task_done()
        file_again = [json_line(4), json_line(5)]
        with file.open("a") as more:
            more.writelines(file_again)
        assert (await take(queue)).id == "4"
        assert "".join(file_again) == file.read_text(), "what was taken is gone"
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


def test_what_is_no_signal_is_passed_over():
    assert signal_of(None, "here") is None
    assert signal_of(b'{"id": "1"}', "here") is None
    assert signal_of(b"[]", "here") is None
    assert signal_of(b'{"type": "log", "data": {"message": "x"}}', "here") == Signal("", "log", '{"message":"x"}')
