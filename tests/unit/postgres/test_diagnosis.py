"""Refusals as PostgreSQL 12 to 18 and libpq word them: class, whether to retry, and what mends it."""

from __future__ import annotations

import pytest

from pycdc.errors import ConnectionLost, PycdcError, ServerError, SlotBusy, SlotError, SlotLost, SnapshotError
from pycdc.postgres.diagnosis import diagnose

CASES: list[tuple[str | None, str, type[PycdcError], bool, str]] = [
    (
        None,
        'connection failed: FATAL:  password authentication failed for user "app"',
        ServerError,
        False,
        'ALTER ROLE "app" PASSWORD',
    ),
    (None, "fe_sendauth: no password supplied", ServerError, False, "database.password"),
    ("28P01", "Passwort-Authentifizierung für Benutzer »app« fehlgeschlagen", ServerError, False, "database.password"),
    (None, 'FATAL:  role "app" does not exist', ServerError, False, 'CREATE ROLE "app" LOGIN REPLICATION'),
    (None, 'FATAL:  role "app" is not permitted to log in', ServerError, False, 'ALTER ROLE "app" LOGIN'),
    (
        None,
        'FATAL:  no pg_hba.conf entry for replication connection from host "10.1.2.3", user "app", no encryption',
        ServerError,
        False,
        "pg_hba.conf: host shop app",
    ),
    (None, 'FATAL:  database "nope" does not exist', ServerError, False, 'CREATE DATABASE "nope"'),
    (
        None,
        "FATAL:  must be superuser or replication role to start walsender",
        ServerError,
        False,
        'ALTER ROLE "app" WITH REPLICATION',
    ),
    (
        "42501",
        "permission denied to start WAL sender\nOnly roles with the REPLICATION attribute may start a WAL sender process.",
        ServerError,
        False,
        "WITH REPLICATION",
    ),
    ("42501", "permission denied for table orders", ServerError, False, 'GRANT SELECT ON TABLE "orders" TO "app"'),
    ("42501", 'permission denied for schema "Sales dept"', ServerError, False, 'GRANT USAGE ON SCHEMA "Sales dept"'),
    ("42501", "permission denied for database shop", ServerError, False, 'GRANT CREATE ON DATABASE "shop"'),
    ("42501", "must be owner of table orders", ServerError, False, 'ALTER TABLE "orders" OWNER'),
    ("42501", "must be superuser to create FOR ALL TABLES publication", ServerError, False, "autocreate.mode=filtered"),
    (
        "42501",
        'query would be affected by row-level security policy for table "orders"',
        ServerError,
        False,
        "BYPASSRLS",
    ),
    ("42501", "irgendetwas", ServerError, False, "what the cause names"),
    (
        "55000",
        "logical decoding requires wal_level >= logical",
        ServerError,
        False,
        "ALTER SYSTEM SET wal_level = logical",
    ),
    (
        "55000",
        "replication slots can only be used if max_replication_slots > 0",
        SlotError,
        False,
        "max_replication_slots = 20",
    ),
    ("53400", "all replication slots are in use", SlotError, False, "max_replication_slots"),
    (
        "53300",
        "number of requested standby connections exceeds max_wal_senders (currently 10)",
        ServerError,
        True,
        "max_wal_senders = 20",
    ),
    (None, "FATAL:  sorry, too many clients already", ServerError, True, "max_connections"),
    ("55006", 'replication slot "s" is active for PID 4711', SlotBusy, True, "pg_terminate_backend(4711)"),
    ("55006", "Replikations-Slot ist aktiv", SlotBusy, True, "stop the other reader"),
    ("55000", 'replication slot "s" was not created in this database', SlotError, False, "slot.name"),
    (
        "55000",
        'cannot read from logical replication slot "s"\nThis slot has been invalidated because it exceeded the maximum reserved size.',
        SlotLost,
        False,
        "new snapshot",
    ),
    ("55000", 'can no longer access replication slot "s"', SlotLost, False, "max_slot_wal_keep_size"),
    (
        "58P01",
        "requested WAL segment 000000010000000000000001 has already been removed",
        SlotLost,
        False,
        "new snapshot",
    ),
    ("42704", 'replication slot "s" does not exist', SlotLost, False, "snapshot.mode=when_needed"),
    ("42710", 'replication slot "s" already exists', SlotError, False, "slot.name"),
    ("42704", 'publication "p" does not exist', ServerError, False, 'CREATE PUBLICATION "p"'),
    ("22023", 'invalid snapshot identifier: "x"', SnapshotError, True, "start the snapshot again"),
    ("42704", 'snapshot "00000003-00000002-1" does not exist', SnapshotError, True, "start the snapshot again"),
    (None, "server does not support SSL, but SSL was required", ServerError, False, "sslmode"),
    (None, "SSL error: certificate verify failed", ServerError, False, "sslrootcert"),
    (None, 'root certificate file "/x" does not exist', ServerError, False, "sslrootcert"),
    (None, 'private key file "/k" has group or world access', ServerError, False, "chmod 600"),
    (
        None,
        "failed to resolve host 'db': [Errno -2] Name or service not known",
        ConnectionLost,
        True,
        "database.hostname",
    ),
    (
        None,
        'connection to server at "10.0.0.1", port 5432 failed: Connection refused',
        ConnectionLost,
        True,
        "pg_isready",
    ),
    ("57P01", "terminating connection due to administrator command", ConnectionLost, True, ""),
    ("57P03", "the database system is starting up", ConnectionLost, True, ""),
    ("08006", "connection failure", ConnectionLost, True, ""),
    ("53100", "could not extend file: No space left on device", ConnectionLost, True, ""),
    (None, "le serveur a fermé la connexion de façon inattendue", ConnectionLost, True, ""),
    ("42P01", 'relation "x" does not exist', ServerError, False, ""),
    ("XX000", "cache lookup failed", ServerError, False, ""),
]


@pytest.mark.parametrize(
    ("state", "message", "kind", "retriable", "hint"), CASES, ids=[f"{c[0]} {c[1][:40]}" for c in CASES]
)
def test_each_refusal_has_its_class_and_its_remedy(
    state: str | None, message: str, kind: type[PycdcError], retriable: bool, hint: str
) -> None:
    error = diagnose(state, message, "cannot do it", where="app@db:5432/shop", user="app", dbname="shop")
    assert type(error) is kind
    assert error.retriable is retriable
    assert hint in error.hint
    assert message in error.cause
    assert "[app@db:5432/shop]" in str(error)


def test_class_28_is_never_retried() -> None:
    assert not diagnose("28000", "unbekannt", "x").retriable
    assert not diagnose("28P01", "unbekannt", "x").retriable


def test_braces_in_a_name_do_not_break_the_hint() -> None:
    assert "{odd}" in diagnose("42704", 'publication "{odd}" does not exist', "x").hint
