"""The registry's client against a server that answers as told: what it asks, what it remembers, what it says of refusals."""

import asyncio
import base64
import json
import ssl
import subprocess
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from pycdc.errors import RegistryError
from pycdc.registry import RegistryConfig, SchemaRegistry, client, faults
from pycdc.registry.admin import RegistryAdmin
from pycdc.servers.process import free_port

SCHEMA = '{"type":"record","name":"R","fields":[{"name":"a","type":"string"},{"name":"b","type":["null",{"type":"record","name":"I","fields":[{"name":"ä","type":"int"}]}]}]}'  # fmt: skip


class Server:
    """`answers` are (status, body) in order, the last one for good; `requests` what came."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    async def answer(self, request):
        self.requests.append((request.method, request.path_qs, await request.text(), dict(request.headers)))
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.Response(status=status, text=body if isinstance(body, str) else json.dumps(body))

    @property
    def paths(self):
        return [f"{method} {path}" for method, path, _, _ in self.requests]


@asynccontextmanager
async def serving(*servers):
    """Their addresses, separated by commas."""
    runners, urls = [], []
    try:
        for server in servers:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", server.answer)
            runner = web.AppRunner(app)
            await runner.setup()
            runners.append(runner)
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            urls.append(f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}")
        yield ",".join(urls)
    finally:
        for runner in runners:
            await runner.cleanup()


def registry(urls, **options):
    faults = []
    config = RegistryConfig.parse({"schema.registry.url": urls, **{k.replace("_", "."): v for k, v in options.items()}}, faults)
    assert not faults, faults
    return SchemaRegistry(config)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(client, "_BACK_OFF", 0.001)


async def test_registering_is_one_request_and_is_remembered():
    server = Server((200, {"id": 7}))
    async with serving(server) as url:
        subject = registry(url)
        assert subject.written("t-value", SCHEMA) is None
        await subject.fetch_written("t-value", SCHEMA)
    assert subject.written("t-value", SCHEMA) == (7, SCHEMA)
    assert subject.written("other", SCHEMA) is None
    ((_, path, body, headers),) = server.requests
    assert path == "/subjects/t-value/versions?normalize=false"
    assert body == '{"schema":' + json.dumps(SCHEMA, ensure_ascii=False) + "}"
    assert headers["Content-Type"] == "application/vnd.schemaregistry.v1+json"
    assert "Authorization" not in headers


@pytest.mark.parametrize(
    ("options", "paths"),
    [
        ({"normalize_schemas": "true"}, ["POST /subjects/s%2F1/versions?normalize=true"]),
        ({"auto_register_schemas": "false"}, ["POST /subjects/s%2F1?normalize=false&deleted=false"]),
        (
            {"auto_register_schemas": "false", "use_latest_version": "true"},
            ["GET /subjects/s%2F1/versions/latest", "POST /subjects/s%2F1?normalize=false&deleted=false"],
        ),
        (
            {"auto_register_schemas": "false", "use_schema_id": "5"},
            ["GET /schemas/ids/5?fetchMaxId=false&subject=s%2F1", "POST /subjects/s%2F1?normalize=false&deleted=false"],
        ),
    ],
)
async def test_requests_of_each_way_to_an_id(options, paths):
    server = Server((200, {"id": 3, "schema": '"latest"'}))
    async with serving(server) as url:
        subject = registry(url, **options)
        await subject.fetch_written("s/1", SCHEMA)
    assert server.paths == paths
    assert subject.written("s/1", SCHEMA) == (3, '"latest"' if len(paths) == 2 else SCHEMA)


async def test_the_schema_of_an_id_is_asked_for_once():
    server = Server((200, {"schema": SCHEMA}))
    async with serving(server) as url:
        subject = registry(url)
        await subject.fetch_text(9, "t-key")
    assert subject.text(9) == SCHEMA
    assert server.paths == ["GET /schemas/ids/9?fetchMaxId=false&subject=t-key"]


@pytest.mark.parametrize("way", [{"use_schema_id": "5"}, {"use_latest_version": "true"}])
async def test_a_schema_that_refers_to_others_is_looked_up_with_its_references(way):
    references = [{"name": "in.proto", "subject": "in.proto", "version": 2}]
    outer = {"id": 8, "schema": "outer", "schemaType": "PROTOBUF", "references": references}
    inner, found = (200, {"id": 4, "schema": "inner", "schemaType": "PROTOBUF"}), (200, {"id": 6})
    server = Server((200, outer), *((inner, found) if "use_schema_id" in way else (found, inner)))
    async with serving(server) as url:
        subject = registry(url, auto_register_schemas="false", **way)
        subject.kind = "PROTOBUF"
        await subject.fetch_written("s", "mine")
    [sent] = [json.loads(body) for method, _, body, _ in server.requests if method == "POST"]
    assert sent == {"schemaType": "PROTOBUF", "references": references, "schema": "outer"}
    assert subject.written("s", "mine") == (6, "outer")
    assert subject.referred(6) == {"in.proto": "inner"}


async def test_another_kind_of_schema_and_references_are_refused():
    server = Server((200, {"schema": "syntax = 'proto3';", "schemaType": "PROTOBUF"}), (200, {"schema": "{}", "references": [{"name": "x"}]}))
    async with serving(server) as url:
        for cause in ("PROTOBUF", "refers to other schemas"):
            with pytest.raises(RegistryError) as error:
                await registry(url).fetch_text(9, "t-key")
            assert cause in str(error.value)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"basic_auth_credentials_source": "USER_INFO", "basic_auth_user_info": "al:s:3"}, b"al:s:3"),
        ({"basic_auth_credentials_source": "SASL_INHERIT", "sasl_jaas_config": 'X required username="u" password="p\\"w";'}, b'u:p"w'),
        ({"bearer_auth_credentials_source": "STATIC_TOKEN", "bearer_auth_token": "tok"}, None),
    ],
)
async def test_logins(options, wanted):
    server = Server((200, {"id": 1}))
    async with serving(server) as url:
        await registry(url, **options).fetch_written("s", SCHEMA)
    given = server.requests[0][3]["Authorization"]
    assert given == ("Bearer tok" if wanted is None else f"Basic {base64.b64encode(wanted).decode()}")


async def test_a_login_in_the_address_is_sent_and_never_shown():
    server = Server((401, {"error_code": 401, "message": "Unauthorized"}))
    async with serving(server) as url:
        with pytest.raises(RegistryError) as error:
            await registry(url.replace("://", "://bob:p%40ss@")).fetch_written("s", SCHEMA)
    assert server.requests[0][3]["Authorization"] == f"Basic {base64.b64encode(b'bob:p@ss').decode()}"
    assert "p%40ss" not in str(error.value)
    assert "p@ss" not in str(error.value)
    assert "basic.auth.user.info" in error.value.hint
    assert not error.value.retriable


async def test_the_next_address_is_asked_when_one_cannot_answer_and_kept():
    tired, well = Server((503, "busy")), Server((200, {"id": 4}))
    async with serving(tired, well) as urls:
        subject = registry(f"http://127.0.0.1:{free_port()},{urls}")
        await subject.fetch_written("s", SCHEMA)
        await subject.fetch_written("s2", SCHEMA)
    assert subject.written("s", SCHEMA) == (4, SCHEMA)
    assert (len(tired.requests), len(well.requests)) == (1, 2)


async def test_a_registry_that_comes_back_is_waited_for():
    server = Server((503, ""), (429, ""), (200, {"id": 4}))
    async with serving(server) as url:
        await registry(url).fetch_written("s", SCHEMA)
    assert len(server.requests) == 3


async def test_a_registry_that_does_not_come_back_is_an_error_that_may_be_tried_again():
    with pytest.raises(RegistryError) as error:
        await registry(f"http://127.0.0.1:{free_port()}").fetch_written("s", SCHEMA)
    assert error.value.retriable
    assert "does not answer" in str(error.value)
    assert "curl http://127.0.0.1" in error.value.hint


async def test_a_registry_that_only_lets_wait_is_not_asked_for_long():
    async def listen(reader, writer):
        while await reader.read(1000):
            pass
        writer.close()

    silent = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with silent:
        url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
        async with asyncio.timeout(5):
            with pytest.raises(RegistryError, match="does not answer") as error:
                await registry(url, http_read_timeout_ms="100").fetch_written("s", SCHEMA)
    assert error.value.retriable


CONFLUENT = (
    "Schema being registered is incompatible with an earlier schema for subject \"s\", details: [{errorType:'READER_FIELD_MISSING_"
    "DEFAULT_VALUE', description:'The field 'ä' at path '/fields/1/type/1/fields/0' in the new schema has no default value'}, "
    "{compatibility: 'BACKWARD'}]"
)
APICURIO = "Incompatible artifact: s [AVRO], list of diff types: [reader union lacking writer type: RECORD at /fields/1/type/1]"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (409, {"error_code": 409, "message": CONFLUENT}, ["field b.ä", "level BACKWARD", "pycdc registry level s --set NONE --url http://127.0.0.1"]),
        (409, {"error_code": 409, "message": APICURIO}, ["incompatible", "field b", "--set NONE"]),
        (404, {"error_code": 40401, "message": "Subject 's' not found."}, ["does not allow us to register", "basic.auth.user.info"]),
        (404, {"error_code": 40403, "message": "Schema not found"}, ["does not know the schema", "auto.register.schemas"]),
        (404, "<html>Not Found</html>", ["no schema registry at this address", "ccompat/v7"]),
        (422, {"error_code": 42201, "message": "Invalid schema"}, ["42201", "schema.name.adjustment.mode=avro"]),
        (403, {"error_code": 40301, "message": "no"}, ["does not allow us to register"]),
        (500, {"error_code": 50001, "message": "Error in the backend data store"}, ["backend data store"]),
        (200, "<html>", ["not a schema registry"]),
        (200, {"version": 1}, ["no id"]),
    ],
)
async def test_refusals_say_what_to_do_and_are_not_repeated(status, body, said):
    server = Server((status, body))
    async with serving(server) as url:
        with pytest.raises(RegistryError) as error:
            await registry(url).fetch_written("s", SCHEMA)
    assert [method for method, *_ in server.requests].count("POST") == 1
    assert not error.value.retriable
    for words in said:
        assert words in str(error.value)


async def test_a_refusal_names_the_level_and_the_fields_though_the_registry_does_not():
    last = SCHEMA.replace('"string"', '"int"').replace('"fields":[{"name":"a"', '"fields":[{"name":"old","type":"int"},{"name":"a"', 1)
    server = Server(
        (409, {"error_code": 409, "message": APICURIO}), (404, {"error_code": 40408, "message": "none"}),
        (200, {"compatibilityLevel": "FULL"}), (200, {"subject": "s", "version": 3, "id": 9, "schema": last}),
    )  # fmt: skip
    async with serving(server) as url:
        with pytest.raises(RegistryError) as error:
            await registry(url).fetch_written("s", SCHEMA)
    assert error.value.what.endswith("field a was int, is string; field old is gone and had no default (level FULL)")
    assert server.paths[1:] == ["GET /config/s", "GET /config", "GET /subjects/s/versions/latest"]


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("{errorType:'TYPE_CHANGED', description:'A type at path '#/properties/after/oneOf/1/properties/t' is different'}", "after.t"),
        ("Incompatible artifact: s [JSON], list of diff types: [Subschema type changed at /properties/t]", "t"),
    ],
)  # fmt: skip
def test_the_field_of_a_json_schema_is_named_and_what_lets_columns_be_added(message, field):
    def said(text):
        body = json.dumps({"error_code": 409, "message": message}).encode()
        return faults.refusal(409, body, url="http://r", subject="s", schema=text, act="register a schema")

    assert said('{"type":"object","properties":{}}').what.endswith(f"one: field {field}")
    assert "object.additional.properties=false" in said('{"type":"object","properties":{}}').hint
    assert "object.additional.properties" not in said('{"type":"object","additionalProperties":false,"properties":{}}').hint
    assert "object.additional.properties" not in said(SCHEMA).hint


PROTO = """syntax = "proto3";
package shop;

