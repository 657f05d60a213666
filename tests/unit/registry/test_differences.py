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
