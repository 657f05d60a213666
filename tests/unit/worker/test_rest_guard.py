"""Who may ask: users, tokens, browsers of other origins, TLS; what is wrong with the settings is told at once."""

from __future__ import annotations

import asyncio
import base64
import ssl
from pathlib import Path

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from pycdc.errors import ConfigError
from pycdc.worker.requests import RequestError
from pycdc.worker.rest.guard import Guard, response_headers
from pycdc.worker.settings import ConnectConfig

CERTIFICATES = Path(__file__).parents[2] / "certificates"
LOCAL = {"listeners": "http://127.0.0.1:8083"}


def guard(**settings):
    faults = []
    config = ConnectConfig.parse({**LOCAL, **settings}, faults)
    assert not faults
    return Guard(config)


def faults_of(**settings):
    with pytest.raises(ConfigError) as caught:
        guard(**settings)
    return [(f.key, f.message) for f in caught.value.faults]


@pytest.fixture
def users(tmp_path):
    path = tmp_path / "users"
    path.write_text("# who may ask\nann=first-secret\nжан=пароль\nbob = a:b\n")
    return {"rest.auth.basic.users.file": str(path)}


@pytest.fixture
def tokens(tmp_path):
    path = tmp_path / "tokens"
    path.write_text("# one a line\n  abc.def-1 \n\ntoken-2\n")
    return {"rest.auth.bearer.tokens.file": str(path)}


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def admitted(guard, login=None, method="GET", resource="connectors", **headers):
    async def ask():  # a request wants a running loop
        given = {k.replace("_", "-"): v for k, v in headers.items()} | ({} if login is None else {"Authorization": login})
        guard.admit(make_mocked_request(method, "/connectors", headers=given), resource)

    try:
        asyncio.run(ask())
    except RequestError as error:
        assert (error.status, error.message) == (401, "User cannot access the resource.")
        return False
    return True


# ---- logins


def test_without_logins_everybody_may():
    assert admitted(guard())
    assert admitted(guard(), "Basic nonsense")


@pytest.mark.parametrize(("login", "may"), [
    (basic("ann", "first-secret"), True), ("basic  " + basic("ann", "first-secret").partition(" ")[2], True), (basic("жан", "пароль"), True),
    (basic("bob", "a:b"), True), (basic("ann", "First-secret"), False), (basic("ann", ""), False), (basic("", ""), False), (basic("ann", "пароль"), False),
    (None, False), ("", False), ("Basic", False), ("Basic ===", False), ("Basic ж", False), ("Bearer abc.def-1", False),
    ("Basic YW5u", False), ("ann:first-secret", False),
])  # fmt: skip
def test_basic(users, login, may):
    assert admitted(guard(**users), login) is may


@pytest.mark.parametrize(("login", "may"), [
    ("Bearer abc.def-1", True), ("BEARER token-2 ", True), ("Bearer abc.def", False), ("Bearer # one a line", False), ("Bearer ", False), ("Bearer", False),
    ("Bearer токен", False), (basic("ann", "first-secret"), False), (None, False),
])  # fmt: skip
def test_bearer(tokens, login, may):
    assert admitted(guard(**tokens), login) is may


def test_both(users, tokens):
    both = guard(**users, **tokens)
    assert admitted(both, basic("ann", "first-secret"))
    assert admitted(both, "Bearer token-2")
    assert not admitted(both, "Bearer first-secret")


def test_what_needs_no_login(users):
    asked = guard(**users)
    assert [r for r in ("health", "live", "ready", "cdc", "metrics", "root", "connectors", "loggers", "") if admitted(asked, resource=r)] == ["health", "live", "ready"]
    assert admitted(asked, method="OPTIONS", Access_Control_Request_Method="PUT"), "browsers ask without"
    assert not admitted(asked, method="OPTIONS")
    assert not admitted(asked, method="PUT", Access_Control_Request_Method="PUT")


def test_a_file_that_lets_nobody_in_is_no_open_door(tmp_path):
    empty = tmp_path / "empty"
    empty.write_text("# nobody yet\n\n")
    assert faults_of(**{"rest.auth.basic.users.file": str(empty), "rest.auth.bearer.tokens.file": str(empty)}) == [
        ("rest.auth.basic.users.file", "has no user: lines are `user=password`"), ("rest.auth.bearer.tokens.file", "has no token: each line is one"),
    ]  # fmt: skip
    empty.write_text("ann=x\nbob=\n")
    assert faults_of(**{"rest.auth.basic.users.file": str(empty)}) == [("rest.auth.basic.users.file", "has a user without password: bob")]


