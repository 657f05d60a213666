"""The client against what a running Karapace answered: karapace_answers.json, recorded with this client's own requests.

Each test asks what was asked then; a request that differs from the recorded one fails the test.
"""

import json
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from pycdc.errors import RegistryError
from pycdc.registry import RegistryConfig, client
from pycdc.registry.admin import RegistryAdmin
from pycdc.registry.faults import Incompatible, NotThere, Unexplained
from pycdc.runtime.fetching import Fetching

RECORDED = json.loads(Path(__file__).with_name("karapace_answers.json").read_text())["answers"]
S = "shop.public.orders-value"


def avro(**types):
    fields = [{"name": name, "type": type_} for name, type_ in types.items()]
    return json.dumps({"type": "record", "name": "Value", "namespace": "shop.public.orders", "fields": fields}, separators=(",", ":"))


def json_schema(t, **more):
    properties = {"id": {"type": "integer"}, "t": {"oneOf": [{"type": "null"}, {"type": t}]}, **more}
    return json.dumps({"type": "object", "title": "shop.Value", "properties": properties}, separators=(",", ":"))


ONE, BAD = avro(id="int", t="string"), avro(id="int", t="int", n="long")
STORED = '{"fields":[{"name":"id","type":"int"},{"name":"t","type":"string"}],"name":"Value","namespace":"shop.public.orders","type":"record"}'
PROTO = 'syntax = "proto3";\npackage shop;\n\nmessage Value {\n  int32 id = 1;\n  optional string t = 2;\n}\n'
LOOK_UP = {"auto.register.schemas": "false"}
LATEST = {**LOOK_UP, "use.latest.version": "true"}


@asynccontextmanager
async def karapace(name):
    """Its address, at which the recorded requests of that name, and no others, are answered in their order."""
    left = [answer for answer in RECORDED[name] for _ in range(answer.get("times", 1))]
    met, wanted = [], [(a["request"], a.get("sent")) for a in left]

    async def answer(request):
        sent = await request.text()
        met.append((f"{request.method} {request.path_qs}", json.loads(sent) if sent else None))
        if not left or met[-1] != wanted[len(met) - 1]:
            return web.Response(status=418)
        recorded = left.pop(0)
        text = recorded["text"] if "text" in recorded else json.dumps(recorded["body"])
        return web.Response(status=recorded["status"], text=text, headers={"Content-Type": recorded["type"]})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")
    assert met == wanted


def registry(url, kind="AVRO", **options):
    config = RegistryConfig.parse({"schema.registry.url": url, **options}, faults := [])
    assert not faults
    return RegistryAdmin(config, kind)


async def refused(coroutine):
    with pytest.raises(RegistryError) as error:
        await coroutine
    return error.value


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(client, "_BACK_OFF", 0.001)
    monkeypatch.setattr("pycdc.runtime.fetching._FIRST_PAUSE", 0.001)


async def test_schemas_are_registered_and_looked_up():
    for name, subject_name in (("registered", S), ("follower: registered", "f-value")):
        async with karapace(name) as url:
            subject = registry(url)
            await subject.fetch_written(subject_name, ONE)
        assert subject.written(subject_name, ONE) == (1, ONE)
    async with karapace("looked up") as url:
        subject = registry(url, **LOOK_UP)
        await subject.fetch_written(S, ONE)
    assert subject.written(S, ONE) == (1, ONE)


async def test_a_subject_keeps_its_plus_sign():
    async with karapace("registered again, with a plus in the subject") as url:
        await registry(url).fetch_written("a+b/c d-value", ONE)
        assert await registry(url).subjects() == ["a+b/c d-value", S]


async def test_the_latest_version_and_an_id_give_the_text_as_karapace_keeps_it():
    async with karapace("latest") as url:
        subject = registry(url, **LATEST)
        await subject.fetch_written(S, ONE)
    assert subject.written(S, ONE) == (1, STORED), "with the keys of objects in alphabetic order"
    async with karapace("by id") as url:
        subject = registry(url, **LOOK_UP, **{"use.schema.id": "1"})
        await subject.fetch_written(S, ONE)
        assert subject.written(S, ONE) == (1, STORED)
        error = await refused(registry(url).fetch_text(99, S))
    assert "does not know the schema: cannot find schema 99" in error.what
    async with karapace("other kinds latest") as url:
        for kind, name, text in (("JSON", "j-value", json_schema("string")), ("PROTOBUF", "p-value", PROTO)):
            subject = registry(url, kind, **LATEST)
            await subject.fetch_written(name, text)
            assert subject.written(name, text) is not None


