"""How pycdc connects to PostgreSQL, and what its refusals mean.

One set of session settings serves the snapshot and the stream: the same value must print as the same text
on both. `connect` gives an ordinary SQL connection; `translate` turns any failure into a PycdcError that
names the cause and the command that mends it. Never shows a password; never retries: that is the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pycdc.errors import PycdcError
from pycdc.postgres.diagnosis import diagnose

#: Sent in the start-up packet of every connection. What it holds decides the bytes of the events.
SESSION_SETTINGS: Final[Mapping[str, str]] = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "3",
    # quote_literal counts on it.
    "standard_conforming_strings": "on",
    # A role's or a database's limits are meant for its users' queries; a snapshot takes as long as it takes.
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    # The stream's warnings are heeded (replication), whatever the role has set.
    "client_min_messages": "warning",
    # A policy would hide rows from the snapshot without a word, while the stream has them all: fail instead.
    "row_security": "off",
}

#: Limits that older servers do not know, so that they cannot stand in the start-up packet; and the locale
#: of money. Its text is parsed as C prints it, which for a currency of two decimals is the same number;
#: where the currency has another scale (yen), C would shift the point, and the text stays as it is.
_AFTER_CONNECT: Final = """
    SELECT set_config(name, '0', false) FROM pg_catalog.pg_settings
     WHERE name IN ('idle_session_timeout', 'transaction_timeout')
    UNION ALL
    SELECT set_config('lc_monetary', 'C', false) WHERE scale(0::money::numeric) = 2"""


class ConnectionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where and as whom. `host` may list several, `a,b:5433`; then the primary among them is taken.

    `options` are further settings of the server's session (name -> value), over SESSION_SETTINGS.
    """

    host: str = "localhost"
    port: int = 5432
    user: str = ""
    password: str | None = None
    dbname: str = ""
    sslmode: str = "prefer"
    sslcert: str | None = None
    sslkey: str | None = None
    sslpassword: str | None = None
    sslrootcert: str | None = None
    tcp_keepalive: bool = True
    #: Seconds per address.
    connect_timeout: int = 10
    application_name: str = "pycdc"
    options: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"ConnectionSettings({self.where})"

    @property
    def where(self) -> str:
        """user@host:port/dbname, for messages."""
        hosts, ports = self._addresses()
        places = ",".join(f"{h}:{p}" for h, p in zip(hosts, ports, strict=True))
        return f"{self.user}@{places}/{self.dbname}"

    def conninfo(self, *, replication: bool = False) -> str:
        """The connection string for libpq (PostgreSQL docs, "Connection Strings"). Holds the password."""
        hosts, ports = self._addresses()
        wanted: dict[str, Any] = {
            "host": ",".join(hosts),
            "port": ",".join(ports),
            "user": self.user or None,
            "password": self.password,
            "dbname": self.dbname or None,
            "sslmode": self.sslmode,
            "sslcert": self.sslcert,
            "sslkey": self.sslkey,
            "sslpassword": self.sslpassword,
            "sslrootcert": self.sslrootcert,
            "connect_timeout": self.connect_timeout,
            "application_name": self.application_name,
            "client_encoding": "UTF8",
            "options": self._server_options(),
            # Slots live on the primary; with one address the user decides.
            "target_session_attrs": "primary" if len(hosts) > 1 else None,
            "replication": "database" if replication else None,
            **(_KEEPALIVE if self.tcp_keepalive else {"keepalives": 0}),
        }
        return make_conninfo("", **{k: v for k, v in wanted.items() if v is not None})

    def _server_options(self) -> str:
        settings = {**SESSION_SETTINGS, **self.options}
        return " ".join(f"-c {k}={_OPTION_ESCAPED.sub(_BACKSLASHED, v)}" for k, v in settings.items())

    def _addresses(self) -> tuple[list[str], list[str]]:
        hosts, ports = [], []
        for entry in self.host.split(","):
            # A lone colon separates a port; several are an IPv6 address, in brackets when a port follows.
            match = re.fullmatch(r"(?:\[(.+)]|([^:\[/]+))(?::(\d+))?", entry.strip())
            name = entry.strip() if match is None else (match[1] or match[2])
            hosts.append(name)
            ports.append(match[3] if match and match[3] else str(self.port))
        return hosts, ports


#: A server that vanished (power, cable) is noticed within about a minute instead of hours: by probes when
#: idle, by the unacknowledged status update otherwise. A server that is only slow still acknowledges.
_KEEPALIVE: Final = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_OPTION_ESCAPED: Final = re.compile(r"([\\\s])")
_BACKSLASHED: Final = r"\\\1"


async def connect(settings: ConnectionSettings, *, autocommit: bool = True) -> psycopg.AsyncConnection:
    """An SQL connection with pycdc's session settings. Raises what `translate` gives."""
    return await _open(settings, replication=False, autocommit=autocommit)


async def connect_replication(settings: ConnectionSettings) -> psycopg.AsyncConnection:
    """A connection that takes replication commands (and simple SQL), for `replication`."""
    return await _open(settings, replication=True, autocommit=True)


async def _open(settings: ConnectionSettings, *, replication: bool, autocommit: bool) -> psycopg.AsyncConnection:
    try:
        # Without prepared statements the connection also works through a pooler.
        conn = await psycopg.AsyncConnection.connect(
            settings.conninfo(replication=replication), autocommit=True, prepare_threshold=None
        )
    except psycopg.Error as error:
        raise translate(error, settings, "cannot connect to PostgreSQL") from None
    try:
        await conn.execute(_AFTER_CONNECT)
        if not autocommit:
            await conn.set_autocommit(False)
    except psycopg.Error as error:
        await conn.close()
        raise translate(error, settings, "cannot prepare the session") from None
    except BaseException:
        await conn.close()
        raise
    return conn


def quote_name(name: str) -> str:
    """An SQL identifier, always quoted."""
    return sql.Identifier(name).as_string()


def quote_literal(text: str) -> str:
    """An SQL string without backslash escapes: what replication commands read, too."""
    return "'" + text.replace("'", "''") + "'"


def translate(error: psycopg.Error | str, settings: ConnectionSettings | None, what: str) -> PycdcError:
    """The PycdcError that says what `error` means and how it is mended (see `diagnosis`)."""
    if isinstance(error, str):
        return explain(None, error, settings, what)
    lines = [error.diag.message_primary, error.diag.message_detail]
    text = "\n".join(line for line in lines if line) or str(error)
    return explain(error.sqlstate, text, settings, what)


def explain(state: str | None, text: str, settings: ConnectionSettings | None, what: str) -> PycdcError:
    """`translate` for a failure whose SQLSTATE (None = unknown) and text are at hand."""
    if settings is None:
        return diagnose(state, text, what)
    return diagnose(state, text, what, where=settings.where, user=settings.user, dbname=settings.dbname)