def test_every_fault_at_once(tmp_path):
    missing = str(tmp_path / "missing")
    assert [key for key, _ in faults_of(**{
        "rest.auth.basic.users.file": missing, "rest.auth.bearer.tokens.file": missing, "response.http.headers.config": "put A: b",
        "listeners": "https://127.0.0.1:8443", "listeners.https.ssl.keystore.location": missing, "listeners.https.ssl.truststore.location": missing,
        "listeners.https.ssl.client.auth": "maybe",
    })] == [
        "rest.auth.basic.users.file", "rest.auth.bearer.tokens.file", "response.http.headers.config", "listeners.https.ssl.keystore.location",
        "listeners.https.ssl.client.auth", "listeners.https.ssl.truststore.location",
    ]  # fmt: skip


# ---- who listens


@pytest.mark.parametrize(("settings", "warned"), [
    ({}, []), ({"listeners": "http://localhost:1,http://[::1]:2,http://127.8.0.1:3"}, []), ({"listeners": "http://:8083"}, ["http://localhost:8083"]),
    ({"listeners": "http://0.0.0.0:1,http://127.0.0.1:2"}, ["http://localhost:1"]), ({"listeners": "http://[2001:db8::1]:1"}, ["http://[2001:db8::1]:1"]),
    ({"listeners": "http://[::]:1"}, ["http://localhost:1"]), ({"admin.listeners": "http://host:1"}, ["http://host:1"]), ({"admin.listeners": ""}, []),
])  # fmt: skip
def test_whoever_listens_to_all_without_login_is_warned(settings, warned, users):
    with structlog.testing.capture_logs() as lines:
        guard(**settings)
    assert [one for line in lines for one in line["listeners"]] == warned
    assert all("anyone" in line["event"] and "rest.auth.basic.users.file" in line["hint"] for line in lines)
    with structlog.testing.capture_logs() as lines:
        guard(**settings, **users)
    assert [one for line in lines for one in line["listeners"]] == warned
    assert all("unencrypted" in line["event"] for line in lines)


def test_tls_for_known_clients_is_as_good_as_a_login(users):
    tls = {"listeners": "https://:8443", "listeners.https.ssl.keystore.location": str(CERTIFICATES / "test_only_localhost.pem")}
    known = {"listeners.https.ssl.client.auth": "required", "listeners.https.ssl.truststore.location": str(CERTIFICATES / "test_only_trust.pem")}
    with structlog.testing.capture_logs() as lines:
        guard(**tls)
    assert ["anyone" in line["event"] for line in lines] == [True]
    with structlog.testing.capture_logs() as lines:
        guard(**tls, **known)
        guard(**tls, **users)
    assert lines == []


# ---- TLS


def https(**more):
    return {"listeners": "https://127.0.0.1:8443"} | {f"listeners.https.ssl.{k.replace('_', '.')}": str(v) for k, v in more.items()}


def test_tls():
    made = guard(**https(keystore_location=CERTIFICATES / "test_only_localhost.pem"))
    assert made.server_tls is not None
    assert made.server_tls.verify_mode is ssl.CERT_NONE
    assert made.client_tls is not None
    assert made.client_tls.check_hostname
    assert guard().server_tls is None
    assert guard().client_tls is None


def test_tls_of_the_workers_clients_where_rest_has_none_of_its_own():
    made = guard(**{"listeners": "https://127.0.0.1:8443", "ssl.keystore.location": str(CERTIFICATES / "test_only_localhost.pem")})
    assert made.server_tls is not None


def test_tls_only_for_admin():
    made = guard(**{"admin.listeners": "https://127.0.0.1:1", "listeners.https.ssl.keystore.location": str(CERTIFICATES / "test_only_localhost.pem")})
    assert made.server_tls is not None


def test_the_key_may_have_a_password_and_nobody_is_asked_for_it():
    encrypted = CERTIFICATES / "test_only_encrypted.pem"
    assert guard(**https(keystore_location=encrypted, key_password="test-only")).server_tls is not None
    assert guard(**https(keystore_location=encrypted, keystore_password="test-only")).server_tls is not None
    for wrong in ({}, {"key_password": "wrong-secret"}):
        ((key, message),) = faults_of(**https(keystore_location=encrypted, **wrong))
        assert key == "listeners.https.ssl.keystore.location"
        assert message.startswith("cannot be read as PEM with certificate and key: ")
        assert "secret" not in message


@pytest.mark.parametrize(("settings", "key", "message"), [
    ({}, "keystore.location", "is required"), ({"keystore_location": "/no/such.pem"}, "keystore.location", "No such file"),
    ({"keystore_location": CERTIFICATES / "test_only_trust.pem"}, "keystore.location", "as PEM with certificate and key"),
    ({"keystore_location": CERTIFICATES / "test_only_localhost.pem", "truststore_location": __file__}, "truststore.location", "as PEM"),
    ({"keystore_location": CERTIFICATES / "test_only_localhost.pem", "client_auth": "required"}, "truststore.location", "is required where"),
    ({"keystore_location": CERTIFICATES / "test_only_localhost.pem", "client_auth": "yes"}, "client.auth", "must be one of none, requested, required"),
])  # fmt: skip
def test_what_is_wrong_with_tls(settings, key, message):
    (found,) = faults_of(**https(**settings))
    assert found[0] == f"listeners.https.ssl.{key}"
    assert message in found[1]


