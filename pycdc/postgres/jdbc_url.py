"""jdbc:postgresql URLs, as the JDBC connectors' configurations have them, and the connections that they mean.

Source: "Connecting to the Database" of the PostgreSQL JDBC driver's documentation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from pycdc.postgres.session import ConnectionSettings

#: Parameters of a JDBC URL that mean the same here.
_SSL: Final = ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword")


class Address(msgspec.Struct, frozen=True):
    """A jdbc:postgresql URL, taken apart."""

    host: str
    port: int
    dbname: str
    parameters: dict[str, str]


def jdbc_url(value: str) -> Address:
    """Raises ValueError."""
    if not value.startswith("jdbc:postgresql:"):
        raise ValueError("must be jdbc:postgresql://HOST:PORT/DATABASE")
    parts = urlsplit(value.removeprefix("jdbc:"))
    if not parts.path.strip("/"):
        raise ValueError("names no database: jdbc:postgresql://HOST:PORT/DATABASE")
    hosts = parts.netloc.rpartition("@")[2] or "localhost"  # may list several, each with a port
    host, _, port = hosts.rpartition(":") if re.search(r":\d+$", hosts) else (hosts, "", "5432")
    return Address(host.strip("[]"), int(port), unquote(parts.path.strip("/")), dict(parse_qsl(parts.query)))


def connection_of(
    url: Address, user: str | None, password: str | None, application: str, *, options: Mapping[str, str] | None = None
) -> ConnectionSettings:
    """What the URL says of the connection; `options` are settings of the session, below the URL's own."""
    given = url.parameters
    tls = {k: given[k] for k in _SSL if k in given}
    session = {**(options or {}), **dict(re.findall(r"-c\s*(\w+)=(\S+)", given.get("options", "")))}
    if schema := given.get("currentSchema"):
        session["search_path"] = schema
    if (seconds := given.get("socketTimeout", "")).isdigit() and int(seconds):
        session["statement_timeout"] = f"{seconds}s"
    return ConnectionSettings(
        host=url.host, port=url.port, user=user or given.get("user", "postgres"), password=password or given.get("password"),
        dbname=url.dbname, options=session, application_name=given.get("ApplicationName", application), **tls,  # type: ignore[arg-type]
    )  # fmt: skip
