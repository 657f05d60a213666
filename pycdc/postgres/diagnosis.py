"""What a refusal by PostgreSQL or libpq means: SQLSTATE and text -> a PycdcError with the command that mends it.

A table of rules, the first match wins. The SQLSTATE decides wherever there is one (PostgreSQL docs, "Error
Codes"); text is needed for failures before the session stands, which come without, and to tell apart what
shares a code. Plain calls: no connection here.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from pycdc.errors import ConnectionLost, PycdcError, ServerError, SlotBusy, SlotError, SlotLost, SnapshotError


class _Rule(msgspec.Struct, frozen=True):
    """A failure, its error class and what mends it.

    Matches when the SQLSTATE is one of `states` and `text` is found; a failure without SQLSTATE (libpq's
    own, and all of those before the session stands) matches by `text` alone.

    `hint` may name {user}, {dbname} and the named groups of `text`.
    """

    error: type[PycdcError]
    hint: str
    states: tuple[str, ...] = ()
    text: str = ""
    retriable: bool | None = None

    def match(self, state: str | None, text: str) -> re.Match[str] | None:
        if state is None and not self.text:
            return None
        if state is not None and self.states and state not in self.states:
            return None
        return re.search(self.text, text, re.DOTALL)


_RULES: Final = (
    # ---- who and where
    _Rule(
        ServerError,
        "check database.user and database.password; to set it: ALTER ROLE \"{user}\" PASSWORD '...'",
        ("28P01",),
        "password authentication failed|no password supplied",
    ),
    _Rule(
        ServerError,
        "CREATE ROLE \"{name}\" LOGIN REPLICATION PASSWORD '...'",
        ("28000", "42704"),
        '^(?!.*replication slot).*role "(?P<name>[^"]+)" does not exist',
    ),
    _Rule(ServerError, 'ALTER ROLE "{user}" LOGIN', ("28000",), "not permitted to log in"),
    _Rule(
        ServerError,
        "add to pg_hba.conf: host {dbname} {user} <address of pycdc>/32 scram-sha-256 (hostssl with TLS); "
        "then: SELECT pg_reload_conf()",
        ("28000",),
        r"pg_hba\.conf",
    ),
    _Rule(ServerError, "check database.user, database.password and pg_hba.conf", ("28000", "28P01")),
    _Rule(
        ServerError,
        'CREATE DATABASE "{name}", or check database.dbname',
        ("3D000",),
        'database "(?P<name>[^"]+)" does not exist',
    ),
    _Rule(
        ServerError,
        'ALTER ROLE "{user}" WITH REPLICATION (on Amazon RDS: GRANT rds_replication TO "{user}")',
        ("42501",),
        "replication role|REPLICATION attribute|replication slots|WAL sender",
    ),
    # ---- privileges
    _Rule(
        ServerError,
        'rows are hidden from "{user}" by a policy on table {name}; so that the copy is whole: ALTER ROLE "{user}" BYPASSRLS',
        ("42501",),
        'row-level security policy for table "(?P<name>[^"]+)"',
    ),
    _Rule(
        ServerError,
        "as a superuser: CREATE PUBLICATION ... FOR ALL TABLES; or set publication.autocreate.mode=filtered",
        ("42501",),
        "FOR ALL TABLES|FOR TABLES IN SCHEMA",
    ),
    _Rule(
        ServerError,
        'GRANT SELECT ON TABLE "{name}" TO "{user}"',
        ("42501",),
        'permission denied for (?:table|view|relation) "?(?P<name>[^"\n]+?)"?(?:\n|$)',
    ),
    _Rule(
        ServerError,
        'GRANT USAGE ON SCHEMA "{name}" TO "{user}"',
        ("42501",),
        'permission denied for schema "?(?P<name>[^"\n]+?)"?(?:\n|$)',
    ),
    _Rule(
        ServerError,
        'GRANT CREATE ON DATABASE "{name}" TO "{user}"',
        ("42501",),
        'permission denied for database "?(?P<name>[^"\n]+?)"?(?:\n|$)',
    ),
    _Rule(
        ServerError,
        'ALTER TABLE "{name}" OWNER TO a role that "{user}" belongs to; or let the owner create the publication '
        "and set publication.autocreate.mode=disabled",
        ("42501",),
        'must be owner of (?:table|relation) "?(?P<name>[^"\n]+?)"?(?:\n|$)',
    ),
    _Rule(
        ServerError,
        'ALTER PUBLICATION "{name}" OWNER TO "{user}"',
        ("42501",),
        'must be owner of publication "?(?P<name>[^"\n]+?)"?(?:\n|$)',
    ),
    _Rule(ServerError, 'grant "{user}" what the cause names', ("42501",)),
    # ---- the server's configuration
    _Rule(
        ServerError,
        "ALTER SYSTEM SET wal_level = logical; then restart PostgreSQL (on Amazon RDS: rds.logical_replication = 1)",
        ("55000",),
        "wal_level",
    ),
    _Rule(
        SlotError,
        "drop a slot that no one uses (SELECT slot_name FROM pg_replication_slots WHERE NOT active; "
        "SELECT pg_drop_replication_slot('...')), or ALTER SYSTEM SET max_replication_slots = 20 and restart PostgreSQL",
        ("53400", "55000"),
        "max_replication_slots|replication slots are in use",
    ),
    _Rule(
        ServerError,
        "ALTER SYSTEM SET max_wal_senders = 20; then restart PostgreSQL",
        ("53300",),
        "max_wal_senders",
        retriable=True,
    ),
    _Rule(
        ServerError,
        "close other connections or raise max_connections",
        ("53300",),
        "too many (?:clients|connections)|connection slots are reserved",
        retriable=True,
    ),
    # ---- slots
    _Rule(
        SlotBusy,
        "stop the other reader, or: SELECT pg_terminate_backend({pid})",
        ("55006",),
        r'replication slot "(?P<slot>[^"]+)" is active for PID (?P<pid>\d+)',
    ),
    _Rule(SlotBusy, "stop the other reader of the slot", ("55006",)),
    _Rule(
        SlotError,
        "set slot.name to a slot of this database, or a new name",
        ("55000",),
        r"was not created in this database|created in (?:another|a different) database",
    ),
    _Rule(
        SlotLost,
        "changes since the last confirmed position are gone: SELECT pg_drop_replication_slot('...'), then a new "
        "snapshot (snapshot.mode=when_needed does both); raise max_slot_wal_keep_size",
        ("55000", "58P01", "XX000"),
        r"invalidated|can no longer|cannot read from|exceeded the maximum reserved size|has already been removed",
    ),
    _Rule(
        SlotLost,
        "the slot was dropped and the changes since are gone: a new snapshot is needed (snapshot.mode=when_needed)",
        ("42704",),
        r'replication slot "(?P<slot>[^"]+)" does not exist',
    ),
    _Rule(
        SlotError,
        "use the slot as it is, or set another slot.name",
        ("42710",),
        r'replication slot "[^"]+" already exists',
    ),
    _Rule(
        SlotError,
        "slot.name takes only lower case letters, digits and underscores, at most 63",
        ("42602", "42622"),
        "replication slot name",
    ),
    _Rule(
        ServerError,
        'CREATE PUBLICATION "{name}" FOR TABLE ...; changes decoded before its creation cannot be had',
        ("42704",),
        r'publication "(?P<name>[^"]+)" does not exist',
    ),
    _Rule(
        SnapshotError,
        "the exported snapshot has ended with the connection that made it: start the snapshot again",
        ("22023", "42704", "55000"),
        r"snapshot identifier|snapshot \"[^\"]+\" does not exist|could not import the requested snapshot",
        retriable=True,
    ),
    # ---- TLS
    _Rule(ServerError, "set database.sslmode=prefer, or enable ssl on the server", (), "does not support SSL"),
    _Rule(
        ServerError,
        "database.sslrootcert must be the PEM file of the authority that signed the server's certificate, and with "
        "verify-full the certificate must bear the host's name",
        (),
        r"certificate verify failed|root certificate file|does not match host name|certificate authority|unable to get local issuer",
    ),
    _Rule(
        ServerError,
        "check database.sslcert, database.sslkey (PEM, chmod 600) and database.sslpassword",
        (),
        r"private key file|certificate file|could not load (?:client )?certificate|sslpassword|bad decrypt",
    ),
    _Rule(
        ServerError,
        "database.sslmode is one of disable, allow, prefer, require, verify-ca, verify-full",
        (),
        "invalid sslmode",
    ),
    # ---- not there, or not yet
    _Rule(
        ConnectionLost,
        "check database.hostname and the name server",
        (),
        "could not translate host name|failed to resolve host|Name or service not known",
    ),
    _Rule(
        ConnectionLost,
        "is PostgreSQL running, and does listen_addresses hold that address? check: pg_isready -h HOST -p PORT",
        (),
        "Connection refused|timeout expired|connection timeout|No route to host|Network is unreachable|No such file or directory",
    ),
    _Rule(
        ConnectionLost,
        "name the primary in database.hostname",
        (),
        "session is read-only|server is in hot standby mode|server is not in hot standby mode|is not accepting",
    ),
)

#: What passes by itself: class 08, resources, an operator's or a crash's shutdown, start-up, serialization.
_PASSING: Final = re.compile("08...|53...|57P0.|58030|40...")


def diagnose(
    state: str | None, text: str, what: str, *, where: str = "", user: str = "...", dbname: str = "..."
) -> PycdcError:
    """The error to raise for a failure with this SQLSTATE (None = unknown) and this text.

    Without an SQLSTATE and without a known text it is a lost connection, which is retried: libpq gives no
    code for a failure of the network. A server in another language is understood by SQLSTATE alone.
    """
    text = text.strip()
    cause = f"{text} (SQLSTATE {state})" if state else text
    for rule in _RULES:
        found = rule.match(state, text)
        if found is not None:
            names = {k: v for k, v in found.groupdict().items() if v is not None}
            hint = rule.hint.format(**{"user": user, "dbname": dbname, **names})
            return rule.error(what, where=where, cause=cause, hint=hint, retriable=rule.retriable)
    if state is None or _PASSING.fullmatch(state):
        return ConnectionLost(what, where=where, cause=cause)
    return ServerError(what, where=where, cause=cause)
