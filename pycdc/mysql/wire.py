"""Statements and their rows over one pymysql connection; the only module that touches what pymysql keeps to itself.

pymysql's cursors make objects per packet and per value; rows are taken apart here instead, five times as fast, and as
bytes, the texts that the server sends (MySQL's text protocol). All of it blocks: callers are threads.

Source: MySQL Source Code Documentation, "Text Resultset", "Protocol::LengthEncodedString", "Protocol::Packet".
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any, Final

import msgspec

from pycdc.errors import ProtocolError, PycdcError

Row = list[bytes | None]

#: A payload of this length goes on in the next packet.
_SPLIT: Final = 0xFFFFFF
_EOF, _ERR, _NULL = 0xFE, 0xFF, 0xFB

#: Flags of a column (MySQL Source Code Documentation, "Column Definition Flags").
NOT_NULL, UNSIGNED, BINARY, AUTO_INCREMENT = 1, 32, 128, 512
#: The number of the collation of what is no text.
BINARY_COLLATION: Final = 63


class Field(msgspec.Struct, frozen=True):
    """A column of a result. `length` in bytes; `table` and `column` are empty for an expression."""

    name: str
    type_code: int
    collation: int
    length: int
    flags: int
    decimals: int
    table: str = ""
    column: str = ""


def driver() -> Any:
    """The module pymysql, loaded when it is needed first. Raises PycdcError."""
    try:
        import pymysql
    except ImportError as error:
        raise PycdcError("the driver of MySQL is not installed", cause=str(error), hint="pip install pymysql") from None
    return pymysql


class Result:
    """What a statement gives, read as it is asked for. Nothing else may be sent before it has ended."""

    def __init__(self, connection: Any, statement: str) -> None:
        """Raises pymysql.err.Error."""
        from pymysql.constants import COMMAND
        from pymysql.protocol import FieldDescriptorPacket

        self._connection = connection
        self.ended = False
        self.fields: list[Field] = []
        connection._execute_command(COMMAND.COM_QUERY, statement.encode())
        first = connection._read_packet()
        if first.is_ok_packet():
            self.ended = True
            return
        for _ in range(first.read_length_encoded_integer()):
            f = connection._read_packet(FieldDescriptorPacket)
            self.fields.append(Field(f.name, f.type_code, f.charsetnr, f.length, f.flags, f.scale, f.org_table, f.org_name))
        connection._read_packet()

    def read(self, rows: int, size: int) -> list[Row]:
        """At most so many rows, and no further one when they have `size` bytes. Fewer than both: it has ended.

        Raises pymysql.err.Error and ProtocolError.
        """
        found: list[Row] = []
        take, append, width = self._packet, found.append, len(self.fields)
        left = size
        while not self.ended and len(found) < rows and left > 0:
            payload = take()
            length = len(payload)
            mark = payload[0]
            if mark == _EOF and length < 9:
                self.ended = True
                break
            if mark == _ERR:
                self.ended = True
                driver().err.raise_mysql_exception(payload)
            left -= length
            append(split_row(payload, width))
        return found

    def _packet(self) -> bytes:
        """The payload of the next one."""
        connection = self._connection
        source = connection._rfile
        payload: bytes = b""
        try:
            while True:
                header = source.read(4)
                length = int.from_bytes(header[:3], "little")
                piece = source.read(length)
                if len(header) < 4 or len(piece) < length:
                    raise driver().err.OperationalError(2013, "Lost connection to MySQL server during query")
                payload = payload + piece if payload else piece
                if length < _SPLIT:
                    break
        except (OSError, ValueError, AttributeError) as error:  # the latter two: another thread has closed it
            raise driver().err.OperationalError(2013, f"Lost connection to MySQL server during query ({type(error).__name__})") from None
        if not payload:
            raise ProtocolError("a packet of a result is empty")
        return payload


def split_row(payload: bytes, width: int) -> Row:
    """The values of a row's payload. Raises ProtocolError."""
    row: Row = []
    append, at, end = row.append, 0, len(payload)
    while at < end:
        length = payload[at]
        at += 1
        if length > 250:
            if length == _NULL:
                append(None)
                continue
            wide = 2 if length == 252 else 3 if length == 253 else 8
            length = int.from_bytes(payload[at : at + wide], "little")
            at += wide
        append(payload[at : at + length])
        at += length
    if at != end or len(row) != width:
        raise ProtocolError("a row of a result is malformed")
    return row


#: Seconds of silence before the peer is asked whether it is there, seconds between such questions, and how many stay without answer.
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))


def keep_alive(connection: Any) -> None:
    """Notice within a minute that the server's machine is gone; the system's own limit is two hours."""
    sock = connection._sock
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):  # not everywhere
            with contextlib.suppress(OSError):  # of a Unix socket
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def cut(connection: Any) -> None:
    """End a connection from another thread: whoever reads from it gets an error."""
    sock = connection._sock
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
