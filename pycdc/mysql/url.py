"""jdbc:mysql and jdbc:mariadb URLs, as the JDBC connectors' configurations have them, and the connections that they mean.

Source: "Connection URL Syntax" and "Configuration Properties" of MySQL Connector/J 9; "About MariaDB Connector/J" 3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote

import msgspec

from pycdc.errors import PycdcError
from pycdc.mysql.session import ConnectionSettings, Tls, is_plain_name, quote_literal

#: Parameters that are read, in lower case, as both drivers take them.
_READ: Final = frozenset((
    "user", "password", "sslmode", "usessl", "requiressl", "verifyservercertificate", "trustservercertificate",
    "disablesslhostnameverification", "serversslcert",
    "trustcertificatekeystoreurl", "clientcertificatekeystoreurl", "clientcertificatekeystorepassword", "keystore", "keystorepassword",
    "connecttimeout", "sockettimeout", "servertimezone", "connectiontimezone", "timezone", "forceconnectiontimezonetosession", "sessionvariables",
    "tinyint1isbit", "transformedbitisboolean", "yearisdatetype", "zerodatetimebehavior", "nulldatabasemeanscurrent", "nullcatalogmeanscurrent",
))  # fmt: skip
#: Parameters that ask for what is so anyway, or tune Java.
_NEEDLESS: Final = frozenset((
    "allowpublickeyretrieval", "useunicode", "characterencoding", "connectioncollation", "usecursorfetch", "defaultfetchsize", "autoreconnect",
    "autoreconnectforpools", "maxreconnects", "failoverreadonly", "rewritebatchedstatements", "useserverprepstmts", "cacheprepstmts", "prepstmtcachesize",
    "prepstmtcachesqllimit", "tcpkeepalive", "tcpnodelay", "uselegacydatetimecode", "usejdbccomplianttimezoneshift", "useinformationschema",
    "nettimeoutforstreamingresults", "cacheserverconfiguration", "elidesetautocommits", "maintaintimestats", "uselocalsessionstate",
    "cacheresultsetmetadata", "usecompression", "profilesql", "logger", "useaffectedrows", "permitmysqlscheme", "maxallowedpacket",
))  # fmt: skip
_PEM: Final = (".pem", ".crt", ".cer", ".key")
#: sslMode of either driver -> ours.
_MODES: Final = {
    "disabled": "disabled", "disable": "disabled", "preferred": "preferred", "required": "required", "trust": "required",
    "verify_ca": "verify-ca", "verify-ca": "verify-ca", "verify_identity": "verify-full", "verify-full": "verify-full",
}  # fmt: skip


class Host(NamedTuple):
    name: str
    port: int


class Address(msgspec.Struct, frozen=True):
    """A URL, taken apart. Parameters by their name in lower case; `mariadb`: of that driver, whose defaults differ."""

    hosts: tuple[Host, ...]
    database: str
    parameters: dict[str, str]
    mariadb: bool = False
    #: As they are written in the URL.
    unknown: tuple[str, ...] = ()

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.parameters.get(name.lower())
        return default if value is None else value.strip().lower() in ("true", "yes", "1", "")


def jdbc_url(value: str) -> Address:
    """Raises ValueError."""
    found = re.fullmatch(r"jdbc:(mysql|mariadb)(:[\w:]+)?://(.*)", value.strip(), re.DOTALL)
    if found is None or (found[2] and not re.fullmatch(r":(failover|sequential|loadbalance|replication)", found[2])):
        raise ValueError("must be jdbc:mysql://HOST:PORT/DATABASE or jdbc:mariadb://HOST:PORT/DATABASE")
    place, _, query = found[3].partition("?")
    login, at, rest = place.rpartition("@")
    hosts, slash, database = rest.partition("/")
    if not slash:
        raise ValueError("names no database: jdbc:mysql://HOST:PORT/DATABASE")
    if "(" in hosts:
        raise ValueError("lists hosts in parentheses: write HOST:PORT,HOST:PORT")
    given = parse_qsl(query, keep_blank_values=True)
    parameters = {k.lower(): v for k, v in given}
    if at:
        user, _, password = login.partition(":")
        parameters = {"user": unquote(user), **({"password": unquote(password)} if password else {}), **parameters}
    if wrong := _wrong(parameters):
        raise ValueError(wrong)
    return Address(
        tuple(_host(h) for h in (hosts or "localhost").split(",")), unquote(database), parameters, found[1] == "mariadb",
        tuple(k for k, _ in given if k.lower() not in _READ | _NEEDLESS),
    )  # fmt: skip


def _wrong(parameters: Mapping[str, str]) -> str | None:
    """What cannot be obeyed: where it would be passed over, a connection would be less safe or wait longer than was asked for."""
    if parameters.get("sslmode", "disabled").lower() not in _MODES:
        return "sslMode must be DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY"
    for name in ("connectTimeout", "socketTimeout"):
        if not re.fullmatch(r"\s*\d*\s*", parameters.get(name.lower(), "")):
            return f"{name} must be a number of milliseconds"
    if _zero_word(parameters) not in ("", "exception", "round", "converttonull"):
        return "zeroDateTimeBehavior must be EXCEPTION, ROUND or CONVERT_TO_NULL"
    for part in _parts(parameters.get("sessionvariables", "")):
        if _variable(part) is None:
            return f"sessionVariables must be NAME=VALUE, separated by commas, and not {part.strip()}"
    return None


def _zero_word(parameters: Mapping[str, str]) -> str:
    return parameters.get("zerodatetimebehavior", "").replace("_", "").strip().lower()


def zero_dates_of(url: Address) -> str:
    """exception, round or converttonull; each driver has a default of its own."""
    return _zero_word(url.parameters) or ("converttonull" if url.mariadb else "exception")


def _host(text: str) -> Host:
    text = text.strip()
    name, _, port = text.rpartition(":") if re.search(r":\d+$", text) else (text, ":", "3306")
    return Host(name.strip("[]") or "localhost", int(port))


def with_parameters(url: Address, more: Mapping[str, str]) -> Address:
    """Those of the URL come first."""
    return Address(
        url.hosts, url.database, {**{k.lower(): v for k, v in more.items()}, **url.parameters}, url.mariadb,
        (*url.unknown, *(k for k in more if k.lower() not in _READ | _NEEDLESS)),
    )  # fmt: skip


def connections_of(url: Address, user: str | None, password: str | None, application: str) -> list[ConnectionSettings]:
    """What it says of the connection, for each host in the order in which they are tried. Raises PycdcError."""
    p = url.parameters
    if wrong := _wrong(p):
        raise PycdcError("connection.* cannot be obeyed", cause=wrong)
    variables = [v for part in _parts(p.get("sessionvariables", "")) if (v := _variable(part)) is not None]
    if _forces_zone(url) and (zone := zone_of(url)):
        variables.append(("time_zone", zone))
    connect, read = _seconds(p.get("connecttimeout")), _seconds(p.get("sockettimeout"))
    return [
        ConnectionSettings(
            host=host.name, port=host.port, user=user or p.get("user", ""), password=password or p.get("password"), database=url.database, tls=_tls(url),
            connect_timeout=connect or 10, read_timeout=read, program=application, variables=tuple(variables),
        )
        for host in url.hosts
    ]  # fmt: skip


def only_of(url: Address) -> str | None:
    """The database that is meant where none is named, if it is one and not all."""
    current = any(url.flag(name, default=False) for name in ("nullDatabaseMeansCurrent", "nullCatalogMeansCurrent"))
    return url.database if current and url.database else None


def moot_zones(url: Address) -> list[str]:
    """Parameters that tell a zone which does not become the session's: the drivers convert by it only where nobody asks for another."""
    if _forces_zone(url):
        return []
    return [n for n in ("connectionTimeZone", "serverTimezone", "timezone") if zone_of(url) and url.parameters.get(n.lower())]


