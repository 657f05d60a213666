"""Where a Connect cluster's REST API is, and who asks: address, credentials, the authority that its certificate rests on."""

from __future__ import annotations

import shlex
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from pycdc.config.late import Resolution
from pycdc.errors import ConfigError, Fault


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One cluster. `url` is without credentials and has no slash at its end; `option` names it in messages."""

    url: str
    option: str = "URL"
    #: name:password
    user: str | None = field(default=None, repr=False)
    bearer: str | None = field(default=None, repr=False)
    #: A file of PEM certificates; None: those of the system.
    cacert: Path | None = None

    def __str__(self) -> str:
        return self.url

    @property
    def authorization(self) -> str | None:
        """The header's value."""
        if self.bearer is not None:
            return f"Bearer {self.bearer}"
        return None if self.user is None else f"Basic {b64encode(self.user.encode()).decode()}"

    @property
    def curl(self) -> str:
        """What curl needs beside the address: never a secret, but where to put it."""
        variable = "CONNECT" if self.option == "URL" else "CONNECT_TO"
        parts = []
        if self.user is not None:
            parts.append(f'--user "${variable}_USER"')
        if self.bearer is not None:
            parts.append(f'-H "Authorization: Bearer ${variable}_TOKEN"')
        if self.cacert is not None:
            parts.append(f"--cacert {shlex.quote(str(self.cacert))}")
        return "".join(f" {p}" for p in parts)


def endpoint(
    url: str, *, option: str = "URL", user: str | None = None, bearer: str | None = None, cacert: str | None = None
) -> Endpoint:
    """Checks the address and looks up `${env:NAME}` and the like in the secrets. Raises ConfigError with every fault."""
    faults: list[Fault] = []
    own = _Address(url, option, faults)
    side = "--" if option == "URL" else f"{option}-"
    given = {f"{side}user": user, f"{side}bearer": bearer}
    secrets = Resolution({k: v for k, v in given.items() if v is not None})
    faults += secrets.faults
    found = secrets.texts.get(f"{side}user", own.user)
    if found is not None and ":" not in found:
        faults.append(Fault(f"{side}user", "must be NAME:PASSWORD"))
    if user is not None and bearer is not None:
        faults.append(Fault(f"{side}bearer", f"cannot be given together with {side}user"))
    if cacert is not None and not Path(cacert).is_file():
        faults.append(Fault(f"{side}cacert", "no such file", cacert))
    if faults:
        raise ConfigError("The command line is wrong.", faults=tuple(faults))
    return Endpoint(own.url, option, found, secrets.texts.get(f"{side}bearer"), None if cacert is None else Path(cacert))


def require_two(old: Endpoint, new: Endpoint) -> None:
    """A connector cannot be moved to where it is. Raises ConfigError."""
    if old.url == new.url:
        raise ConfigError("The command line is wrong.", faults=(Fault("--to", "is the same side as URL", new.url),))


class _Address:
    """The address without credentials, and those that stood in it."""

    def __init__(self, url: str, option: str, faults: list[Fault]) -> None:
        self.url = ""
        self.user: str | None = None
        parts = urlsplit(url if "://" in url else f"http://{url}")
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1 or parts.query or parts.fragment:
            # without what was given: it may hold a password
            faults.append(Fault(option, "must be the address of Connect's REST API, http://HOST:8083"))
            return
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self.url = urlunsplit((parts.scheme, host if port is None else f"{host}:{port}", parts.path.rstrip("/"), "", ""))
        if parts.username is not None:
            self.user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