message Envelope {
  Value after = 1;
  string op = 2;

  message Value {
    int32 id = 1;
    optional int32 total = 2 [deprecated = false];
  }
}
"""


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ("{errorType:\"FIELD_SCALAR_KIND_CHANGED\", description:\"The kind of a SCALAR field at path '#/Envelope/2' in the new\"}", "field Envelope.op"),
        ("The kind of a SCALAR field at path '#/Envelope.Value/2' in the new; at path '#/Envelope/Value/1'", "field Value.total, Value.id"),
        ("The type of a field at path '#/Envelope/9' in the old; at path '#/Envelope/1/2'", ""),
        ("list of diff types: [Field type changed, message Value , before: string , after int32 at /Value]", "message Value"),
        ("nothing of that", ""),
    ],
)  # fmt: skip
def test_the_field_of_a_proto_text_is_named(message, place):
    body = json.dumps({"error_code": 409, "message": message}).encode()
    told = faults.refusal(409, body, url="http://r", subject="s", schema=PROTO, act="register a schema").what
    assert told.partition("last one")[2].removeprefix(": ") == place


def faults_of(**options):
    faults = []
    RegistryConfig.parse({"schema.registry.url": "http://r:8081", **{k.replace("_", "."): v for k, v in options.items()}}, faults)
    return {f.key: f.message for f in faults}


def test_what_is_wrong_in_a_configuration_is_told(tmp_path):
    assert faults_of(schema_registry_url="r:8081").keys() == {"schema.registry.url"}
    assert faults_of(value_subject_name_strategy="com.acme.Mine").keys() == {"value.subject.name.strategy"}
    assert faults_of(basic_auth_credentials_source="USER_INFO").keys() == {"basic.auth.user.info"}
    assert faults_of(basic_auth_credentials_source="SASL_INHERIT").keys() == {"sasl.jaas.config"}
    assert faults_of(bearer_auth_credentials_source="STATIC_TOKEN").keys() == {"bearer.auth.token"}
    assert faults_of(proxy_host="p").keys() == {"proxy.port"}
    store = "schema.registry.ssl.truststore.location"
    secure = {"schema.registry.url": "https://r"}
    broken = tmp_path / "ca.pem"
    broken.write_text("nothing")
    for path, message in ((tmp_path / "s.jks", "only PEM"), (broken, "cannot be read as PEM"), (tmp_path / "none.pem", "cannot be read")):
        faults = []
        RegistryConfig.parse({**secure, store: str(path)}, faults)
        assert [f.key for f in faults] == [store]
        assert message in faults[0].message


def test_options_without_effect_are_told():
    config = RegistryConfig.parse({"schema.registry.url": "http://r", "use.latest.version": "true"}, [])
    assert list(config.warnings()) == ["use.latest.version has no effect while auto.register.schemas=true"]


def signed(folder):
    key, certificate = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True,
    )  # fmt: skip
    return key, certificate


async def test_tls_with_an_authority_of_ones_own(tmp_path):
    key, certificate = signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server, app = Server((200, {"id": 2})), web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "localhost", port, ssl_context=context).start()
    try:
        trusting = registry(f"https://localhost:{port}", **{"schema.registry.ssl.truststore.location": str(certificate)})
        await trusting.fetch_written("s", SCHEMA)
        assert trusting.written("s", SCHEMA) == (2, SCHEMA)
        with pytest.raises(RegistryError, match="not accepted") as error:
            await registry(f"https://localhost:{port}").fetch_written("s", SCHEMA)
        assert "truststore.location" in error.value.hint
    finally:
        await runner.cleanup()


def admin(urls):
    return RegistryAdmin(RegistryConfig.parse({"schema.registry.url": urls}, []))


async def test_a_subject_without_a_level_of_its_own_has_the_registrys():
    """Confluent's and Karapace's word for it; Apicurio gives the level itself."""
    server = Server((404, {"error_code": 40408, "message": "Subject 'a/b' does not have subject-level compatibility configured"}),
                    (200, {"compatibilityLevel": "BACKWARD"}))  # fmt: skip
    async with serving(server) as url:
        assert await admin(url).level("a/b") == ("BACKWARD", True)
        await admin(url).set_level("a/b", "NONE")
        await admin(url).set_level(None, "FULL")
    assert server.paths == ["GET /config/a%2Fb", "GET /config", "PUT /config/a%2Fb", "PUT /config"]
    assert [body for _, _, body, _ in server.requests[2:]] == ['{"compatibility":"NONE"}', '{"compatibility":"FULL"}']


async def test_a_table_is_found_by_its_connectors_prefix_first():
    server = Server((200, ["public.t-value", "shop.public.t-value", "shop.public.t-key"]))
    async with serving(server) as url:
        asked = admin(url)
        assert await asked.subject_of("public.t", is_key=False, prefix="shop") == "shop.public.t-value"
        assert await asked.subject_of("public.t", is_key=False) == "public.t-value"
        assert await asked.subject_of("shop.public.t", is_key=True) == "shop.public.t-key"
        with pytest.raises(RegistryError, match="no subject of other") as error:
            await asked.subject_of("other", is_key=True)
    assert "pycdc registry subjects" in error.value.hint
