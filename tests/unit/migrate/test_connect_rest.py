"""The REST client against a server that answers as Connect does when something is wrong."""

import asyncio
import json
import ssl
import subprocess
import time
from base64 import b64decode
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from pycdc.errors import ConfigError, ConnectionLost, ProtocolError, ServerError
from pycdc.migrate import rest
from pycdc.migrate.endpoint import Endpoint, endpoint
from pycdc.migrate.rest import ConnectRest, RestRefused
from pycdc.worker.requests import PartitionOffset

REBALANCE = (409, {"error_code": 409, "message": "Cannot complete request because of a conflicting operation (e.g. worker rebalance)"})
EXPECTED = (500, {"error_code": 500, "message": "Request cannot be completed because a rebalance is expected"})
STARTING = (404, {"message": "Not Found", "url": "/connectors", "status": "404"})
NOT_THERE = (404, {"error_code": 404, "message": "Connector n not found"})
INFO = {"name": "n", "config": {"name": "n", "topics": "a"}, "tasks": [], "type": "sink"}


class Answers:
    """Gives these answers one after another, the last one for ever, and keeps what it was asked."""

    def __init__(self, *answers):
        self.answers, self.asked, self.headers = list(answers), [], []

    async def answer(self, request):
        self.asked.append((request.method, request.path_qs, await request.text()))
        self.headers.append(request.headers)
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=status, text="" if body is None else text, content_type="application/json")


@asynccontextmanager
async def served(*answers, patience=5.0, **who):
    """The client and what answers it."""
    answering = Answers(*answers)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answering.answer)
    async with TestServer(app) as server:
        async with ConnectRest(Endpoint(str(server.make_url("/")).rstrip("/"), **who), patience=patience) as client:
            yield client, answering


@pytest.mark.parametrize("passing", [REBALANCE, EXPECTED, STARTING, (503, {"error_code": 503, "message": "starting"})])
async def test_what_passes_is_asked_again(passing):
    async with served(passing, passing, (204, None)) as (client, answering):
        await client.stop("n")
    assert answering.asked == [("PUT", "/connectors/n/stop", "")] * 3
    assert all("Content-Type" not in h for h in answering.headers), "Connect answers 415 to it"


async def test_a_rebalance_that_does_not_end_is_told_at_the_limit():
    began = time.monotonic()
    async with served(REBALANCE, patience=1.0) as (client, answering):
        with pytest.raises(RestRefused, match="refused") as error:
            await client.stop("n")
    assert time.monotonic() - began < 5
    assert len(answering.asked) > 2
    assert (error.value.status, error.value.cause) == (409, REBALANCE[1]["message"])


async def test_a_connector_that_exists_is_no_rebalance():
    exists = (409, {"error_code": 409, "message": "Connector n already exists"})
    async with served(exists, (200, INFO), NOT_THERE) as (client, answering):
        with pytest.raises(RestRefused) as error:
            await client.create("n", {"topics": "a"})
    assert error.value.status == 409
    assert [method for method, _, _ in answering.asked] == ["POST", "GET", "GET"]
    assert json.loads(answering.asked[0][2]) == {"name": "n", "config": {"topics": "a"}, "initial_state": "STOPPED"}


async def test_a_rebalance_at_creation_is_waited_for():
    async with served(REBALANCE, NOT_THERE, (201, INFO)) as (client, answering):
        await client.create("n", {"topics": "a"})
    assert [method for method, _, _ in answering.asked] == ["POST", "GET", "POST"]


async def test_what_is_refused_is_told_at_once_without_the_configuration():
    bad = (400, {"error_code": 400, "message": "Connector configuration is invalid and contains the following 1 error(s):\nno"})
    async with served(bad) as (client, answering):
        with pytest.raises(RestRefused) as error:
            await client.create("n", {"database.password": "s3cret-word"})
    assert len(answering.asked) == 1
    assert "contains the following 1 error" in error.value.cause
    assert "POST" in error.value.where
    assert "s3cret-word" not in str(error.value)


@pytest.mark.parametrize("status", [401, 403])
async def test_credentials_that_are_missing(status):
    async with served((status, "no")) as (client, _):
        with pytest.raises(RestRefused) as error:
            await client.about()
    assert "--user NAME:PASSWORD or --bearer TOKEN" in error.value.hint
    async with served((status, ""), option="--to") as (client, _):
        with pytest.raises(RestRefused, match="refused") as error:
            await client.about()
    assert "--to-user NAME:PASSWORD" in error.value.hint


async def test_credentials_are_sent():
    about = (200, {"version": "4.1.1", "commit": "x", "kafka_cluster_id": "y"})
    async with served(about, user="me:s3cret:word") as (client, answering):
        assert (await client.about()).version == "4.1.1"
    assert b64decode(answering.headers[0]["Authorization"].removeprefix("Basic ")) == b"me:s3cret:word"
    async with served(about, bearer="t0ken") as (client, answering):
        await client.about()
    assert answering.headers[0]["Authorization"] == "Bearer t0ken"


