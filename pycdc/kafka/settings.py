"""Kafka's client properties -> what aiokafka takes.

The names are those of Kafka's own clients, as Connect's workers carry them (producer.*, consumer.*,
admin.*, with their overrides). What has no counterpart is returned by name, for one warning; every wrong
value is a fault of one ConfigError. Passwords appear in neither.
"""

from __future__ import annotations

import importlib.util
import re
import ssl
from collections.abc import Mapping
from typing import Any, Final

from pycdc.config.definition import Kind, integer, one_of, parsed
from pycdc.errors import ConfigError, Fault

#: aiokafka's name (ours where it begins with `_`), and how the text is read.
_Entry = tuple[str, Kind[Any]]

_COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")
_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI", "OAUTHBEARER")


def _servers(text: str) -> list[str]:
    servers = [s.strip().rpartition("://")[2] for s in text.split(",") if s.strip()]
    for server in servers:
        _host, colon, port = server.rpartition(":")
        if not colon or not port.isdigit():
            raise ValueError("must be host:port, several separated by commas")
    if not servers:
        raise ValueError("must name at least one host:port")
    return servers


def _seconds(kind: Kind[int]) -> Kind[float]:
    return parsed(kind.connect_type, lambda text: kind.parse(text) / 1000, kind.allowed)


def _compression() -> Kind[str | None]:
    kind = one_of(*_COMPRESSIONS)

    def parse(text: str) -> str | None:
        word = kind.parse(text)
        return None if word == "none" else word

    return parsed("STRING", parse, kind.allowed)


_COMMON: dict[str, _Entry] = {
    "bootstrap.servers": ("bootstrap_servers", parsed("LIST", _servers)),
    "client.id": ("client_id", parsed("STRING", str)),
    "request.timeout.ms": ("request_timeout_ms", integer(1)),
    "metadata.max.age.ms": ("metadata_max_age_ms", integer(1)),
    "retry.backoff.ms": ("retry_backoff_ms", integer(0)),
    "connections.max.idle.ms": ("connections_max_idle_ms", integer(0)),
    "security.protocol": ("security_protocol", one_of(*_PROTOCOLS)),
    "sasl.mechanism": ("sasl_mechanism", one_of(*_MECHANISMS)),
    "sasl.kerberos.service.name": ("sasl_kerberos_service_name", parsed("STRING", str)),
}
_PRODUCER: dict[str, _Entry] = _COMMON | {
    "compression.type": ("compression_type", _compression()),
    "max.request.size": ("max_request_size", integer(0)),
    "batch.size": ("max_batch_size", integer(0)),
    "linger.ms": ("linger", _seconds(integer(0))),
    "delivery.timeout.ms": ("delivery_limit", _seconds(integer(1))),
}
_CONSUMER: dict[str, _Entry] = _COMMON | {
    "fetch.min.bytes": ("fetch_min_bytes", integer(0)),
    "fetch.max.bytes": ("fetch_max_bytes", integer(0)),
    "fetch.max.wait.ms": ("fetch_max_wait_ms", integer(0)),
    "max.partition.fetch.bytes": ("max_partition_fetch_bytes", integer(0)),
    "max.poll.interval.ms": ("max_poll_interval_ms", integer(1)),
    "session.timeout.ms": ("session_timeout_ms", integer(1)),
    "heartbeat.interval.ms": ("heartbeat_interval_ms", integer(1)),
    "auto.offset.reset": ("auto_offset_reset", one_of("earliest", "latest", "none")),
    "isolation.level": ("isolation_level", one_of("read_uncommitted", "read_committed")),
    "group.instance.id": ("group_instance_id", parsed("STRING", str)),
    "client.rack": ("client_rack", parsed("STRING", str)),
    "check.crcs": ("check_crcs", parsed("BOOLEAN", lambda text: text.lower() != "false")),
}
#: Keys read together by `_security`.
_SECURITY: Final = frozenset({
    "sasl.jaas.config", "ssl.truststore.type", "ssl.truststore.location", "ssl.truststore.certificates",
    "ssl.truststore.password", "ssl.keystore.type", "ssl.keystore.location", "ssl.keystore.certificate.chain",
    "ssl.keystore.key", "ssl.keystore.password", "ssl.key.password", "ssl.endpoint.identification.algorithm",
})  # fmt: skip
#: Settled by pycdc for every value a user gives: queues are bounded by max.queue.size.in.bytes, offsets are
#: committed behind writes, converters take the place of serializers, nothing is sent in parallel out of order.
_SETTLED: Final = frozenset({
    "group.id", "enable.auto.commit", "auto.commit.interval.ms", "max.poll.records", "key.serializer",
    "value.serializer", "key.deserializer", "value.deserializer", "max.in.flight.requests.per.connection",
    "retries", "buffer.memory", "max.block.ms",
})  # fmt: skip
#: Values that say what pycdc does anyway; any other is named in the warning.
_ALWAYS: Final = {"acks": ("all", "-1"), "enable.idempotence": ("true",)}


