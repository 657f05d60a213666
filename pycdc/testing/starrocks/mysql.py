"""The FE's query port: MySQL's text protocol with mysql_native_password, as far as clients need it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import struct
from typing import Any, Final

from pycdc.testing.starrocks.cluster import Cluster
from pycdc.testing.starrocks.errors import SqlError
from pycdc.testing.starrocks.select import TEXT, Rows
from pycdc.testing.starrocks.sql import Session, Sql

#: Long password, found rows, long flag, connect with db, 4.1 protocol, transactions, secure connection, plugin auth.
_CAPABILITIES: Final = 0x1 | 0x2 | 0x4 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x80000
_CONNECT_WITH_DB: Final = 0x8
_PLUGIN_AUTH: Final = 0x80000
_OK: Final = b"\x00\x00\x00\x02\x00\x00\x00"
_EOF: Final = b"\xfe\0\0\x02\0"
_QUIT, _INIT_DB, _QUERY, _PING = 1, 2, 3, 14


class MysqlServer:
    def __init__(self, cluster: Cluster, sql: Sql) -> None:
        self._cluster, self._sql = cluster, sql
        self._connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self._connections += 1
        channel = _Channel(reader, writer)
        try:
            session = await self._logged_in(channel)
            while session is not None and await self._answer(channel, session):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            with contextlib.suppress(ConnectionError):
                await writer.drain()
                writer.close()

    async def _logged_in(self, channel: _Channel) -> Session | None:
        salt = bytes(33 + b % 90 for b in os.urandom(20))
        channel.send(
            b"\x0a" + b"8.0.33\x00" + struct.pack("<I", self._connections) + salt[:8] + b"\0" + struct.pack("<H", _CAPABILITIES & 0xFFFF)
            + b"\x21" + struct.pack("<H", 2) + struct.pack("<H", _CAPABILITIES >> 16) + b"\x15" + bytes(10) + salt[8:] + b"\0"
            + b"mysql_native_password\0"
        )  # fmt: skip
        hello = await channel.receive()
        capabilities, rest = struct.unpack("<I", hello[:4])[0], hello[32:]
        user, _, rest = rest.partition(b"\0")
        answer, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
        database, _, plugin = rest.partition(b"\0") if capabilities & _CONNECT_WITH_DB else (b"", b"", rest)
        if capabilities & _PLUGIN_AUTH and plugin.split(b"\0")[0] not in (b"", b"mysql_native_password"):
            channel.send(b"\xfemysql_native_password\0" + salt + b"\0")
            answer = await channel.receive()
        settings = self._cluster.settings
        if user.decode() != settings.user or answer != _scrambled(settings.password, salt):
            denied = f"Access denied for user '{user.decode()}' (using password: {'YES' if answer else 'NO'})"
            channel.send_error(SqlError(denied, 1045, "28000"))
            return None
        name = database.decode()
        if name and name not in self._cluster.dbs and name != "information_schema":
            channel.send_error(SqlError(f"Unknown database '{name}'", 1049, "42000"))
            return None
        channel.send(_OK)
        return Session(name)

    async def _answer(self, channel: _Channel, session: Session) -> bool:
        """One command; False when the client says goodbye."""
        await channel.drain()
        packet = await channel.receive()
        if packet[0] == _QUIT:
            return False
        if packet[0] == _PING:
            channel.send(_OK)
            return True
        if packet[0] not in (_INIT_DB, _QUERY):
            channel.send_error(SqlError("Unsupported command(COM_STMT_PREPARE) or the like in this fake", 1295))
            return True
        text = packet[1:].decode()
        try:
            result = self._sql.run(text if packet[0] == _QUERY else f"USE `{text}`", session)
        except SqlError as error:
            channel.send_error(error)
            return True
        if result is None:
            channel.send(_OK)
        else:
            channel.send_rows(result)
        return True


class _Channel:
    """Packets with their sequence numbers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer, self._sequence = reader, writer, 0

    def send(self, data: bytes) -> None:
        self._writer.write(struct.pack("<I", len(data))[:3] + bytes([self._sequence]) + data)
        self._sequence = (self._sequence + 1) % 256

    async def drain(self) -> None:
        await self._writer.drain()

    async def receive(self) -> bytes:
        head = await self._reader.readexactly(4)
        self._sequence = (head[3] + 1) % 256
        return await self._reader.readexactly(int.from_bytes(head[:3], "little"))

    def send_error(self, error: SqlError) -> None:
        self.send(b"\xff" + struct.pack("<H", error.errno) + b"#" + error.state.encode() + str(error).encode())

    def send_rows(self, result: Rows) -> None:
        columns, rows = result
        self.send(bytes([len(columns)]) if len(columns) < 251 else b"\xfc" + struct.pack("<H", len(columns)))
        for name, kind in columns:
            binary = kind != TEXT
            self.send(
                b"\x03def" + b"\0\0\0" + _cell(name) + _cell(name) + b"\x0c"
                + struct.pack("<HIBHB", 63 if binary else 33, 1024, kind, 0x80 if binary else 0, 0x1F if kind in (4, 5) else 0) + b"\0\0"
            )  # fmt: skip
        self.send(_EOF)
        for row in rows:
            self.send(b"".join(map(_cell, row)))
        self.send(_EOF)


def _scrambled(password: str, salt: bytes) -> bytes:
    """mysql_native_password: SHA1(password) XOR SHA1(salt + SHA1(SHA1(password)))."""
    if not password:
        return b""
    one = hashlib.sha1(password.encode()).digest()  # noqa: S324 - the protocol's own
    two = hashlib.sha1(salt + hashlib.sha1(one).digest()).digest()  # noqa: S324
    return bytes(a ^ b for a, b in zip(one, two, strict=True))


def _lenenc(data: bytes) -> bytes:
    n = len(data)
    if n < 251:
        return bytes([n]) + data
    return (b"\xfc" + struct.pack("<H", n) if n < 1 << 16 else b"\xfd" + struct.pack("<I", n)[:3]) + data


def _cell(value: Any) -> bytes:
    if value is None:
        return b"\xfb"
    if isinstance(value, bytes):
        return _lenenc(value)
    text = str(int(value)) if isinstance(value, bool) else json.dumps(value) if isinstance(value, list) else str(value)
    return _lenenc(text.encode())
