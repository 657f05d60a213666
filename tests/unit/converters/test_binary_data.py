"""Debezium's BinaryDataConverter: bytes as they are, the rest by a converter of the user's choice."""

from decimal import Decimal

import pytest

from pycdc.config.layers import Layered
from pycdc.errors import ConfigError, RecordError
from pycdc.model.schema import BYTES, DECIMAL, INT64, Schema, struct
from pycdc.model.template import Form, Leaf, Reader
from pycdc.plugins.contracts import Cell
from pycdc.plugins.join import load_source

NAME = "io.debezium.converters.BinaryDataConverter"
JSON = "org.apache.kafka.connect.json.JsonConverter"
HEARTBEAT = struct([("ts_ms", INT64)])


def plan(name=NAME, **options):
    return load_source(Layered.of({
        "name": "s", "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "topic.prefix": "p", "database.hostname": "h",
        "database.user": "u", "database.dbname": "d", "bootstrap.servers": "b:1", "value.converter": name,
        **{f"value.converter.{k}": v for k, v in options.items()},
    }), offsets_file=True)  # fmt: skip


def written(converter, schema, value):
    out = []
    return b"".join(out) if converter.write("t", schema, value, out) else None


@pytest.mark.parametrize("name", [NAME, "io.debezium.converters.ByteArrayConverter"])
@pytest.mark.parametrize(("schemas", "heartbeat"), [
    ("false", b'{"ts_ms":5}'),
    ("true", b'{"schema":{"type":"struct","fields":[{"type":"int64","optional":false,"field":"ts_ms"}],"optional":false},"payload":{"ts_ms":5}}'),
])  # fmt: skip
def test_what_is_no_bytes_goes_to_the_delegate(name, schemas, heartbeat):
    made = plan(name, **{"delegate.converter.type": JSON, "delegate.converter.type.schemas.enable": schemas})
    assert made.warnings == ()
    converter = made.value_converter
    assert written(converter, BYTES, b"\x00\x00\x00\x00\x07avro") == b"\x00\x00\x00\x00\x07avro"
    assert written(converter, None, b"x") == b"x"
    assert written(converter, None, None) is None
    assert written(converter, HEARTBEAT, {"ts_ms": 5}) == heartbeat
    amount = Schema(type="bytes", name=DECIMAL, parameters=(("scale", "2"),))
    assert b'"ZA=="' in written(converter, amount, Decimal("1.00"))


def test_a_column_becomes_a_cell():
    out = []
    assert plan().value_converter.write("t", BYTES, Leaf(3, Reader(bytes, Form.DIGITS)), out)
    assert [type(piece) for piece in out] == [Cell]


def test_without_a_delegate_the_error_names_it_and_no_value():
    with pytest.raises(RecordError, match=r"takes only bytes(?s:.*)delegate\.converter\.type") as error:
        plan().value_converter.write("t", HEARTBEAT, {"ts_ms": 777}, [])
    assert "777" not in str(error.value)


@pytest.mark.parametrize(("options", "said"), [
    ({"delegate.converter.type": "org.example.Nothing"}, r"value\.converter\.delegate\.converter\.type"),
    ({"delegate.converter.type": JSON, "delegate.converter.type.schemas.enable": "perhaps"}, r"delegate\.converter\.type\.schemas\.enable"),
])  # fmt: skip
def test_a_wrong_delegate_is_told(options, said):
    with pytest.raises(ConfigError, match=said):
        plan(**options)
