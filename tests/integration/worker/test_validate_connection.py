"""A PostgreSQL source is connected to before it is made."""

import asyncio
import socket

import psycopg
import pytest

from pycdc.sources.postgres import setup
from pycdc.worker.validation.validate import Worker, checked, errors_text, validate

WORKER = Worker.of({})
BEGIN = "Error while validating connector config: "


def config(server, **changes: str) -> dict[str, str | None]:
    return {
        "name": "one", "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "topic.prefix": "p", "plugin.name": "pgoutput",
        "database.hostname": server.host, "database.port": str(server.port), "database.user": server.user, "database.password": "x",
        "database.dbname": getattr(server, "dbname", "postgres"),
        **{f"database.{key}": value for key, value in changes.items()},
    }  # fmt: skip


async def told(given: dict[str, str | None]) -> dict[str, list[str]]:
    form = await checked(given, WORKER)
    return {e.name: e.errors for e in form.entries if e.errors}


async def test_server_that_answers(postgres_db):
    form = await validate("PostgresConnector", config(postgres_db), WORKER)
    assert form.error_count == 0
    assert errors_text(form) is None


@pytest.mark.parametrize(("changes", "why"), [
    ({"dbname": "nosuchdb"}, 'database "nosuchdb" does not exist'), ({"user": "nobody_here"}, 'role "nobody_here" does not exist'),
    ({"port": "1"}, "refused"), ({"hostname": "no-host.invalid"}, "no-host.invalid"), ({"port": "99999999"}, "database.port must be"),
])  # fmt: skip
async def test_server_that_does_not(postgres_db, changes, why):
    errors = await told(config(postgres_db, **changes))
    assert list(errors) == ["database.hostname"]
    (message,) = errors["database.hostname"]
    assert message.startswith(BEGIN)
    assert why in message
    assert "\n" not in message


async def test_nothing_is_tried_while_a_key_is_wrong(postgres_db):
    errors = await told(config(postgres_db, port="1") | {"slot.name": "No-Slot"})
    assert list(errors) == ["slot.name"]


async def test_wrong_password(private_postgres):
    with psycopg.connect(private_postgres.dsn(), autocommit=True) as conn:
        conn.execute("CREATE ROLE guarded LOGIN REPLICATION PASSWORD 'right'")
        (private_postgres.data / "pg_hba.conf").write_text("local all all trust\nhost all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        conn.execute("SELECT pg_reload_conf()")
    given = config(private_postgres, user="guarded", password="right")
    errors = await told(given | {"database.password": "wrong-secret"})
    assert "password authentication failed" in errors["database.hostname"][0]
    assert "wrong-secret" not in str(errors)
    assert not await told(given)


async def test_server_that_is_silent(monkeypatch):
    monkeypatch.setattr(setup, "_CHECK_LIMIT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        given = {
            "name": "one", "connector.class": "Postgres", "topic.prefix": "p", "database.hostname": "127.0.0.1",
            "database.port": str(silent.getsockname()[1]), "database.user": "u", "database.dbname": "d",
        }  # fmt: skip
        errors = await told(given)
    assert errors == {"database.hostname": [f"{BEGIN}the server has not answered within 0.3 s"]}


async def test_waiting_ends_with_whoever_waits(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        given = {
            "name": "one", "connector.class": "Postgres", "topic.prefix": "p", "database.hostname": "127.0.0.1",
            "database.port": str(silent.getsockname()[1]), "database.user": "u", "database.dbname": "d",
        }  # fmt: skip
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await checked(given, WORKER)
