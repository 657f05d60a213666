"""TLS to the registry from `schema.registry.ssl.*`, and the login that a JAAS line holds.

Only PEM is read: Java's own stores would need Java.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping

from pycdc.errors import Fault

PREFIX = "schema.registry.ssl."

_JAVA_STORES = (".jks", ".p12", ".pfx", ".keystore", ".truststore")


def context(raw: Mapping[str, str], faults: list[Fault]) -> ssl.SSLContext | None:
    """The context that the settings describe; None, with a fault each, when they are wrong."""
    before = len(faults)
    for store in ("truststore", "keystore"):
        _only_pem(raw, store, faults)
    if len(faults) > before:
        return None
    made = ssl.create_default_context()
    _load(raw, made, faults)
    if raw.get(f"{PREFIX}endpoint.identification.algorithm", "https").strip() == "":
        made.check_hostname = False
    return made


def _only_pem(raw: Mapping[str, str], store: str, faults: list[Fault]) -> None:
    path = raw.get(f"{PREFIX}{store}.location", "")
    kind = raw.get(f"{PREFIX}{store}.type", "PEM" if not path.lower().endswith(_JAVA_STORES) else "JKS").upper()
    if kind != "PEM":
        faults.append(Fault(
            f"{PREFIX}{store}.location",
            f"only PEM is read, not {kind}; convert it: keytool -importkeystore -srckeystore {path or 'STORE'} -destkeystore "
            "store.p12 -deststoretype PKCS12, then openssl pkcs12 -in store.p12 -out store.pem -nodes",
            path,
        ))  # fmt: skip


def _load(raw: Mapping[str, str], made: ssl.SSLContext, faults: list[Fault]) -> None:
    trust, own = raw.get(f"{PREFIX}truststore.location"), raw.get(f"{PREFIX}keystore.location")
    certificates = raw.get(f"{PREFIX}truststore.certificates")
    try:
        if trust or certificates:
            made.load_verify_locations(cafile=trust or None, cadata=certificates or None)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        faults.append(Fault(f"{PREFIX}truststore.location", f"cannot be read as PEM: {error}", trust))
    try:
        if own:
            made.load_cert_chain(own, password=raw.get(f"{PREFIX}key.password") or None)
    except (OSError, ValueError) as error:
        faults.append(Fault(f"{PREFIX}keystore.location", f"cannot be read as PEM with certificate and key: {error}", own))


def jaas_login(line: str) -> str | None:
    """USER:PASSWORD of a JAAS line, or None."""
    found = [re.search(rf'\b{name}\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))', line) for name in ("username", "password")]
    parts = [re.sub(r"\\(.)", r"\1", m[1]) if m[1] is not None else m[2] for m in found if m is not None]
    return ":".join(parts) if len(parts) == 2 else None