def producer_settings(raw: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Keyword arguments of AIOKafkaProducer, and the names of ignored properties. Raises ConfigError.

    `linger` and `delivery_limit` (seconds), `max_batch_size` and `max_request_size` are BatchSender's.
    """
    return _mapped(raw, _PRODUCER)


def consumer_settings(raw: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The same for AIOKafkaConsumer."""
    return _mapped(raw, _CONSUMER)


def admin_settings(raw: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The same for AIOKafkaAdminClient."""
    return _mapped(raw, _COMMON)


def _mapped(raw: Mapping[str, str], table: Mapping[str, _Entry]) -> tuple[dict[str, Any], list[str]]:
    out: dict[str, Any] = {}
    ignored: list[str] = []
    faults: list[Fault] = []
    for key, text in raw.items():
        if key in table:
            name, kind = table[key]
            try:
                out[name] = kind.parse(text.strip())
            except ValueError as error:
                faults.append(Fault(key, str(error), text))
        elif key not in _SECURITY | _SETTLED and text.strip().lower() not in _ALWAYS.get(key, ()):
            ignored.append(key)
    out.update(_security(raw, out.get("security_protocol", "PLAINTEXT"), out.get("sasl_mechanism"), faults))
    if faults:
        raise ConfigError("The settings of a Kafka client are wrong.", faults=tuple(faults))
    return out, ignored


# ---- TLS and logins


def _security(raw: Mapping[str, str], protocol: str, mechanism: str | None, faults: list[Fault]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if protocol.startswith("SASL"):
        out.update(_login(raw, mechanism or "GSSAPI", faults))
    if protocol.endswith("SSL"):
        context = _tls(raw, faults)
        if context is not None:
            out["ssl_context"] = context
    return out


def _login(raw: Mapping[str, str], mechanism: str, faults: list[Fault]) -> dict[str, Any]:
    if mechanism == "OAUTHBEARER":
        faults.append(Fault("sasl.mechanism", "OAUTHBEARER is not available yet; use SCRAM-SHA-512, PLAIN or GSSAPI", mechanism))
        return {}
    if mechanism == "GSSAPI":  # also Kafka's default
        if importlib.util.find_spec("gssapi") is None:
            faults.append(Fault("sasl.mechanism", "GSSAPI needs Kerberos's library: pip install gssapi", mechanism))
        return {"sasl_mechanism": mechanism}
    jaas = raw.get("sasl.jaas.config", "")
    user, password = _jaas(jaas, "username"), _jaas(jaas, "password")
    if user is None or password is None:
        faults.append(Fault("sasl.jaas.config", f'{mechanism} needs: ...LoginModule required username="..." password="...";'))
        return {}
    return {"sasl_plain_username": user, "sasl_plain_password": password}


def _jaas(text: str, name: str) -> str | None:
    """A value of a JAAS line; quoted with either quote, or bare."""
    found = re.search(rf"""\b{name}\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s;]+))""", text)
    if found is None:
        return None
    value: str = next(group for group in found.groups() if group is not None)
    return re.sub(r"\\(.)", r"\1", value)


def _tls(raw: Mapping[str, str], faults: list[Fault]) -> ssl.SSLContext | None:
    before = len(faults)
    _only_pem(raw, "ssl.truststore", faults)
    _only_pem(raw, "ssl.keystore", faults)
    if len(faults) > before:
        return None
    context = ssl.create_default_context()
    _trust(raw, context, faults)
    _present(raw, context, faults)
    if raw.get("ssl.endpoint.identification.algorithm", "https").strip() == "":
        context.check_hostname = False
    return context


def _only_pem(raw: Mapping[str, str], store: str, faults: list[Fault]) -> None:
    """Java's own stores cannot be read here; an unnamed type is told by the file."""
    path = raw.get(f"{store}.location", "")
    kind = raw.get(f"{store}.type", "").upper()
    if kind and kind != "PEM":
        faults.append(Fault(f"{store}.type", f"only PEM is read; {_convert(path)}", kind))
    elif not kind and path.lower().endswith((".jks", ".p12", ".pfx", ".keystore", ".truststore")):
        faults.append(Fault(f"{store}.location", f"only PEM is read; {_convert(path)}", path))


def _convert(path: str) -> str:
    store = path or "STORE"
    return (
        f"convert the store: keytool -importkeystore -srckeystore {store} -destkeystore store.p12 -deststoretype PKCS12, "
        "then openssl pkcs12 -in store.p12 -out store.pem -nodes"
    )


def _trust(raw: Mapping[str, str], context: ssl.SSLContext, faults: list[Fault]) -> None:
    key = "ssl.truststore.certificates" if "ssl.truststore.certificates" in raw else "ssl.truststore.location"
    given = raw.get(key)
    if not given:
        return  # the system's own authorities
    try:
        if key.endswith("certificates"):
            context.load_verify_locations(cadata=given)
        else:
            context.load_verify_locations(cafile=given)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        faults.append(Fault(key, f"cannot be read as PEM: {error}", given if key.endswith("location") else None))


def _present(raw: Mapping[str, str], context: ssl.SSLContext, faults: list[Fault]) -> None:
    """Our own certificate, where brokers ask for one."""
    path = raw.get("ssl.keystore.location")
    if raw.get("ssl.keystore.certificate.chain") or raw.get("ssl.keystore.key"):
        faults.append(Fault("ssl.keystore.key", "keys inside the configuration are not read; put chain and key into one PEM "
                            "file and name it in ssl.keystore.location"))  # fmt: skip
    if not path:
        return
    try:
        context.load_cert_chain(path, password=raw.get("ssl.key.password") or None)
    except (OSError, ValueError) as error:
        faults.append(Fault("ssl.keystore.location", f"cannot be read as PEM with certificate and key: {error}", path))
