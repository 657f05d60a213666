"""A database with a connection, and whoever polls it."""

import contextlib
import sys
from pathlib import Path

import psycopg
import pymysql
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from polls_of_tables import MySqlPolls, Polls

from pycdc.testing.plugin import MySqlDatabase


@pytest.fixture
def sql(postgres_db):
    with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
        yield conn


@pytest.fixture
def another(postgres_db):
    """A second session, in whose transaction rows are late."""
    with psycopg.connect(postgres_db.dsn) as conn:
        yield conn


@pytest.fixture
def polls(postgres_db, names):
    return lambda **config: Polls(postgres_db, names, **config)


class MySql:
    """A connection in autocommit: statements in, rows out."""

    def __init__(self, db, **login):
        self.connection = pymysql.connect(host=db.host, port=db.port, database=db.dbname, **{"user": db.user, "autocommit": True, **login})

    def execute(self, statements):
        """Several are separated by `; `. Gives the rows of the last."""
        with self.connection.cursor() as cursor:
            for statement in statements.split("; "):
                cursor.execute(statement)
            return cursor.fetchall()

    def commit(self):
        self.connection.commit()

    def close(self):
        with contextlib.suppress(pymysql.err.Error):
            self.connection.close()


@pytest.fixture
def mysql(mysql_db):
    with contextlib.closing(MySql(mysql_db)) as made:
        yield made


@pytest.fixture
def another_mysql(mysql_db):
    """A second session, in whose transaction rows are late."""
    with contextlib.closing(MySql(mysql_db, autocommit=False)) as made:
        yield made


@pytest.fixture
def mysql_polls(mysql_db, names):
    return lambda **config: MySqlPolls(mysql_db, names, **config)


@pytest.fixture
def mysql_session():
    """`with mysql_session(server, dbname) as sql`; its `polls` are those of such a server."""

    @contextlib.contextmanager
    def opened(server, dbname):
        with contextlib.closing(MySql(MySqlDatabase(server.host, server.port, server.user, dbname))) as made:
            yield made

    opened.polls = lambda server, dbname, names, **config: MySqlPolls(MySqlDatabase(server.host, server.port, server.user, dbname), names, **config)
    return opened


@pytest.fixture
def mysql_user(mysql, names):
    """A user with a password and what it is granted, as a configuration has it."""
    name = f"u{names.base[-6:]}"
    made = []

    def make(*grants):
        mysql.execute(f"CREATE USER '{name}'@'%' IDENTIFIED BY 's3cret'")
        made.append(name)
        for grant in grants:
            mysql.execute(f"{grant} TO '{name}'@'%'")
        return {"connection.user": name, "connection.password": "s3cret"}

    yield make
    for user in made:
        mysql.execute(f"DROP USER '{user}'@'%'")
