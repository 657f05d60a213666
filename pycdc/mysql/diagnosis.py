"""What a refusal by MySQL or MariaDB means: its number -> a PycdcError with the command that mends it.

Source: MySQL Error Message Reference; MariaDB's list of error codes, which shares these numbers.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from pycdc.errors import ConnectionLost, PycdcError, ServerError

#: The connection is gone, was never made, or the server goes down.
_LOST: Final = frozenset((0, 1053, 1077, 1079, 1080, 1152, 1158, 1159, 1160, 1161, 1927, 2002, 2003, 2006, 2013, 2014, 2055, 4031))
#: Others were in the way: too many connections, a lock, a deadlock, a table that was altered behind the snapshot, a limit of time.
_PASSING: Final = frozenset((1040, 1203, 1205, 1213, 1226, 1317, 1412, 1615, 1637, 1969, 3024))
_DENIED: Final = frozenset((1044, 1045, 1698, 1820, 1862))
_NO_RIGHT: Final = frozenset((1142, 1143, 1227, 1370))
_NO_TABLE: Final = frozenset((1051, 1146))


class NoTable(ServerError):
    """The table is not there."""


class NoRight(ServerError):
    """A privilege is missing."""


def number_of(error: Exception) -> int:
    """0: it has none."""
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def _denied(number: int, user: str) -> str:
    if number == 1044:
        return f"GRANT SELECT ON database.* TO '{user}'@'%'; SHOW GRANTS FOR '{user}'@'%' shows what there is"
    return f"look at connection.user and connection.password; ALTER USER '{user}'@'%' IDENTIFIED BY '...' sets another"


def translate(error: Exception, what: str, *, where: str, user: str) -> PycdcError:
    """The PycdcError that says what `error` means and how it is mended."""
    number = number_of(error)
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    cause = " ".join(text.split())[:500] or type(error).__name__

    def is_in(numbers: Collection[int]) -> bool:
        return number in numbers

    if is_in(_DENIED):
        return ServerError(what, where=where, cause=cause, hint=_denied(number, user))
    if number == 1049:
        return ServerError(what, where=where, cause=cause, hint="name a database of SHOW DATABASES in connection.url")
    if is_in(_NO_RIGHT):
        return NoRight(what, where=where, cause=cause, hint=f"GRANT SELECT ON database.* TO '{user}'@'%'; SHOW GRANTS FOR '{user}'@'%' shows what there is")
    if is_in(_NO_TABLE):
        return NoTable(what, where=where, cause=cause)
    if number == 1060:
        return ServerError(what, where=where, cause=cause, hint="give the columns of the query names of their own: SELECT a.id AS a_id, ...")
    if "cryptography" in cause:
        return ServerError(
            what, where=where, cause=cause, hint="use TLS (sslMode=PREFERRED), or pip install 'pymysql[rsa]', which encrypts the password where there is none"
        )
    if number == 2026 or "CERTIFICATE_VERIFY_FAILED" in cause or "SSL" in cause:
        return ServerError(what, where=where, cause=cause, hint="look at sslMode and serverSslCert (a PEM file of the authority) in connection.url")
    if is_in(_LOST):
        return ConnectionLost(what, where=where, cause=cause)
    return ServerError(what, where=where, cause=cause, retriable=is_in(_PASSING) or None)
