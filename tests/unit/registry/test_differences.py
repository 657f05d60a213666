"""What is said of two schemas that differ."""

import json

import pytest

from pycdc.registry.differences import differences


def record(*fields, name="R", **more):
    return {"type": "record", "name": name, "fields": [{"name": n, "type": t, **d} for n, t, *rest in fields for d in [rest[0] if rest else {}]], **more}


def envelope(row):
    return record(("before", ["null", row], {"default": None}), ("after", ["null", row["name"]], {"default": None}), ("op", "string"), name="Envelope")


OPTIONAL = ["null", "int"]
NULL = {"default": None}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (record(("a", "int")), record(("a", "int")), []),
        (record(("a", "int")), record(("a", {"type": "int", "connect.name": "x"})), []),
        (record(("a", ["null", "int"], NULL)), record(("a", ["int", "null"], {"default": 0})), []),
        (record(("a", "int")), record(("a", "long")), ["field a was int, is long"]),
        (record(("a", OPTIONAL, NULL)), record(("a", "int")), ["field a may no longer be null"]),
        (record(("a", "int")), record(("a", OPTIONAL, NULL)), []),
        (record(("a", "int")), record(("a", "int"), ("b", "int")), ["field b is new and has no default"]),
        (record(("a", "int")), record(("a", "int"), ("b", OPTIONAL, NULL)), ["field b is new"]),
        (record(("a", "int"), ("b", OPTIONAL, NULL)), record(("a", "int")), ["field b is gone"]),
        (record(("a", "int"), ("b", "int")), record(("a", "int")), ["field b is gone and had no default"]),
        (
            record(("a", {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2})),
            record(("a", {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 3})),
            ["field a was decimal(5,2), is decimal(6,3)"],
        ),
        (record(("a", {"type": "array", "items": "int"})), record(("a", {"type": "array", "items": "long"})), ["field a was int, is long"]),
        (
            record(("a", {"type": "enum", "name": "E", "symbols": ["x", "y"]})),
            record(("a", {"type": "enum", "name": "E", "symbols": ["y", "z"]})),
            ["field a no longer has x; now has z"],
        ),
        (record(("a", record(("b", "int"), name="I"))), record(("a", record(("b", "string"), name="I"))), ["field a.b was int, is string"]),
        (record(("a", "int")), record(("a", "int"), name="S"), ["the schema was record R, is record S"]),
        (envelope(record(("v", "int"), name="Value")), envelope(record(("v", "string"), name="Value")), ["field v was int, is string"]),
        ("int", "long", ["the schema was int, is long"]),
    ],
)
def test_differences(old, new, said):
    assert differences(json.dumps(old), json.dumps(new)) == said


def test_what_is_not_avro_has_none():
    assert differences('syntax = "proto3";', "{}") == []


def test_a_record_that_holds_itself_ends():
    old = record(("v", "int"), ("next", ["null", "R"], NULL))
    new = record(("v", "long"), ("next", ["null", "R"], NULL))
    assert differences(json.dumps(old), json.dumps(new)) == ["field v was int, is long"]


def closed(**properties):
    return {"type": "object", "properties": properties, "additionalProperties": False}


TEXT = {"type": "string", "title": "x"}
NUMBER = {"oneOf": [{"type": "null"}, {"type": "integer", "connect.type": "int32"}]}


def json_envelope(**row):
    side = {"oneOf": [{"type": "null"}, {"type": "object", "properties": row}]}
    return {"type": "object", "properties": {"before": side, "after": side}}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (closed(a=TEXT), closed(a={"type": "string"}), []),
        (closed(a=TEXT), closed(a=NUMBER), ["field a was string, is null or integer"]),
        (closed(a=TEXT), closed(b=TEXT), ["field b is new", "field a is gone"]),
        ({**closed(a=TEXT), "additionalProperties": True}, closed(a=TEXT), ["the schema was object, is closed object"]),
        (json_envelope(a=TEXT), json_envelope(a=NUMBER), ["field a was string, is null or integer"]),
        (
            {"definitions": {"r": closed(a=TEXT)}, **closed(r={"$ref": "#/definitions/r"})},
            {"definitions": {"r": closed(a=NUMBER)}, **closed(r={"$ref": "#/definitions/r"})},
            ["field r.a was string, is null or integer"],
        ),
        (closed(a={"$ref": "#"}), closed(a={"$ref": "#"}), []),
        (closed(a={"type": ["null", "string"]}), closed(a={"$ref": "other.json"}), ["field a was null or string, is anything"]),
    ],
)
def test_the_properties_of_json_schemas_that_differ_are_told(old, new, said):
    assert differences(json.dumps(old), json.dumps(new), "JSON") == said


def test_definitions_that_lead_to_each_other_have_an_end():
    names = [f"d{n}" for n in range(12)]
    definitions = {n: {"type": "object", "properties": {m: {"$ref": f"#/definitions/{m}"} for m in names}} for n in names}
    old, new = (json.dumps({"definitions": definitions, **closed(b=kind, a={"$ref": "#/definitions/d0"})}) for kind in (TEXT, NUMBER))
    assert differences(old, new, "JSON") == ["field b was string, is null or integer"]


PROTO = """syntax = "proto3";
package shop; // message Nothing { int32 no = 1; }
option java_package = "a{b";

message Envelope {
  Value after = 1;
  map<string, int32> sizes = 2;
  oneof one { string s = 3; }
  enum Kind { A = 0; B = 1; }

  message Value { int32 id = 1; optional string t = 2 [deprecated = false]; }
}
message Last { bool b = 1; }
"""


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("int32 id", "int32 id", []),
        ("optional string t", "optional  int32 t", ["field Envelope.Value.t was optional string = 2, is optional int32 = 2"]),
        ("string s = 3", "string s = 4", ["field Envelope.s was string = 3, is string = 4"]),
        ("map<string, int32>", "map<string, int64>", ["field Envelope.sizes was map<string, int32> = 2, is map<string, int64> = 2"]),
        ("bool b", "bool c", ["field Last.c is new", "field Last.b is gone"]),
    ],
)
def test_the_fields_of_proto_texts_that_differ_are_told(was, now, said):
    assert differences(PROTO, PROTO.replace(was, now), "PROTOBUF") == said


@pytest.mark.parametrize("kind", ["AVRO", "JSON", "PROTOBUF"])
def test_of_what_cannot_be_read_nothing_is_told(kind):
    assert differences("{", "nothing", kind) == []