async def test_what_is_not_there_is_told():
    async with karapace("not looked up") as url:
        assert "does not know the schema: cannot look up" in (await refused(registry(url, **LOOK_UP).fetch_written(S, BAD))).what
        assert isinstance(await refused(registry(url, **LOOK_UP).fetch_written("none-value", ONE)), NotThere)
    async with karapace("no latest") as url:
        assert isinstance(await refused(registry(url, **LATEST).fetch_written("none-value", ONE)), NotThere)
    async with karapace("shown") as url:
        assert await registry(url).versions(S) == [1]
        assert (await registry(url).schema(S))["id"] == 1
        assert "cannot find version 7" in (await refused(registry(url).schema(S, "7"))).what
        assert isinstance(await refused(registry(url).schema("none-value")), NotThere)
    async with karapace("another address") as url:
        assert "no schema registry at this address" in (await refused(registry(f"{url}/apis/ccompat/v7").fetch_text(1, S))).what


async def test_levels_are_read_set_and_taken_back():
    async with karapace("levels") as url:
        asked = registry(url)
        assert await asked.level(None) == ("BACKWARD", False)
        assert await asked.level(S) == ("BACKWARD", True)
        await asked.set_level(S, "FULL")
        assert await asked.level(S) == ("FULL", False)
        await asked.unset_level(S)
        assert await asked.level(S) == ("BACKWARD", True)
        assert await asked.level("none-value") == ("BACKWARD", True)
    async with karapace("whole registry's level") as url:
        await registry(url).set_level(None, "FULL_TRANSITIVE")
        assert await registry(url).level(None) == ("FULL_TRANSITIVE", False)
        await registry(url).set_level(None, "BACKWARD")
    async with karapace("follower: level") as url:
        await registry(url).set_level("f-value", "NONE")
        assert await registry(url).level("f-value") == ("NONE", False)
        await registry(url).unset_level("f-value")


async def test_a_level_or_version_that_is_none_is_not_called_a_schema():
    async with karapace("no level") as url:
        error = await refused(registry(url).set_level(S, "SOME"))
    assert (error.what, error.hint) == ("the registry could not set the level", "")
    assert "42203: Invalid compatibility level" in error.cause
    async with karapace("no version") as url:
        assert (await refused(registry(url).schema(S, "newest"))).what == "the registry could not find version newest"


async def test_a_refusal_names_the_fields_the_level_and_the_command():
    async with karapace("incompatible avro") as url:
        error = await refused(registry(url).fetch_written(S, BAD))
    assert error.what.endswith("last one: field t was string, is int; field n is new and has no default (level BACKWARD)")
    assert f"pycdc registry level {S} --set NONE --url {url}" in error.hint
    assert not error.retriable


async def test_the_fields_of_other_kinds_are_named_though_karapace_names_none():
    async with karapace("incompatible json") as url:
        await registry(url, "JSON").fetch_written("j-value", json_schema("string"))
        changed = await refused(registry(url, "JSON").fetch_written("j-value", json_schema("integer")))
        added = await refused(registry(url, "JSON").fetch_written("j-value", json_schema("string", more={"type": "string"})))
    assert changed.what.endswith("field t was null or string, is null or integer (level BACKWARD)")
    assert added.what.endswith("field more is new (level BACKWARD)")
    assert "object.additional.properties=false" in added.hint
    async with karapace("incompatible protobuf") as url:
        await registry(url, "PROTOBUF").fetch_written("p-value", PROTO)
        error = await refused(registry(url, "PROTOBUF").fetch_written("p-value", PROTO.replace("optional string", "optional int32")))
    assert error.what.endswith("field Value.t was optional string = 2, is optional int32 = 2 (level BACKWARD)")


