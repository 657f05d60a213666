"""Rows as the server packs them, the thread that reads them, and what refusals mean."""

import asyncio
import threading

import pymysql
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycdc.errors import ConnectionLost, ProtocolError, ServerError
from pycdc.mysql.diagnosis import NoRight, NoTable, translate
from pycdc.mysql.thread import Thread
from pycdc.mysql.wire import split_row


def packed(value):
    if value is None:
        return b"\xfb"
    size = len(value)
    if size < 251:
        return bytes([size]) + value
    if size < 1 << 16:
        return b"\xfc" + size.to_bytes(2, "little") + value
    return b"\xfd" + size.to_bytes(3, "little") + value


SIZED = st.none() | st.binary(max_size=20) | st.sampled_from([b"x" * n for n in (250, 251, 252, 65535, 65536)])


@given(st.lists(SIZED, min_size=1, max_size=5))
def test_rows(values):
    payload = b"".join(map(packed, values))
    assert split_row(payload, len(values)) == values
    with pytest.raises(ProtocolError):
        split_row(payload, len(values) + 1)


@given(st.binary(min_size=1, max_size=40), st.integers(1, 5))
def test_whatever_comes_is_a_row_or_a_protocol_error(payload, width):
    try:
        row = split_row(payload, width)
    except ProtocolError:
        return
    assert len(row) == width


@pytest.mark.parametrize(
    ("error", "kind", "retriable", "hint"),
    [
        (pymysql.err.OperationalError(1045, "Access denied for user 'u'"), ServerError, False, "ALTER USER 'u'@'%'"),
        (pymysql.err.OperationalError(1044, "Access denied to database 'd'"), ServerError, False, "GRANT SELECT ON database.*"),
        (pymysql.err.OperationalError(1142, "SELECT command denied"), NoRight, False, "GRANT SELECT ON database.* TO 'u'@'%'"),
        (pymysql.err.OperationalError(1049, "Unknown database 'd'"), ServerError, False, "SHOW DATABASES"),
        (pymysql.err.ProgrammingError(1146, "Table 'd.t' doesn't exist"), NoTable, False, ""),
        (pymysql.err.OperationalError(2013, "Lost connection"), ConnectionLost, True, ""),
        (pymysql.err.OperationalError(2003, "Can't connect"), ConnectionLost, True, ""),
        (pymysql.err.OperationalError(1213, "Deadlock found"), ServerError, True, ""),
        (pymysql.err.OperationalError(1040, "Too many connections"), ServerError, True, ""),
        (pymysql.err.InterfaceError(0, ""), ConnectionLost, True, ""),
        (RuntimeError("'cryptography' package is required for sha256_password"), ServerError, False, "pymysql[rsa]"),
        (pymysql.err.OperationalError(2026, "SSL connection error"), ServerError, False, "sslMode"),
    ],
)
def test_refusals(error, kind, retriable, hint):
    told = translate(error, "it failed", where="u@h:1/d", user="u")
    assert type(told) is kind
    assert told.retriable is retriable
    assert hint in told.hint
    assert "u@h:1/d" in str(told)


async def test_calls_run_one_after_another_in_one_thread_and_cancelling_does_not_wait():
    thread, go, ended = Thread("test"), threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    stuck = asyncio.ensure_future(thread.call(go.wait))
    await asyncio.sleep(0)
    stuck.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stuck
    go.set()
    assert await thread.call(threading.get_ident) == await thread.call(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await thread.call(lambda: 1 // 0)
    thread.end(lambda: loop.call_soon_threadsafe(ended.set))
    async with asyncio.timeout(5):
        await ended.wait()
