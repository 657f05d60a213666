"""REST on real sockets: who may ask, by TLS or not, how much and how long; whatever happens, the answer is Connect's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import structlog

from pycdc.config.layers import Layered
from pycdc.errors import ConfigError, PycdcError, ServerError
from pycdc.kafka.checks import client_checks
from pycdc.servers.process import free_port
from pycdc.worker.herder import NotHere
from pycdc.worker.program import run_worker
from pycdc.worker.requests import RequestError
from pycdc.worker.rest import server as rest_server
from pycdc.worker.rest.endpoints import Answer
from pycdc.worker.rest.server import Server
from pycdc.worker.settings import ConnectConfig, read_worker

CERTIFICATES = Path(__file__).parents[2] / "certificates"
TLS = {"listeners.https.ssl.keystore.location": str(CERTIFICATES / "test_only_localhost.pem")}
TRUST = {"listeners.https.ssl.truststore.location": str(CERTIFICATES / "test_only_trust.pem")}
ANN = {"Authorization": aiohttp.encode_basic_auth("ann", "first-secret")}


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(CERTIFICATES / "test_only_trust.pem"))


class Endpoints:
    """Answers by what a test has put under the endpoint's name: a body, an error, or a coroutine function."""

    def __init__(self, **answers):
        self.answers, self.asked = {"connectors": ["a"], **answers}, []

    def knows(self, connector):
        return connector == "a/b"

    def method(self, name):
        async def answer(request):
            self.asked.append((name, request.names, request.body))
            found = self.answers.get(name, {})
            if isinstance(found, Exception):
                raise found
            return Answer(200, await found() if callable(found) else found)

        return answer


@asynccontextmanager
async def serving(endpoints=None, *, stage="", limit=20.0, **settings):
    """A server, a client of it, and its first URL."""
    faults = []
    url = f"http://127.0.0.1:{free_port()}"
    config = ConnectConfig.parse({"listeners": url} | {k.replace("__", "."): v for k, v in settings.items()}, faults)
    assert not faults
    extras = {"live": lambda: (b"{}", "application/json", 200), "metrics": lambda: (b"m 1\n", "text/plain", 200)}
    server = Server(config, endpoints or Endpoints(), extras, lambda: stage, limit=limit)
    try:
        await server.start()
        async with aiohttp.ClientSession(config.listeners[0].url) as client:
            yield client
    finally:
        await server.stop()


async def told(answer):
    """Status and error of an answer that is none of a stack trace."""
    text = await answer.text()
    assert "Traceback" not in text
    assert ".py" not in text
    assert answer.content_type == "application/json"
    found = json.loads(text)
    assert found["error_code"] == answer.status
    return answer.status, found["message"]


@pytest.fixture
def logins(tmp_path):
    (tmp_path / "users").write_text("ann=first-secret\n")
    (tmp_path / "tokens").write_text("token-1\n")
    return {"basic": {"rest__auth__basic__users__file": str(tmp_path / "users")}, "bearer": {"rest__auth__bearer__tokens__file": str(tmp_path / "tokens")}}


# ---- logins


async def test_basic(logins):
    endpoints = Endpoints()
    async with serving(endpoints, **logins["basic"]) as client:
        for headers in ({}, {"Authorization": "Bearer token-1"}, {"Authorization": aiohttp.encode_basic_auth("ann", "wrong")}):
            answer = await client.get("/connectors", headers=headers)
            assert await told(answer) == (401, "User cannot access the resource.")
            assert answer.headers["WWW-Authenticate"] == 'Basic realm="pycdc"'
        assert endpoints.asked == []
        assert (await client.get("/connectors", headers=ANN)).status == 200


async def test_bearer_and_both(logins):
    async with serving(**logins["bearer"]) as client:
        assert (await client.get("/connectors", headers=ANN)).status == 401
        assert (await client.get("/connectors", headers={"Authorization": "Bearer token-1"})).status == 200
    async with serving(**logins["basic"], **logins["bearer"]) as client:
        assert (await client.get("/connectors", headers=ANN)).status == 200
        assert (await client.get("/connectors", headers={"Authorization": "Bearer token-1"})).status == 200
        assert (await client.get("/connectors")).headers["WWW-Authenticate"] == 'Basic realm="pycdc", Bearer'


