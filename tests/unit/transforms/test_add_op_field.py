"""StarRocks' own mark in change events."""

import pytest

from pycdc.model.record import Record
from pycdc.model.schema import INT32, OPTIONAL_INT64, STRING, struct
from pycdc.transforms.add_op_field import AddOpFieldConfig, AddOpFieldForDebeziumRecord

ROW = struct([("id", OPTIONAL_INT64)], optional=True)
ENVELOPE = struct([("before", ROW), ("after", ROW), ("op", STRING)], name="s.public.t.Envelope")


@pytest.fixture
def transform():
    return AddOpFieldForDebeziumRecord(AddOpFieldConfig.of())


@pytest.mark.parametrize(("op", "side", "mark"), [("c", "after", 0), ("u", "after", 0), ("d", "before", 1)])
def test_the_row_that_counts_is_marked(transform, op, side, mark):
    value = {"before": None, "after": None, "op": op} | {side: {"id": 7}}
    marked = transform.apply(Record(topic="t", value=value, value_schema=ENVELOPE))
    assert marked.value[side] == {"id": 7, "__op": mark}
    assert marked.value_schema.field(side).field("__op") == INT32
    other = "before" if side == "after" else "after"
    assert marked.value_schema.field(other) == ROW
    assert value[side] == {"id": 7}, "the record that was given stays as it was"
    again = transform.apply(Record(topic="t", value=value, value_schema=ENVELOPE))
    assert again.value_schema is marked.value_schema, "one schema for all rows: batches are made by it"


@pytest.mark.parametrize("record", [
    Record(topic="t", value={"before": None, "after": {"id": 1}, "op": "r"}, value_schema=ENVELOPE), Record(topic="t", value=None),
    Record(topic="t", value={"before": None, "after": {"id": 1}, "op": "c"}), Record(topic="t", value={"id": 1}, value_schema=ROW),
    Record(topic="t", value={"before": None, "after": None, "op": "d"}, value_schema=ENVELOPE),
])  # fmt: skip
def test_everything_else_stays_as_it_is(transform, record):
    assert transform.apply(record) is record
