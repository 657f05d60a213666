"""Connections of the MySQL source: TLS with certificates, several hosts, servers that say nothing, and a stop meanwhile."""

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from polls_of_tables import has

sys.path.insert(0, str(Path(__file__).parents[1] / "scenarios"))
from processes import Process, write

from pycdc.errors import ConnectionLost, PycdcError
from pycdc.mysql.session import ConnectionSettings, Session
from pycdc.servers.mariadb import MariaDb


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates():
    """An authority, and a certificate of it for the name `localhost`."""
    folder = Path(tempfile.mkdtemp(prefix="pycdc-tls-"))
    folder.chmod(0o755)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj", "/CN=authority", "-keyout", folder / "ca.key", "-out", folder / "ca.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", folder / "server.key", "-out", folder / "server.csr")
    (folder / "names").write_text("subjectAltName=DNS:localhost")
    openssl(
        "x509", "-req", "-in", folder / "server.csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", 2,
        "-extfile", folder / "names", "-out", folder / "server.pem",
    )  # fmt: skip
    for file in folder.iterdir():
        file.chmod(0o644)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def tls_server(certificates):
    server = MariaDb(certificates / "db", settings={"ssl-cert": str(certificates / "server.pem"), "ssl-key": str(certificates / "server.key"), "ssl-ca": str(certificates / "ca.pem")})
    server.start()
    yield server
    server.remove()


@pytest.fixture
def over_tls(tls_server, mysql_session, names):
    """Polls of it, whose user may come over TLS only."""
    with mysql_session(tls_server, "mysql") as sql:
        sql.execute("CREATE OR REPLACE DATABASE d; CREATE TABLE d.t (id serial); INSERT INTO d.t VALUES (); CREATE OR REPLACE USER 'tls'@'%' REQUIRE SSL")
        sql.execute("GRANT SELECT ON d.* TO 'tls'@'%'")

    def polls(parameters, host="localhost"):
        p = mysql_session.polls(tls_server, "d", names, **{"connection.user": "tls"})
        p.config["connection.url"] = f"jdbc:mysql://{host}:{tls_server.port}/d?{parameters}"
        return p

    return polls


@pytest.mark.parametrize("parameters", ["", "sslMode=REQUIRED", "useSSL=true&requireSSL=true", "sslMode=VERIFY_CA&serverSslCert={ca}", "sslMode=VERIFY_IDENTITY&trustCertificateKeyStoreUrl=file:{ca}"])
async def test_tls(parameters, over_tls, certificates):
    await over_tls(parameters.format(ca=certificates / "ca.pem")).until(has(1))


async def test_the_name_is_looked_at_where_that_is_asked_for(over_tls, certificates):
    await over_tls(f"sslMode=VERIFY_CA&serverSslCert={certificates / 'ca.pem'}", host="127.0.0.1").until(has(1))
    with pytest.raises(PycdcError, match="cannot connect to MySQL") as caught:
        await over_tls(f"sslMode=VERIFY_IDENTITY&serverSslCert={certificates / 'ca.pem'}", host="127.0.0.1").until(lambda _: False)
    assert "127.0.0.1" in caught.value.cause


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ("sslMode=DISABLED", "ALTER USER 'tls'@'%'"),
        ("sslMode=VERIFY_CA", "serverSslCert (a PEM file of the authority)"),
        ("sslMode=VERIFY_CA&serverSslCert=/nowhere/ca.pem", "the TLS files of connection.url cannot be read"),
    ],
)
async def test_what_tls_refuses_is_told(parameters, words, over_tls):
    with pytest.raises(PycdcError) as caught:
        await over_tls(parameters).until(lambda _: False)
    assert words in str(caught.value)


async def test_hosts_are_tried_in_order(mysql, mysql_polls, mysql_db):
    mysql.execute("CREATE TABLE t (id serial); INSERT INTO t VALUES ()")
    p = mysql_polls(**{"connection.url": f"jdbc:mysql://127.0.0.1:1,{mysql_db.host}:{mysql_db.port}/{mysql_db.dbname}"})
    await p.until(has(1))


@pytest.fixture
def silent():
    """A server that takes connections and says nothing."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(30)
        yield server


async def test_a_machine_that_is_gone_is_noticed(mysql_db):
    session = await Session.connect(ConnectionSettings(host=mysql_db.host, port=mysql_db.port, user=mysql_db.user))
    try:
        option = session._connection._sock.getsockopt
        idle, between, questions = (option(socket.IPPROTO_TCP, getattr(socket, n)) for n in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"))
        assert option(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert idle + between * questions <= 60
    finally:
        await session.close()


async def test_a_server_that_says_nothing_is_given_up(silent):
    with pytest.raises(ConnectionLost, match="cannot connect to MySQL") as caught:
        await Session.connect(ConnectionSettings(host="127.0.0.1", port=silent.getsockname()[1], connect_timeout=1))
    assert "says nothing, for 2 s" in caught.value.cause


def test_a_stop_does_not_wait_for_it(silent, kafka, tmp_path):
    file = write(tmp_path / "source.json", {
        "name": "silent", "connector.class": "jdbc-source", "mode": "bulk", "topic.prefix": "p", "bootstrap.servers": kafka,
        "connection.url": f"jdbc:mysql://127.0.0.1:{silent.getsockname()[1]}/d?connectTimeout=60000",
    })  # fmt: skip
    process = Process(["source", "--config", file, "--offsets-file", str(tmp_path / "offsets")], tmp_path / "log")
    process.start()
    with contextlib.closing(silent.accept()[0]):
        began = time.monotonic()
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(20) == 0, process.log.read_text()
    assert time.monotonic() - began < 10
