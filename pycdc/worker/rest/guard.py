"""Who may ask: logins, TLS, browsers of other origins; and what goes along with every answer.

Source: Kafka Connect's RestServerConfig (CORS as Jetty's filter does it, response.http.headers.config); RFC 7617, RFC 6750.
"""

from __future__ import annotations

import base64
import binascii
import csv
import hmac
import ipaddress
import re
import ssl
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from pycdc.config.files import read_file
from pycdc.errors import ConfigError, Fault
from pycdc.worker.requests import RequestError

if TYPE_CHECKING:
    from pycdc.worker.settings import ConnectConfig, Listener

log = structlog.get_logger(__name__)

#: Asked by liveness probes, which have no login.
_OPEN: Final = ("health", "live", "ready")
_ACTIONS: Final = ("set", "add", "setdate", "adddate")
#: RFC 9110, 5.1 and 5.5.
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_CLIENT_AUTH: Final = {"none": ssl.CERT_NONE, "requested": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


class Guard:
    """Of one worker. Raises ConfigError with everything that is wrong with its settings and their files."""

    def __init__(self, config: ConnectConfig) -> None:
        self._config = config
        faults: list[Fault] = []
        self._users = _users(config.basic_users, faults)
        self._tokens = _tokens(config.bearer_tokens, faults)
        self._headers = response_headers(config.response_headers, faults)
        #: Of https listeners; None: there is none.
        self.server_tls: ssl.SSLContext | None = None
        #: How this worker asks the others; None: they are not reached by https.
        self.client_tls: ssl.SSLContext | None = None
        if any(one.scheme == "https" for one in self._all_listeners()):
            self.server_tls, self.client_tls = self._make_server_tls(faults), self._make_client_tls(faults)
        if faults:
            raise ConfigError("The configuration of the worker is wrong.", faults=tuple(dict.fromkeys(faults)))
        self._warn()

    @property
    def asks_for_login(self) -> bool:
        return bool(self._users or self._tokens)

    def _all_listeners(self) -> tuple[Listener, ...]:
        return (*self._config.listeners, *(self._config.admin_listeners or ()))

    def _warn(self) -> None:
        exposed = [one for one in self._all_listeners() if not _is_loopback(one.host)]
        known = self.server_tls is not None and self.server_tls.verify_mode is ssl.CERT_REQUIRED
        open_to_all = [one.url for one in exposed if not (self.asks_for_login or (known and one.scheme == "https"))]
        if open_to_all:
            log.warning(
                "anyone who reaches the REST API can read configurations and run connectors", listeners=open_to_all,
                hint="set rest.auth.basic.users.file or rest.auth.bearer.tokens.file, or listen on 127.0.0.1 only",
            )  # fmt: skip
        plain = [one.url for one in exposed if self.asks_for_login and one.scheme == "http"]
        if plain:
            log.warning(
                "logins and configurations cross the network unencrypted", listeners=plain,
                hint="listen on https:// with listeners.https.ssl.keystore.location, or on 127.0.0.1 only, behind a proxy with TLS",
            )  # fmt: skip

    # ---- before a request

    def admit(self, request: web.BaseRequest, resource: str) -> None:
        """`resource`: name of what a GET of the path would give, "" for nothing. Raises RequestError 401."""
        if not self.asks_for_login or resource in _OPEN or (request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers):
            return
        kind, _, secret = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "basic" and self._is_user(secret.strip()):
            return
        if kind.lower() == "bearer" and self._is_token(secret.strip()):
            return
        raise RequestError(401, "User cannot access the resource.")

    def _is_token(self, secret: str) -> bool:
        given = secret.encode(errors="surrogateescape")  # as it came: a header may hold any bytes
        return any(hmac.compare_digest(given, known) for known in self._tokens)

    def _is_user(self, secret: str) -> bool:
        try:
            given = base64.b64decode(secret, validate=True)
        except (binascii.Error, ValueError):
            return False
        return any(hmac.compare_digest(given, known) for known in self._users)

    def preflight(self, request: web.BaseRequest) -> dict[str, str]:
        """Headers of the answer to a browser that asks what it may do; empty when it is no such question."""
        if "Access-Control-Request-Method" not in request.headers or not self._allows(request):
            return {}
        methods = ",".join(self._config.allow_methods) or "GET,POST,HEAD"
        return {"Access-Control-Allow-Methods": methods, "Access-Control-Allow-Headers": "Content-Type", "Access-Control-Max-Age": "60"}

    def _allows(self, request: web.BaseRequest) -> bool:
        allowed, origin = [o.strip() for o in self._config.allow_origin.split(",")], request.headers.get("Origin")
        return bool(origin) and (origin in allowed or "*" in allowed)

    # ---- with every answer

    def finish(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        if response.status == 401:
            ways = [*(['Basic realm="pycdc"'] if self._users else []), *(["Bearer"] if self._tokens else [])]
            response.headers["WWW-Authenticate"] = ", ".join(ways)
        if self._config.allow_origin:
            response.headers["Vary"] = "Origin"
        if self._allows(request):
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
        for action, name, value in self._headers:
            if action.startswith("set"):
                response.headers[name] = value
            else:
                response.headers.add(name, value)

    # ---- TLS

    def _make_server_tls(self, faults: list[Fault]) -> ssl.SSLContext:
        """Of listeners.https.*, and of ssl.* where there is no such key."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        key, location = self._tls("keystore.location")
        if not location:
            faults.append(Fault(key, "is required for an https listener: a PEM file with certificate chain and private key"))
        self._identify(context, faults)
        key, wanted = self._tls("client.auth")
        mode = _CLIENT_AUTH.get((wanted or "none").lower())
        if mode is None:
            faults.append(Fault(key, f"must be one of {', '.join(_CLIENT_AUTH)}", wanted))
        elif mode is not ssl.CERT_NONE:
            context.verify_mode = mode
            key, location = self._tls("truststore.location")
            if not location:
                faults.append(Fault(key, "is required where clients show certificates: a PEM file with those that sign them"))
            self._trust(context, faults)
        return context

    def _make_client_tls(self, faults: list[Fault]) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self._trust(context, faults)
        self._identify(context, faults)
        context.check_hostname = self._tls("endpoint.identification.algorithm")[1] != ""
        return context

    def _identify(self, context: ssl.SSLContext, faults: list[Fault]) -> None:
        key, location = self._tls("keystore.location")
        if location:
            # never None: OpenSSL would ask for it at the terminal
            password = self._tls("key.password")[1] or self._tls("keystore.password")[1] or ""
            try:
                context.load_cert_chain(location, password=password)
            except (OSError, ValueError) as error:
                faults.append(Fault(key, f"cannot be read as PEM with certificate and key: {_reason(error)}", location))

    def _trust(self, context: ssl.SSLContext, faults: list[Fault]) -> None:
        key, location = self._tls("truststore.location")
        if location:
            try:
                context.load_verify_locations(cafile=location)
            except (OSError, ValueError) as error:
                faults.append(Fault(key, f"cannot be read as PEM: {_reason(error)}", location))

    def _tls(self, name: str) -> tuple[str, str | None]:
        own, common = f"listeners.https.ssl.{name}", f"ssl.{name}"
        raw = self._config.raw
        key = own if own in raw or common not in raw else common
        return key, raw.get(key)


def response_headers(text: str, faults: list[Fault]) -> list[tuple[str, str, str]]:
    """`set X-A: b`, each in quotes where it holds a comma -> action, name, value. Of dates the value is ms since 1970."""
    found = []
    try:
        entries = next(csv.reader([text], skipinitialspace=True), [])
    except csv.Error:
        entries = [""]
    for entry in entries:
        action, _, header = entry.strip().partition(" ")
        name, colon, value = (part.strip() for part in header.partition(":"))
        action = action.lower()
        if action in ("setdate", "adddate") and value.isascii() and value.isdigit():
            value = formatdate(int(value) / 1000, usegmt=True)
        elif action in ("setdate", "adddate"):
            colon = ""
        if action not in _ACTIONS or not colon or not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            faults.append(Fault(
                "response.http.headers.config", "must be entries `set NAME: VALUE`, `add ...`, `setDate NAME: MS`, `addDate ...`, commas between", text
            ))  # fmt: skip
            return []
        found.append((action, name, value))
    return found


def _users(path: str | None, faults: list[Fault]) -> list[bytes]:
    """`user:password`, as Basic sends it."""
    key = "rest.auth.basic.users.file"
    if path is None:
        return []
    try:
        users = read_file(path)
    except ConfigError as error:
        faults.append(Fault(key, error.faults[0].message, path))
        return []
    # a colon ends the name: RFC 7617, 2
    wrong = [user for user, password in users.items() if not user or ":" in user or not password]
    if wrong or not users:
        faults.append(Fault(key, f"has a user without password: {wrong[0]}" if wrong else "has no user: lines are `user=password`", path))
    return [f"{user}:{password}".encode() for user, password in users.items()]


def _tokens(path: str | None, faults: list[Fault]) -> list[bytes]:
    key = "rest.auth.bearer.tokens.file"
    if path is None:
        return []
    try:
        lines = [line.strip() for line in Path(path).read_bytes().splitlines()]
    except OSError as error:
        faults.append(Fault(key, f"cannot be read: {error.strerror}", path))
        return []
    found = [line for line in lines if line and not line.startswith(b"#")]
    if not found:
        faults.append(Fault(key, "has no token: each line is one", path))
    return found


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _reason(error: Exception) -> str:
    """OpenSSL's word, or the system's."""
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
