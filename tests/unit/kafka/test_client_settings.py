from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from pycdc.errors import ConfigError
from pycdc.kafka.settings import admin_settings, consumer_settings, producer_settings

BASE = {"bootstrap.servers": "a:9092"}


def faults(raw: dict[str, str]) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        producer_settings({**BASE, **raw})
    assert caught.value.exit_code == 2
    return {f.key: f.message for f in caught.value.faults}


def test_the_names_of_kafkas_clients_are_mapped() -> None:
    mapped, ignored = producer_settings({
        "bootstrap.servers": " a:9092, PLAINTEXT://b:9093 ,", "client.id": "c", "compression.type": "ZSTD", "linger.ms": "20",
        "batch.size": "65536", "max.request.size": "2000000", "request.timeout.ms": "1000", "delivery.timeout.ms": "30000",
    })  # fmt: skip
    assert mapped == {
        "bootstrap_servers": ["a:9092", "b:9093"], "client_id": "c", "compression_type": "zstd", "linger": 0.02,
        "max_batch_size": 65536, "max_request_size": 2000000, "request_timeout_ms": 1000, "delivery_limit": 30.0,
    }  # fmt: skip
    assert ignored == []


def test_consumer_and_admin_take_their_own() -> None:
    mapped, ignored = consumer_settings({**BASE, "auto.offset.reset": "earliest", "isolation.level": "read_committed",
                                         "fetch.max.bytes": "100", "linger.ms": "5"})  # fmt: skip
    assert mapped["auto_offset_reset"] == "earliest"
    assert mapped["isolation_level"] == "read_committed"
    assert mapped["fetch_max_bytes"] == 100
    assert ignored == ["linger.ms"]
    assert admin_settings({**BASE, "retry.backoff.ms": "7"})[0]["retry_backoff_ms"] == 7


def test_compression_none_is_no_codec() -> None:
    assert producer_settings({**BASE, "compression.type": "none"})[0]["compression_type"] is None


def test_unknown_names_and_values_that_pycdc_overrules_are_told() -> None:
    raw = {"interceptor.classes": "x", "acks": "1", "enable.idempotence": "false", "ssl.cipher.suites": "y", "retries": "3"}
    assert producer_settings({**BASE, **raw})[1] == ["interceptor.classes", "acks", "enable.idempotence", "ssl.cipher.suites"]
    assert producer_settings({**BASE, "acks": "all", "enable.idempotence": "true"})[1] == []


def test_every_wrong_value_is_told_at_once() -> None:
    told = faults({"bootstrap.servers": "nohost", "linger.ms": "soon", "compression.type": "brotli", "security.protocol": "TLS"})
    assert told["bootstrap.servers"] == "must be host:port, several separated by commas"
    assert "whole number" in told["linger.ms"]
    assert "none, gzip, snappy, lz4, zstd" in told["compression.type"]
    assert "SASL_SSL" in told["security.protocol"]


@pytest.mark.parametrize(
    ("jaas", "user", "secret"),
    [
        ('o.a.k.ScramLoginModule required username="al\\"ice" password="p;w\\\\d";', 'al"ice', "p;w\\d"),
        ("o.a.k.PlainLoginModule required username='bob' password='x y';", "bob", "x y"),
        ("o.a.k.PlainLoginModule required password=abc username=carl;", "carl", "abc"),
    ],
)
def test_logins_are_read_from_jaas(jaas: str, user: str, secret: str) -> None:
    raw = {**BASE, "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512", "sasl.jaas.config": jaas}
    mapped, ignored = producer_settings(raw)
    assert (mapped["sasl_plain_username"], mapped["sasl_plain_password"]) == (user, secret)
    assert mapped["sasl_mechanism"] == "SCRAM-SHA-512"
    assert ignored == []


def test_a_login_without_password_is_a_fault_that_shows_no_secret() -> None:
    jaas = 'o.a.k.PlainLoginModule required user="bob" password="geheim";'
    with pytest.raises(ConfigError) as caught:
        producer_settings({**BASE, "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.jaas.config": jaas})
    assert "sasl.jaas.config" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_ways_to_log_in_that_are_not_there_are_refused() -> None:
    assert "not available" in faults({"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER"})["sasl.mechanism"]


@pytest.mark.parametrize(
    "raw",
    [
        {"ssl.truststore.location": "/etc/kafka/trust.jks"},
        {"ssl.truststore.location": "/etc/kafka/trust", "ssl.truststore.type": "JKS"},
        {"ssl.keystore.location": "/etc/kafka/key.p12"},
    ],
)
def test_javas_key_stores_are_refused_with_the_conversion(raw: dict[str, str]) -> None:
    [message] = faults({"security.protocol": "SSL", **raw}).values()
    assert "keytool -importkeystore" in message
    assert "openssl pkcs12" in message


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / "both.pem").write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    return folder


def test_pem_files_make_a_context_that_verifies(pem: Path) -> None:
    raw = {"security.protocol": "SSL", "ssl.truststore.location": str(pem / "cert.pem"), "ssl.keystore.location": str(pem / "both.pem")}
    context = producer_settings({**BASE, **raw})[0]["ssl_context"]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert any("commonName" in str(c["subject"]) for c in context.get_ca_certs())


def test_an_empty_endpoint_algorithm_skips_the_hosts_name_only(pem: Path) -> None:
    raw = {"security.protocol": "ssl", "ssl.truststore.certificates": (pem / "cert.pem").read_text(), "ssl.endpoint.identification.algorithm": ""}
    context = producer_settings({**BASE, **raw})[0]["ssl_context"]
    assert not context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_a_file_that_is_no_pem_is_named(tmp_path: Path) -> None:
    (tmp_path / "junk").write_text("junk")
    told = faults({"security.protocol": "SSL", "ssl.truststore.location": str(tmp_path / "junk"), "ssl.keystore.location": str(tmp_path / "gone")})
    assert set(told) == {"ssl.truststore.location", "ssl.keystore.location"}
    assert "PEM" in told["ssl.truststore.location"]