async def test_a_subject_of_another_kind_is_told():
    async with karapace("another kind") as url:
        error = await refused(registry(url).fetch_written("p-value", ONE))
    assert error.what.endswith("last one: that is PROTOBUF, not AVRO (level BACKWARD)")


async def test_an_invalid_schema_is_told():
    async with karapace("invalid avro") as url:
        error = await refused(registry(url).fetch_written("i-value", '{"type":"record","name":"a-b","fields":[]}'))
    assert "does not accept the schema as valid" in error.what
    assert "a-b is not a valid Avro name" in error.cause
    assert "schema.name.adjustment.mode=avro" in error.hint
    async with karapace("invalid json and protobuf") as url:
        for kind, text in (("JSON", '{"type":"nope"}'), ("PROTOBUF", "syntax = nothing")):
            error = await refused(registry(url, kind).fetch_written("i-value", text))
            assert "does not accept the schema as valid" in error.what
            assert f"Invalid {kind} schema" in error.cause


async def test_a_follower_that_hides_the_primarys_refusal_is_asked_for_it():
    """5.0 gives a bare HTTP 500 for whatever the primary refuses."""
    async with karapace("follower: incompatible") as url:
        error = await refused(registry(url).fetch_written("f-value", BAD))
    assert isinstance(error, Incompatible)
    assert not error.retriable
    assert error.what.endswith("last one: field t was string, is int; field n is new and has no default (level BACKWARD)")
    assert error.cause == (
        "HTTP 500: Internal Server Error; asked whether it is compatible it says no: "
        "reader type: int not compatible with writer type: string; n"
    )
    assert f"pycdc registry level f-value --set NONE --url {url}" in error.hint


async def test_the_next_address_is_asked_before_that():
    async with karapace("follower, then primary: incompatible") as url:
        error = await refused(registry(f"{url},{url}").fetch_written("f-value", BAD))
    assert isinstance(error, Incompatible)
    assert error.cause.startswith("HTTP 409")


@pytest.mark.parametrize(("name", "name_of_subject", "codes"), [("primary gone", "g-value", {None, 50003}), ("4.2.0: primary gone", "h-value", {500, 50003})])
async def test_a_primary_that_goes_is_waited_for_until_there_is_another(name, name_of_subject, codes):
    told = []
    async with karapace(name) as url:
        subject = registry(url)

        class Waiting:
            async def fetch(self):
                await subject.fetch_written(name_of_subject, ONE)

        await Fetching(told.append)(Waiting())
    assert subject.written(name_of_subject, ONE) is not None
    assert isinstance(told[0], Unexplained)
    assert told[-1] is None
    answered = {a.get("body", {}).get("error_code") for a in RECORDED[name] if a["status"] == 500}
    assert answered == codes, "both ways in which it says so were met"


LOGIN = {"basic.auth.credentials.source": "USER_INFO", "basic.auth.user.info": "bo:pw"}


async def test_logins():
    for name, what in (("no login", "does not let us in"), ("wrong login", "does not let us in")):
        async with karapace(name) as url:
            error = await refused(registry(url, **LOGIN).fetch_written(S, ONE))
        assert what in error.what
        assert not error.retriable
    async with karapace("login") as url:
        await registry(url, **LOGIN).fetch_written(S, ONE)
    async with karapace("may not write") as url:
        assert "does not allow us to register" in (await refused(registry(url, **LOGIN).fetch_written(S, ONE))).what
        assert "does not allow us to set the level" in (await refused(registry(url, **LOGIN).set_level(S, "NONE"))).what
    async with karapace("6.2.0: may not write") as url:
        error = await refused(registry(url, **LOGIN).fetch_written(S, ONE))
        assert "does not allow us to register" in error.what, "to register, a subject need not be there"
        assert "40401" in error.cause
        assert "the login has no right to" in (await refused(registry(url, **LOGIN).set_level(S, "NONE"))).hint
    async with karapace("may not read the whole registry's level") as url:
        assert "does not allow us to read the level" in (await refused(registry(url, **LOGIN).level(S))).what