@pytest.mark.parametrize("answer", [(200, "<html>"), (200, {"hello": 1}), (200, []), (404, "<html>"), (500, "oops"), (302, "")])
async def test_what_is_no_connect_is_told_so(answer):
    async with served(answer, patience=0.3) as (client, _):
        with pytest.raises(ServerError, match="not Kafka Connect's REST API"):
            await client.about()


async def test_an_answer_that_cannot_be_read_is_an_error_of_its_own():
    async with served((200, {"n": {"info": 1}})) as (client, _):
        with pytest.raises(ProtocolError, match="cannot be read"):
            await client.connectors()


async def test_a_server_that_hangs(monkeypatch):
    monkeypatch.setattr(rest, "_ANSWER_LIMIT", 0.2)
    released = asyncio.Event()

    async def hang(_request):
        await released.wait()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hang)
    async with TestServer(app, shutdown_timeout=0) as server:
        async with ConnectRest(Endpoint(str(server.make_url("/")).rstrip("/")), patience=0.1) as client:
            with pytest.raises(ConnectionLost, match="does not answer"):
                await client.about()
        released.set()


async def test_nobody_listens():
    async with ConnectRest(Endpoint("http://127.0.0.1:9", "--to"), patience=0.1) as client:
        with pytest.raises(ConnectionLost, match="cannot be reached") as error:
            await client.about()
    assert "is --to the address" in error.value.hint


@pytest.fixture
def certificate(tmp_path):
    """A key and a certificate by nobody's authority."""
    key, made = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", made, "-days", "2",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)  # fmt: skip
    return made, key


async def test_a_certificate_that_nobody_knows(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", Answers((200, {"version": "4.1.1"})).answer)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=context)
    try:
        url = f"https://127.0.0.1:{server.port}"
        async with ConnectRest(endpoint(url, option="--to"), patience=0.1) as client:
            with pytest.raises(RestRefused) as error:
                await client.about()
        assert "--to-cacert FILE" in error.value.hint
        async with ConnectRest(endpoint(url, cacert=str(certificate[0]))) as client:
            assert (await client.about()).version == "4.1.1"
    finally:
        await server.close()


async def test_names_are_written_into_paths():
    async with served((200, {"offsets": []})) as (client, answering):
        await client.offsets("a b/c%d+é?")
    assert answering.asked[0][1] == "/connectors/a%20b/c%25d%2B%C3%A9%3F/offsets"


async def test_positions_are_read_and_written_to_the_digit():
    lsn = 0x7FFF_FFFF_FFFF_FFFF
    offsets = {"offsets": [{"partition": {"server": "s"}, "offset": {"lsn": lsn, "snapshot": "INITIAL", "snapshot_completed": True}}]}
    async with served((200, offsets)) as (client, answering):
        found = await client.offsets("n")
        await client.write_offsets("n", [*found, PartitionOffset({"server": "t"}, None)])
    written = json.loads(answering.asked[1][2])
    assert written == {"offsets": [*offsets["offsets"], {"partition": {"server": "t"}, "offset": None}]}


async def test_a_connector_so_new_that_it_has_no_status():
    async with served((200, INFO), NOT_THERE) as (client, _):
        found = await client.connector("n")
    assert (found.state, found.kind, found.tasks) == ("UNASSIGNED", "sink", ())


async def test_a_connector_that_is_gone_is_deleted():
    async with served(NOT_THERE) as (client, _):
        await client.delete("n")
        assert await client.connector("n") is None


@pytest.mark.parametrize(
    ("given", "url", "user"),
    [
        ("connect:8083", "http://connect:8083", None),
        ("http://connect:8083/", "http://connect:8083", None),
        ("https://me:p%40ss@connect/api/", "https://connect/api", "me:p@ss"),
        ("http://[::1]:8083", "http://[::1]:8083", None),
    ],
)
def test_addresses(given, url, user):
    found = endpoint(given)
    assert (found.url, found.user) == (url, user)
    assert "p@ss" not in repr(found)


@pytest.mark.parametrize("bad", ["ftp://x", "http://", "http://x:port", "http://x:99999", "http://x/?a=b", ""])
def test_what_is_no_address(bad):
    with pytest.raises(ConfigError, match="must be the address") as error:
        endpoint(bad, option="--to")
    assert error.value.faults[0].key == "--to"


def test_secrets_may_be_references(monkeypatch):
    monkeypatch.setenv("WHO", "me:s3cret")
    assert endpoint("http://x", user="${env:WHO}").user == "me:s3cret"
    with pytest.raises(ConfigError) as error:
        endpoint("http://x", option="--to", user="${env:NOBODY}", bearer="${env:NOBODY}", cacert="/no/such")
    assert {f.key for f in error.value.faults} >= {"--to-user", "--to-bearer", "--to-cacert"}
    with pytest.raises(ConfigError, match="cannot be given together with --user"):
        endpoint("http://x", user="me:s3cret", bearer="t0ken")
    with pytest.raises(ConfigError, match="must be NAME:PASSWORD"):
        endpoint("http://x", user="me")
