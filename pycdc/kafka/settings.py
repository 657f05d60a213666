"""Kafka's client properties -> what aiokafka takes.

The names are those of Kafka's own clients, as Connect's workers carry them (producer.*, consumer.*,
admin.*, with their overrides). What has no counterpart is returned by name, for one warning.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any

from pycdc.errors import ConfigError, Fault

Convert = Callable[[str], Any]


def _bool(text: str) -> bool:
    return text.strip().lower() == "true"


def _compression(text: str) -> str | None:
    return None if text == "none" else text


def _isolation(text: str) -> str:
    return text.lower()


_COMMON: dict[str, tuple[str, Convert]] = {
    "bootstrap.servers": ("bootstrap_servers", lambda s: [h.strip() for h in s.split(",") if h.strip()]),
    "client.id": ("client_id", str),
    "request.timeout.ms": ("request_timeout_ms", int),
    "metadata.max.age.ms": ("metadata_max_age_ms", int),
    "retry.backoff.ms": ("retry_backoff_ms", int),
    "connections.max.idle.ms": ("connections_max_idle_ms", int),
    "security.protocol": ("security_protocol", str.upper),
    "sasl.mechanism": ("sasl_mechanism", str.upper),
}
_PRODUCER = _COMMON | {
    "compression.type": ("compression_type", _compression),
    "max.request.size": ("max_request_size", int),
    "batch.size": ("max_batch_size", int),
}
_CONSUMER = _COMMON | {
    "fetch.min.bytes": ("fetch_min_bytes", int),
    "fetch.max.bytes": ("fetch_max_bytes", int),
    "fetch.max.wait.ms": ("fetch_max_wait_ms", int),
    "max.partition.fetch.bytes": ("max_partition_fetch_bytes", int),
    "max.poll.interval.ms": ("max_poll_interval_ms", int),
    "session.timeout.ms": ("session_timeout_ms", int),
    "heartbeat.interval.ms": ("heartbeat_interval_ms", int),
    "auto.offset.reset": ("auto_offset_reset", str),
    "isolation.level": ("isolation_level", _isolation),
    "group.instance.id": ("group_instance_id", str),
    "client.rack": ("client_rack", str),
}
#: Read here in other ways, or settled by pycdc itself.
_HANDLED = ("sasl.jaas.config", "ssl.", "acks", "enable.idempotence", "linger.ms", "delivery.timeout.ms", "group.id",
            "enable.auto.commit", "max.poll.records", "key.", "value.", "max.in.flight.requests.per.connection", "retries",
            "buffer.memory", "max.block.ms")  # fmt: skip


def producer_settings(raw: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Keyword arguments of AIOKafkaProducer, and the names of ignored properties. Raises ConfigError."""
    return _mapped(raw, _PRODUCER)


def consumer_settings(raw: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The same for AIOKafkaConsumer."""
    return _mapped(raw, _CONSUMER)


def admin_settings(raw: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The same for AIOKafkaAdminClient."""
    return _mapped(raw, _COMMON)


def _mapped(raw: Mapping[str, str], table: Mapping[str, tuple[str, Convert]]) -> tuple[dict[str, Any], list[str]]:
    out: dict[str, Any] = {}
    ignored: list[str] = []
    faults: list[Fault] = []
    for key, text in raw.items():
        if key in table:
            name, convert = table[key]
            try:
                out[name] = convert(text.strip())
            except ValueError:
                faults.append(Fault(key, "must be a whole number", text))
        elif not key.startswith(_HANDLED):
            ignored.append(key)
    _security(raw, out, faults)
    if faults:
        raise ConfigError("The settings of a Kafka client are wrong.", faults=tuple(faults))
    return out, ignored


def _security(raw: Mapping[str, str], out: dict[str, Any], faults: list[Fault]) -> None:
    jaas = raw.get("sasl.jaas.config", "")
    if jaas:
        out["sasl_plain_username"] = _jaas(jaas, "username")
        out["sasl_plain_password"] = _jaas(jaas, "password")
    protocol = out.get("security_protocol", "PLAINTEXT")
    if protocol not in ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"):
        faults.append(Fault("security.protocol", "must be PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL", protocol))
    if protocol.endswith("SSL"):
        for key in ("ssl.truststore.type", "ssl.keystore.type"):
            if raw.get(key, "PEM").upper() != "PEM":
                faults.append(Fault(key, "only PEM files are read; convert the store: keytool -exportcert -rfc ...", raw[key]))
        if not faults:
            out["ssl_context"] = _tls(raw, faults)


def _jaas(text: str, name: str) -> str | None:
    import re

    found = re.search(rf'\b{name}\s*=\s*"((?:[^"\\]|\\.)*)"', text)
    return re.sub(r"\\(.)", r"\1", found[1]) if found else None


def _tls(raw: Mapping[str, str], faults: list[Fault]) -> ssl.SSLContext | None:
    try:
        context = ssl.create_default_context(cafile=raw.get("ssl.truststore.location") or None)
        if raw.get("ssl.keystore.location"):
            context.load_cert_chain(raw["ssl.keystore.location"], password=raw.get("ssl.key.password") or None)
    except (OSError, ssl.SSLError) as error:
        faults.append(Fault("ssl.truststore.location", f"cannot be read: {error}", raw.get("ssl.truststore.location")))
        return None
    if raw.get("ssl.endpoint.identification.algorithm") == "":
        context.check_hostname = False
    return context
