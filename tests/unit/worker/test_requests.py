"""Bodies of requests: what becomes text, what is refused and how."""

import json

import pytest

from pycdc.worker.configs import Target
from pycdc.worker.requests import (
    Create,
    PartitionOffset,
    RequestError,
    config_of,
    create_of,
    level_of,
    offsets_of,
    patched,
)


def refused(read, body):
    with pytest.raises(RequestError) as caught:
        read(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert caught.value.status == 400
    return caught.value.message


@pytest.mark.parametrize(("value", "text"), [
    ('"x"', "x"), ("1", "1"), ("true", "true"), ("false", "false"), ("null", None), ("1.5", "1.5"), ("1.50", "1.5"), ("1e3", "1000.0"), ("-0.0", "-0.0"),
    ("12345678901234567890", "12345678901234567890"), ('""', ""), ('"\\uD83D\\uDE00"', "😀"), ("1e30", "1.0E30"),
])  # fmt: skip
def test_plain_values_are_texts_the_java_way(value, text):
    assert config_of(b'{"k": %b}' % value.encode()) == {"k": text}


def test_a_connector_to_be_made():
    body = {"name": " \n x y\t", "config": {"a": 1}, "initial_state": "stopped"}
    assert create_of(json.dumps(body).encode()) == Create("x y", {"a": "1"}, Target.STOPPED)
    assert create_of(b'{"name": 5, "config": {}}') == Create("5", {}, None)
    assert create_of(b'{"config": {}}').name == ""
    assert create_of(b'{"name": "x", "config": {}, "initial_state": "RUNNING"}').target is Target.STARTED


@pytest.mark.parametrize(("body", "words"), [
    (b"not json", "no JSON"), (b'{"name": ', "no JSON"), (b"", "no JSON"), (b"\xff", "no JSON"), (b"[]", "a list"), (b"null", "null"), (b"true", "a boolean"),
    (b'{"name": "x", "config": {},}', "line 1"), (b'{"name": "x"}', "config"), ({"name": "x", "config": "x"}, "config"),
    ({"name": "x", "config": {}, "extra": 1}, "'extra'"), ({"NAME": "x", "config": {}}, "'NAME'"),
    ({"name": "x", "config": {}, "initial_state": "BOGUS"}, "RUNNING, PAUSED, STOPPED"), ({"name": ["x"], "config": {}}, "'name'"),
    ({"name": "x", "config": {"a": {"b": 1}}}, "'a'"), ({"name": "x", "config": {"a": [1]}}, "a list"), (b'{"name": "x", "config": {"a": NaN}}', "NaN"),
    (b"[" * 100_000, "no JSON"), (b'{"name": "x", "config": {"a": ' + b"9" * 5000 + b"}}", "no JSON"),
])  # fmt: skip
def test_what_cannot_be_read_is_told(body, words):
    assert words in refused(create_of, body)


def test_values_are_not_repeated():
    assert "secret" not in refused(create_of, {"name": "x", "config": {"password": ["secret"]}})


def test_a_patch_takes_away_what_is_null():
    assert patched({"a": "1", "b": "2", "c": None}, {"a": None, "d": "4", "b": "3"}) == {"b": "3", "c": None, "d": "4"}


def test_offsets_come_in_their_order():
    body = {"offsets": [{"partition": {"server": "x"}, "offset": {"lsn": 1}}, {"partition": None, "offset": None}, {"partition": {}}]}
    assert offsets_of(json.dumps(body).encode()) == [
        PartitionOffset({"server": "x"}, {"lsn": 1}), PartitionOffset(None, None), PartitionOffset({}, None),
    ]  # fmt: skip


@pytest.mark.parametrize("body", [{}, {"offsets": None}, {"offsets": []}])
def test_no_offsets_are_told_in_connects_words(body):
    assert refused(offsets_of, body) == "Partitions / offsets need to be provided for an alter offsets request"


@pytest.mark.parametrize("body", [{"offsets": 1}, {"offsets": [1]}, {"offsets": [{"partition": "x"}]}, {"offsets": [{"partition": {}, "offset": []}]}])
def test_offsets_of_another_shape_are_told(body):
    assert "offset" in refused(offsets_of, body)


def test_a_loggers_level():
    assert level_of(b'{"level": "DEBUG"}') == "DEBUG"
    assert level_of(b'{"level": 5}') == "5"
    assert refused(level_of, {}) == "Desired 'level' parameter was not specified in request."
