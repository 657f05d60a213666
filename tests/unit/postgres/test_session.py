"""The connection string, and what must never be seen in it."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from pycdc.errors import ConnectionLost
from pycdc.postgres.session import ConnectionSettings, quote_literal, quote_name, translate


def parsed(settings: ConnectionSettings, *, replication: bool = False) -> dict[str, object]:
    return dict(conninfo_to_dict(settings.conninfo(replication=replication)))


def test_tls_options_are_libpqs() -> None:
    got = parsed(
        ConnectionSettings(
            host="db",
            user="u",
            dbname="d",
            sslmode="verify-full",
            sslcert="/c.pem",
            sslkey="/k.pem",
            sslpassword="p w",
            sslrootcert="/ca.pem",
        )
    )
    assert {k: v for k, v in got.items() if k.startswith("ssl")} == {
        "sslmode": "verify-full",
        "sslcert": "/c.pem",
        "sslkey": "/k.pem",
        "sslpassword": "p w",
        "sslrootcert": "/ca.pem",
    }


@pytest.mark.parametrize(
    ("host", "hosts", "ports", "target"),
    [
        ("db", "db", "5432", None),
        ("a, b:5433", "a,b", "5432,5433", "primary"),
        ("::1", "::1", "5432", None),
        ("[::1]:5499,db", "::1,db", "5499,5432", "primary"),
        ("/var/run/postgresql", "/var/run/postgresql", "5432", None),
    ],
)
def test_hosts_may_be_listed_with_ports(host: str, hosts: str, ports: str, target: str | None) -> None:
    got = parsed(ConnectionSettings(host=host))
    assert (got["host"], got["port"], got.get("target_session_attrs")) == (hosts, ports, target)


def test_snapshot_and_stream_share_the_settings_and_options_win() -> None:
    settings = ConnectionSettings(options={"TimeZone": "Europe/Berlin", "search_path": r"a b\c"})
    sql, stream = parsed(settings), parsed(settings, replication=True)
    assert sql["options"] == stream["options"]
    assert stream["replication"] == "database"
    assert "replication" not in sql
    assert "-c TimeZone=Europe/Berlin" in str(sql["options"])
    assert "TimeZone=UTC" not in str(sql["options"])
    assert r"-c search_path=a\ b\\c" in str(sql["options"])
    assert "-c DateStyle=ISO" in str(sql["options"])


def test_keepalive_can_be_switched_off() -> None:
    assert str(parsed(ConnectionSettings(tcp_keepalive=False))["keepalives"]) == "0"
    assert str(parsed(ConnectionSettings())["keepalives"]) == "1"


def test_awkward_passwords_survive_and_are_never_shown() -> None:
    password = r"it's \ a secret"
    settings = ConnectionSettings(user="u", password=password)
    assert parsed(settings)["password"] == password
    assert "secret" not in repr(settings)
    assert "secret" not in settings.where
    error = translate(psycopg.OperationalError("connection refused"), settings, "cannot connect")
    assert isinstance(error, ConnectionLost)
    assert "secret" not in str(error)


def test_quoting() -> None:
    assert quote_name('a"b') == '"a""b"'
    assert quote_literal(r"it's \n") == r"'it''s \n'"
