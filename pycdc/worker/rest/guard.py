"""Who may ask: logins, TLS, browsers of other origins; and what goes along with every answer.

Source: Kafka Connect's RestServerConfig (CORS as Jetty's filter does it, response.http.headers.config); RFC 7617, RFC 6750.
"""

from __future__ import annotations

import base64
import binascii
import csv
import hmac
import ipaddress
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from pycdc.config.files import read_file
from pycdc.errors import ConfigError, Fault
from pycdc.worker.requests import RequestError

if TYPE_CHECKING:
    from pycdc.worker.settings import ConnectConfig

log = structlog.get_logger(__name__)

#: Asked by liveness probes, which have no login.
_OPEN: Final = ("/health", "/health/", "/health/live", "/health/ready")
_ACTIONS: Final = ("set", "add", "setdate", "adddate")


class Guard:
    """Of one worker. Raises ConfigError when a file that it needs cannot be read."""

    def __init__(self, config: ConnectConfig) -> None:
        self._config = config
        self._users = _users(config.basic_users)
        self._tokens = _tokens(config.bearer_tokens)
        self._headers = response_headers(config.response_headers)
        if any(one.scheme == "https" for one in (*config.listeners, *(config.admin_listeners or ()))):
            self.server_tls()
        self._warn()

    @property
    def asks_for_login(self) -> bool:
        return bool(self._users or self._tokens)

    def _warn(self) -> None:
        exposed = [one.url for one in self._config.listeners if not _is_loopback(one.host)]
        if exposed and not self.asks_for_login:
            log.warning(
                "anyone who reaches the REST API can read configurations and run connectors", listeners=exposed,
                hint="set rest.auth.basic.users.file or rest.auth.bearer.tokens.file, or listen on 127.0.0.1 only",
            )  # fmt: skip

    # ---- before a request

    def admit(self, request: web.BaseRequest) -> None:
        """Raises RequestError 401."""
        if not self.asks_for_login or request.path in _OPEN or (request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers):
            return
        kind, _, secret = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "basic" and self._is_user(secret.strip()):
            return
        if kind.lower() == "bearer" and any(hmac.compare_digest(secret.strip().encode(), t) for t in self._tokens):
            return
        raise RequestError(401, "User cannot access the resource.")

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
        allowed = [o.strip() for o in self._config.allow_origin.split(",")]
        return request.headers.get("Origin") in allowed or ("*" in allowed and "Origin" in request.headers)

    # ---- with every answer

    def finish(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        if response.status == 401:
            response.headers["WWW-Authenticate"] = 'Basic realm="pycdc"' if self._users else "Bearer"
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

    def server_tls(self) -> ssl.SSLContext:
        """Of listeners.https.*, and of ssl.* where there is no such key."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        key, location = self._tls("keystore.location")
        if not location:
            raise _fault(key, "is required for an https listener: a PEM file with certificate chain and private key")
        try:
            context.load_cert_chain(location, password=self._tls("key.password")[1] or self._tls("keystore.password")[1])
        except (OSError, ValueError) as error:
            raise _fault(key, f"cannot be read as PEM with certificate and key: {error}", location) from None
        wanted = (self._tls("client.auth")[1] or "none").lower()
        if wanted in ("required", "requested"):
            self._trust(context)
            context.verify_mode = ssl.CERT_REQUIRED if wanted == "required" else ssl.CERT_OPTIONAL
        return context

    def client_tls(self) -> ssl.SSLContext | None:
        """How this worker asks the others; None: they are not reached by https."""
        if not any(one.scheme == "https" for one in self._config.listeners):
            return None
        context = ssl.create_default_context()
        self._trust(context)
        location = self._tls("keystore.location")[1]
        if location:
            context.load_cert_chain(location, password=self._tls("key.password")[1] or self._tls("keystore.password")[1])
        context.check_hostname = self._tls("endpoint.identification.algorithm")[1] != ""
        return context

    def _trust(self, context: ssl.SSLContext) -> None:
        key, location = self._tls("truststore.location")
        if location:
            try:
                context.load_verify_locations(cafile=location)
            except (OSError, ValueError) as error:
                raise _fault(key, f"cannot be read as PEM: {error}", location) from None

    def _tls(self, name: str) -> tuple[str, str | None]:
        own, common = f"listeners.https.ssl.{name}", f"ssl.{name}"
        raw = self._config.raw
        key = own if own in raw or common not in raw else common
        return key, raw.get(key)


def response_headers(text: str) -> list[tuple[str, str, str]]:
    """`set X-A: b`, each in quotes where it holds a comma -> action, name, value. Raises ConfigError."""
    found = []
    for entry in next(csv.reader([text], skipinitialspace=True), []):
        action, _, header = entry.strip().partition(" ")
        name, colon, value = header.partition(":")
        if action.lower() not in _ACTIONS or not colon or not name.strip():
            raise _fault("response.http.headers.config", "must be entries `set NAME: VALUE` or `add NAME: VALUE`, commas between", text)
        found.append((action.lower(), name.strip(), value.strip()))
    return found


def _users(path: str | None) -> list[bytes]:
    """`user:password`, as Basic sends it."""
    if path is None:
        return []
    return [f"{user}:{password}".encode() for user, password in _read("rest.auth.basic.users.file", path).items()]


def _read(key: str, path: str) -> dict[str, str]:
    try:
        return read_file(path)
    except ConfigError as error:
        raise _fault(key, error.faults[0].message, path) from None


def _tokens(path: str | None) -> list[bytes]:
    if path is None:
        return []
    try:
        lines = Path(path).read_bytes().splitlines()
    except OSError as error:
        raise _fault("rest.auth.bearer.tokens.file", f"cannot be read: {error.strerror}", path) from None
    return [line.strip() for line in lines if line.strip() and not line.startswith(b"#")]


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _fault(key: str, message: str, value: str | None = None) -> ConfigError:
    return ConfigError("The configuration of the worker is wrong.", faults=(Fault(key, message, value),))