async def test_a_login_of_any_bytes_is_refused(logins):
    async with serving(**logins["bearer"]) as client:
        for login in (b"Bearer \xff\xfe", b"Basic \xff", b"Bearer \xd0\xb6"):
            assert b" 401 " in (await raw(client, b"GET /connectors HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: " + login + b"\r\n\r\n")).splitlines()[0]


async def test_probes_need_no_login_and_nothing_hides_behind_their_paths(logins):
    async with serving(**logins["basic"]) as client:
        for path in ("/health", "/health/", "/health/live", "/health?x=1", "/health;a=b"):
            assert (await client.get(path)).status == 200, path
        for path in (b"/metrics", b"/connectors", b"/connectors/../health", b"/health/../connectors", b"/connectors/health", b"/nothing"):
            line = (await raw(client, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).splitlines()[0]
            assert b" 401 " in line, path


# ---- TLS


async def test_https_beside_http(logins):
    http, https = free_port(), free_port()
    async with serving(listeners=f"http://127.0.0.1:{http},https://localhost:{https}", **{k.replace(".", "__"): v for k, v in TLS.items()}, **logins["basic"]) as client:
        assert (await client.get("/connectors", headers=ANN)).status == 200
        answer = await client.get(f"https://localhost:{https}/connectors", headers=ANN, ssl=trusting())
        assert answer.status == 200
        assert answer.version == aiohttp.HttpVersion11
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await client.get(f"https://localhost:{https}/connectors")
        with pytest.raises(aiohttp.ClientError):
            await client.get(f"http://localhost:{https}/connectors")


async def test_clients_that_must_show_a_certificate():
    settings = {k.replace(".", "__"): v for k, v in {**TLS, **TRUST, "listeners.https.ssl.client.auth": "required"}.items()}
    async with serving(listeners=f"https://127.0.0.1:{free_port()}", **settings) as client:
        with pytest.raises(aiohttp.ClientError):
            await client.get("/", ssl=trusting())
        known = trusting()
        known.load_cert_chain(CERTIFICATES / "test_only_localhost.pem")
        assert (await client.get("/connectors", ssl=known)).status == 200


async def test_an_address_that_is_taken():
    async with serving() as client:
        with pytest.raises(PycdcError) as caught:
            async with serving(listeners=f"http://127.0.0.1:{free_port()},{str(client._base_url).rstrip('/')}"):
                pass
    assert caught.value.what == "REST cannot listen"
    assert "listeners" in caught.value.hint


# ---- browsers, headers, listeners


async def test_cors(logins):
    async with serving(access__control__allow__origin="https://ui", access__control__allow__methods="GET,PUT", **logins["basic"]) as client:
        answer = await client.options("/connectors", headers={"Origin": "https://ui", "Access-Control-Request-Method": "PUT"})
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "https://ui"
        assert answer.headers["Access-Control-Allow-Methods"] == "GET,PUT"
        answer = await client.options("/connectors", headers={"Origin": "https://evil", "Access-Control-Request-Method": "PUT"})
        assert "Access-Control-Allow-Origin" not in answer.headers
        answer = await client.get("/connectors", headers={"Origin": "https://ui"})
        assert answer.status == 401
        assert answer.headers["Access-Control-Allow-Origin"] == "https://ui", "or the page could not see why"


async def test_headers_of_every_answer():
    async with serving(response__http__headers__config='"set Cache-Control: no-cache, no-store", add X-Frame-Options: DENY') as client:
        for path in ("/connectors", "/nothing", "/health/live", "/metrics"):
            answer = await client.get(path)
            assert answer.headers["Cache-Control"] == "no-cache, no-store", path
            assert answer.headers["X-Frame-Options"] == "DENY"


async def test_admin_beside_the_rest():
    async with serving() as client:
        assert (await client.get("/admin/loggers")).status == 200


async def test_admin_elsewhere():
    admin = f"http://127.0.0.1:{free_port()}"
    async with serving(admin__listeners=admin) as client:
        assert await told(await client.get("/admin/loggers")) == (404, "HTTP 404 Not Found")
        assert (await client.get(f"{admin}/admin/loggers")).status == 200
        assert await told(await client.get(f"{admin}/connectors")) == (404, "HTTP 404 Not Found")
        assert (await client.get("/connectors")).status == 200


async def test_admin_nowhere():
    async with serving(admin__listeners="") as client:
        assert await told(await client.get("/admin/loggers")) == (404, "HTTP 404 Not Found")
        assert (await client.get("/connectors")).status == 200


# ---- how much and how long


async def test_a_body_that_is_too_large(logins):
    endpoints = Endpoints()
    async with serving(endpoints, rest__request__max__bytes="1000") as client:
        for body in (b"x" * 1001, chunks(b"x" * 300, 4)):
            answer = await client.post("/connectors", data=body, headers={"Content-Type": "application/json"})
            assert await told(answer) == (413, "the body is larger than rest.request.max.bytes=1000")
        assert endpoints.asked == []
        assert (await client.post("/connectors", data=b"x" * 1000, headers={"Content-Type": "application/json"})).status == 200


async def chunks(data, times):
    for _ in range(times):
        yield data


async def test_a_body_that_never_ends():
    endpoints = Endpoints()
    async with serving(endpoints, limit=0.2) as client:
        answer = await raw(client, b"POST /connectors HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        assert b" 500 " in answer.splitlines()[0]
        assert b'{"error_code":500,"message":"Request timed out"}' in answer
    assert endpoints.asked == []


async def test_a_client_that_never_says_what_it_wants(monkeypatch):
    monkeypatch.setattr(rest_server, "_HEAD_LIMIT", 0.2)
    async with serving() as client:
        assert await raw(client, b"") == b""
        assert await raw(client, b"GET /connectors HT") == b""
        reader, writer = await connected(client)
        for _ in range(2):
            writer.write(b"GET /connectors HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readuntil(b'["a"]')).startswith(b"HTTP/1.1 200")
            assert await raw(client, b"") == b"", "time goes by"
        writer.close()


async def test_work_that_never_ends():
    async def hanging():
        await asyncio.get_running_loop().create_future()

    async with serving(Endpoints(connector=hanging), limit=0.2) as client:
        assert await told(await client.get("/connectors/x")) == (500, "Request timed out")
        assert (await client.get("/connectors")).status == 200


async def test_a_client_that_goes_away_is_no_trouble(caplog):
    with structlog.testing.capture_logs() as lines:
        async with serving() as client:
            reader, writer = await connected(client)
            writer.write(b"POST /connectors HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
            await writer.drain()
            writer.close()
            assert (await client.get("/connectors")).status == 200
            assert await reader.read() in (b"", None)
    assert not [line for line in lines if "could not be answered" in line["event"]]
    assert not caplog.records


@pytest.mark.parametrize("request_", [
    b"FOO /connectors HTTP/1.1\r\nHost: x\r\n\r\n", b"garbage\r\n\r\n", b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b"s3cret" * 2000 + b"\r\n\r\n", b"POST /connectors HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
])  # fmt: skip
async def test_what_is_no_http(request_, caplog):
    """Refused, and neither its headers nor a stack trace get anywhere."""
    async with serving() as client:
        answer = await raw(client, request_)
        assert b" 400 " in answer.splitlines()[0]
        assert b"Traceback" not in answer
        assert (await client.get("/connectors")).status == 200
    assert not caplog.records


async def test_a_body_that_says_it_is_packed_is_read_as_it_is():
    endpoints = Endpoints()
    async with serving(endpoints) as client:
        answer = await client.post("/connectors", data=b"no gzip", headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})
        assert answer.status == 200
    assert endpoints.asked[0][2] == b"no gzip"


# ---- errors


class ThirdPartyError(Exception):
    def __str__(self):
        return "password=s3cret-word in line 7"


@pytest.mark.parametrize(("error", "status", "message"), [
    (RequestError(409, "Connector a already exists"), 409, "Connector a already exists"), (ServerError("Kafka is away", cause="why"), 500, "Kafka is away: why"),
    (ThirdPartyError(), 500, "Internal Server Error"), (KeyError("s3cret-word"), 500, "Internal Server Error"), (NotHere(None), 409, None),
    (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "s3cret-word"), 500, "Internal Server Error"), (RecursionError("s3cret-word"), 500, "Internal Server Error"),
    (ConfigError("The configuration is wrong."), 500, "The configuration is wrong."),
])  # fmt: skip
async def test_no_stack_trace_goes_to_a_client(error, status, message):
    with structlog.testing.capture_logs() as lines:
        async with serving(Endpoints(connector=error)) as client:
            found = await told(await client.get("/connectors/x"))
    assert ["internal error\n\tat " in line.get("cause", "") for line in lines if line["log_level"] == "error"] == [True] * (message == "Internal Server Error")
    assert "s3cret-word" not in str(lines)
    assert found[0] == status
    assert found[1] == message or (message is None and "no known leader" in found[1])


async def test_an_answer_that_cannot_be_written():
    async with serving(Endpoints(connector={"half": "\ud800"})) as client:
        assert await told(await client.get("/connectors/x")) == (500, "Internal Server Error")


async def test_a_worker_that_starts():
    async with serving(stage="Kafka is looked for.") as client:
        answer = await client.get("/health")
        assert (answer.status, await answer.json()) == (503, {"status": "starting", "message": "Worker is still starting up. Kafka is looked for."})
        assert await told(await client.get("/connectors")) == (503, "Worker is still starting up. Kafka is looked for.")
        assert (await client.get("/")).status == 200
        assert (await client.get("/health/live")).status == 200


# ---- HTTP


@pytest.mark.parametrize(("method", "path", "status"), [
    ("DELETE", "/connectors", 405), ("PATCH", "/connectors/x", 405), ("TRACE", "/connectors", 405), ("PROPFIND", "/connectors", 405), ("PUT", "/", 405),
    ("POST", "/nothing", 404), ("GET", "/connectors//", 400), ("GET", "/connectors/a%2Fb", 200), ("GET", "/connectors/x%2Fy", 400), ("OPTIONS", "/nothing", 404),
])  # fmt: skip
async def test_methods_and_paths(method, path, status):
    async with serving() as client:
        line = (await raw(client, f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())).splitlines()[0]
        assert f" {status} ".encode() in line


async def test_options():
    async with serving() as client:
        assert (await client.options("/connectors/x/config")).headers["Allow"] == "HEAD,GET,PUT,PATCH,OPTIONS"


async def test_head_has_no_body():
    async with serving() as client:
        for path in ("/connectors", "/metrics", "/health", "/nothing"):
            get, head = await client.get(path), await client.head(path)
            assert (head.status, head.content_type) == (get.status, get.content_type)
            assert await head.read() == b""
        answer = await raw(client, b"HEAD /connectors HTTP/1.1\r\nHost: x\r\n\r\nGET /connectors HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer.count(b"HTTP/1.1 200") == 2
        assert answer.endswith(b'\r\n\r\n["a"]')


async def test_one_connection_serves_many_requests_also_behind_errors():
    async with serving() as client:
        reader, writer = await connected(client)
        for path, status in (("/connectors", 200), ("/nothing", 404), ("/connectors/x", 200), ("/connectors//", 400)):
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            assert f" {status} " in head.splitlines()[0]
            await reader.readexactly(next(int(line.partition(":")[2]) for line in head.splitlines() if line.lower().startswith("content-length")))
        writer.close()


@pytest.mark.parametrize(("headers", "status"), [
    ({"Content-Type": "text/plain"}, 415), ({"Content-Type": "application/json; charset=utf-8"}, 200), ({"Content-Type": "application/json", "Accept": "text/html"}, 406),
    ({"Content-Type": "application/json", "Accept": "text/html,*/*;q=0.1"}, 200),
])  # fmt: skip
async def test_media_types(headers, status):
    async with serving() as client:
        assert (await client.post("/connectors", data=b"{}", headers=headers)).status == status


async def test_no_request_keeps_the_others_waiting():
    go_on = asyncio.Event()
    async with serving(Endpoints(connector=go_on.wait)) as client:
        waiting = [asyncio.create_task(get(client, "/connectors/x")) for _ in range(20)]
        assert await get(client, "/connectors") == 200
        go_on.set()
        assert await asyncio.gather(*waiting) == [200] * 20


async def get(client, path):
    async with client.get(path) as answer:
        await answer.read()
        return answer.status


async def connected(client):
    return await asyncio.open_connection(client._base_url.host, client._base_url.port)


async def raw(client, request):
    """All that is answered to these bytes, until the server hangs up."""
    reader, writer = await connected(client)
    writer.write(request)
    answer = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(20):
            while data := await reader.read(4096):
                answer += data
                if b"Request timed out" in answer:
                    break
    writer.close()
    return answer


# ---- two workers


@asynccontextmanager
async def workers(kafka, group, settings, count=2):
    """Real ones in this process, and what they are called; all have met."""
    stop, runs, urls = asyncio.Event(), [], []
    for _ in range(count):
        url = f"https://localhost:{free_port()}"
        urls.append(url)
        given = {
            "bootstrap.servers": kafka, "group.id": group, "listeners": url, "heartbeat.interval.ms": "300", "session.timeout.ms": "6000", **settings,
            **{f"{s}.storage.topic": f"{group}-{s}" for s in ("config", "offset", "status")}, "offset.storage.partitions": "1", "status.storage.partitions": "1",
            **{f"{s}.storage.replication.factor": "1" for s in ("config", "offset", "status")}, "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        }  # fmt: skip
        runs.append(asyncio.create_task(run_worker(read_worker(Layered.of(given)), client_checks(), stop=stop)))
    try:
        yield urls
    finally:
        stop.set()
        await asyncio.gather(*runs)


async def test_writes_are_handed_to_the_leader_by_https_with_the_clients_login(kafka, names, logins):
    settings = {**TLS, **TRUST, **{k.replace("__", "."): v for kind in logins.values() for k, v in kind.items()}}
    async with workers(kafka, names.base, settings) as urls, aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting())) as client:
        async with asyncio.timeout(60):
            while not all([await ready(client, url) for url in urls]):  # noqa: ASYNC110  # other processes' business
                await asyncio.sleep(0.1)
        sink = {
            "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "topics": names.base, "connection.url": "jdbc:postgresql://127.0.0.1:1/x",
            "connection.username": "u", "connection.password": "p",
        }  # fmt: skip
        for number, url in enumerate(urls):  # one of them does not lead
            name = f"{names.base}-{number}"
            for login in ({}, {"headers": {"Authorization": aiohttp.encode_basic_auth("ann", "no")}}):
                answer = await client.put(f"{url}/connectors/{name}/config", json=sink, **login)
                assert answer.status == 401
            answer = await client.put(f"{url}/connectors/{name}/config", json=sink, headers=ANN)
            assert answer.status == 201, await answer.text()
            assert answer.headers["Location"] == f"{url}/connectors/{name}"
            assert (await client.put(f"{url}/connectors/{name}/stop", headers={"Authorization": "Bearer token-1"})).status == 204
            assert (await client.delete(f"{url}/connectors/{name}", headers=ANN)).status == 204


async def ready(client, url):
    """It has met the others."""
    with contextlib.suppress(aiohttp.ClientError):
        async with client.get(f"{url}/metrics", headers=ANN) as answer:
            return "kafka_connect_worker_rebalance_rebalancing 0.0" in await answer.text()
    return False