def _forces_zone(url: Address) -> bool:
    """MariaDB's `timezone` always became the session's."""
    return url.flag("forceConnectionTimeZoneToSession", default=False) or (url.mariadb and "timezone" in url.parameters)


def zone_of(url: Address) -> str | None:
    """The session's zone, as SQL."""
    zone = next((url.parameters[k] for k in ("connectiontimezone", "servertimezone", "timezone") if url.parameters.get(k)), "")
    if zone.upper() in ("", "LOCAL", "SERVER", "AUTO", "DISABLE"):
        return None
    return quote_literal("+00:00" if zone.upper() in ("UTC", "GMT", "Z") else zone)


def _seconds(milliseconds: str | None) -> int | None:
    """At least one; 0 and what is no number: no limit."""
    if milliseconds is None or not milliseconds.strip().isdigit() or not int(milliseconds):
        return None
    return max(1, int(milliseconds) // 1000)


def _parts(text: str) -> list[str]:
    """Separated by commas or semicolons outside of quotes and parentheses."""
    found = re.findall(r"((?:'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.)*\"|\([^()]*\)|[^,;'\"()])+)", text)
    return [part for part in found if part.strip()]


def _variable(part: str) -> tuple[str, str] | None:
    """`name=value`. None: it is none."""
    name, equals, value = part.partition("=")
    name = re.sub(r"^(@@session\.|@@|session )", "", name.strip(), flags=re.IGNORECASE)
    return (name, value.strip()) if equals and is_plain_name(name) and value.strip() else None


def _pem(path: str | None) -> str | None:
    """A file of a parameter that names a keystore of Java's, if it is PEM."""
    if path is None:
        return None
    path = path.removeprefix("file://").removeprefix("file:")
    return path if path.lower().endswith(_PEM) else None


def _tls(url: Address) -> Tls:
    p = url.parameters
    mode = _MODES.get(p.get("sslmode", "").lower())
    if mode is None:
        # the names of older releases
        if "usessl" not in p:
            mode = "preferred"
        elif not url.flag("useSSL", default=True):
            mode = "disabled"
        elif url.mariadb:
            trusts, any_name = (url.flag(n, default=False) for n in ("trustServerCertificate", "disableSslHostnameVerification"))
            mode = "required" if trusts else "verify-ca" if any_name else "verify-full"
        elif url.flag("verifyServerCertificate", default=False):
            mode = "verify-ca"
        else:
            mode = "required" if url.flag("requireSSL", default=False) else "preferred"
    authority = _pem(p.get("serversslcert")) or _pem(p.get("trustcertificatekeystoreurl"))
    own = _pem(p.get("clientcertificatekeystoreurl")) or _pem(p.get("keystore"))
    return Tls(mode, authority, own, None, p.get("clientcertificatekeystorepassword") or p.get("keystorepassword"))


def java_stores(url: Address) -> list[str]:
    """Parameters that name files of Java's, which cannot be read here."""
    names = ("serverSslCert", "trustCertificateKeyStoreUrl", "clientCertificateKeyStoreUrl", "keyStore")
    return [n for n in names if url.parameters.get(n.lower()) and _pem(url.parameters[n.lower()]) is None]