def test_workers_need_not_be_called_as_their_certificates_say():
    made = guard(**https(keystore_location=CERTIFICATES / "test_only_localhost.pem", endpoint_identification_algorithm=""))
    assert made.client_tls is not None
    assert not made.client_tls.check_hostname


# ---- browsers


def answered(guard, **headers):
    async def ask():
        request = make_mocked_request("OPTIONS", "/connectors", headers={k.replace("_", "-"): v for k, v in headers.items()})
        response = web.Response(headers=guard.preflight(request))
        guard.finish(request, response)
        return {k: v for k, v in response.headers.items() if k != "Content-Type"}

    return asyncio.run(ask())


@pytest.mark.parametrize(("allowed", "origin", "echoed"), [
    ("https://a", "https://a", "https://a"), ("https://a, https://b", "https://b", "https://b"), ("*", "https://x", "https://x"), ("https://a", "https://b", None),
    ("https://a", None, None), ("", "https://a", None), ("", "", None), ("*", None, None),
])  # fmt: skip
def test_cors(allowed, origin, echoed):
    asked = guard(**{"access.control.allow.origin": allowed})
    headers = answered(asked, **({} if origin is None else {"Origin": origin}))
    assert headers.get("Access-Control-Allow-Origin") == echoed
    assert headers.get("Vary") == ("Origin" if allowed else None)
    assert "Access-Control-Allow-Methods" not in headers


def test_cors_preflight():
    asked = guard(**{"access.control.allow.origin": "https://a", "access.control.allow.methods": "GET, PUT"})
    headers = answered(asked, Origin="https://a", Access_Control_Request_Method="PUT")
    assert headers == {
        "Access-Control-Allow-Methods": "GET,PUT", "Access-Control-Allow-Headers": "Content-Type", "Access-Control-Max-Age": "60", "Vary": "Origin",
        "Access-Control-Allow-Origin": "https://a",
    }  # fmt: skip
    assert "Access-Control-Allow-Methods" not in answered(asked, Origin="https://b", Access_Control_Request_Method="PUT")
    assert answered(guard(**{"access.control.allow.origin": "*"}), Origin="o", Access_Control_Request_Method="PUT")["Access-Control-Allow-Methods"] == "GET,POST,HEAD"


# ---- headers of every answer


def headers(text):
    faults = []
    return response_headers(text, faults), [f.key for f in faults]


@pytest.mark.parametrize(("text", "found"), [
    ("", []), ("set X-A: b", [("set", "X-A", "b")]), ("set X-A:b, add X-B: c", [("set", "X-A", "b"), ("add", "X-B", "c")]),
    ('"set Cache-Control: no-cache, no-store", "add X: y:z"', [("set", "Cache-Control", "no-cache, no-store"), ("add", "X", "y:z")]),
    ("SET X-A:", [("set", "X-A", "")]), ("setDate Expires: 0", [("setdate", "Expires", "Thu, 01 Jan 1970 00:00:00 GMT")]),
])  # fmt: skip
def test_response_headers(text, found):
    assert headers(text) == (found, [])


@pytest.mark.parametrize("text", ["X-A: b", "put X-A: b", "set X-A", "set : b", "set X A: b", "set X-A: b,", "set X-A: b\r\nX-B: c", '"set X-A: b\r\nX-B: c"',
                                  "setDate Expires: tomorrow", "set X-A: ж\0", '"set X-A: b', ","])  # fmt: skip
def test_response_headers_that_are_none(text):
    found, faults = headers(text)
    if text == '"set X-A: b':
        assert (found, faults) == ([("set", "X-A", "b")], []), "a quote that is left open ends with the text"
    else:
        assert (found, faults) == ([], ["response.http.headers.config"])


def test_response_headers_come_with_every_answer(users, tokens):
    asked = guard(**{"response.http.headers.config": '"set X-Frame-Options: DENY", add X: 1, add X: 2'}, **users, **tokens)
    assert answered(asked) == {"X-Frame-Options": "DENY", "X": "2"}  # one of the two, as a mapping has it

    async def refused(guard):
        response = web.Response(status=401)
        guard.finish(make_mocked_request("GET", "/"), response)
        return response.headers

    assert asyncio.run(refused(asked)).getall("X") == ["1", "2"]
    assert asyncio.run(refused(asked))["WWW-Authenticate"] == 'Basic realm="pycdc", Bearer'
    assert asyncio.run(refused(guard(**tokens)))["WWW-Authenticate"] == "Bearer"
