"""The converters of one primitive equal Kafka's own, by a table that golden/make_primitives.py made with them."""

import struct
from pathlib import Path

import pytest

from pycdc.converters import numbers
from pycdc.errors import RecordError
from pycdc.model.schema import Schema
from pycdc.model.template import Form, Leaf, Reader
from pycdc.plugins.contracts import Cell

TABLE = [line.split("\t") for line in Path(__file__, "../golden/primitives.tsv").resolve().read_text().splitlines()]


def converter(name):
    return getattr(numbers, f"{name}Converter")(numbers.NumberConverterConfig.of(), is_key=False)


def value_of(kind, text):
    if text == "null":
        return None
    if kind == "boolean":
        return text == "true"
    if kind == "string":
        return text
    return float(text) if "float" in kind else int(text)


@pytest.mark.parametrize(("name", "kind", "text", "result"), [row[1:] for row in TABLE if row[0] == "write"])
def test_written(name, kind, text, result):
    out = []
    schema = Schema(type=kind, optional=text == "null")
    if result == "refused":
        with pytest.raises(RecordError):
            converter(name).write("t", schema, value_of(kind, text), out)
    else:
        written = converter(name).write("t", schema, value_of(kind, text), out)
        assert (b"".join(out).hex() if written else "null") == result


@pytest.mark.parametrize(("name", "message", "result"), [(row[1], row[3], row[4]) for row in TABLE if row[0] == "read"])
def test_read(name, message, result):
    if result == "refused":
        with pytest.raises(RecordError):
            converter(name).read("t", bytes.fromhex(message))
        return
    schema, value = converter(name).read("t", bytes.fromhex(message))
    kind, optional, text = result.split(" ")
    assert (schema.type, str(schema.optional).lower()) == (kind, optional)
    expected = value_of(kind, text)
    if kind == "float32":
        expected = struct.unpack(">f", struct.pack(">f", expected))[0]
    assert value == expected or (value != value and text == "NaN")


def test_a_leaf_becomes_a_cell():
    out = []
    assert converter("Long").write("t", Schema(type="int64"), Leaf(3, Reader(int, Form.DIGITS)), out)
    (cell,) = out
    assert isinstance(cell, Cell)
    assert (cell.column, cell.encode(b"7")) == (3, b"\0\0\0\0\0\0\0\7")
    with pytest.raises(RecordError):
        converter("Long").write("t", Schema(type="int32"), Leaf(3, Reader(int, Form.DIGITS)), [])
