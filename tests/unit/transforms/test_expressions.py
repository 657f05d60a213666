"""Filter and ContentBasedRouter: the expression language, what it refuses, and what it does over templates."""

from decimal import Decimal

import pytest

from pycdc.errors import RecordError
from pycdc.model.record import Header, Record
from pycdc.model.schema import BOOLEAN, INT32, INT64, OPTIONAL_STRING, STRING, Schema, struct
from pycdc.model.template import Form, Leaf, NeedsValue, Reader
from pycdc.transforms.expression import Expression, ExpressionError
from pycdc.transforms.scripted import ContentBasedRouter, Filter

DECIMAL = Schema(type="bytes", name="org.apache.kafka.connect.data.Decimal", optional=True)
ROW = struct([("id", INT32), ("name", OPTIONAL_STRING), ("n", INT64.replace(optional=True, default=7)), ("vip", BOOLEAN), ("price", DECIMAL),
              ("tags", Schema(type="array", items=STRING))], optional=True, name="Row")  # fmt: skip
ENVELOPE = struct([("before", ROW), ("after", ROW), ("op", STRING), ("source", struct([("table", STRING)]))], name="s.t.Envelope", version=2)
AFTER = {"id": 5, "name": "Ann", "n": None, "vip": True, "price": Decimal("1.50"), "tags": ["a", "b"]}
UPDATE = Record(
    topic="s.public.t", key_schema=struct([("id", INT32)]), key={"id": 5}, value_schema=ENVELOPE,
    value={"before": None, "after": AFTER, "op": "u", "source": {"table": "t"}}, headers=(Header("idh", STRING, "x"),),
)  # fmt: skip
DELETE = UPDATE.replace(value={**UPDATE.value, "op": "d", "before": AFTER, "after": None})


@pytest.mark.parametrize(("text", "value"), [
    ("value.op == 'u'", True), ("value.op == 'u' && value.after.id == 2", False), ('value.op === "u" || value.nope', True),
    ("value.after.name in ['Bob', 'Ann']", True), ("!(value.after.vip)", False), ("not value.after.vip or value.after.id >= 5", True),
    ("value.after.name == 'Ann' ? 'ann' : null", "ann"), ("value.after.vip ? value.source.table + '.' + value.after.id : topic", "t.5"),
    ("value.before?.id", None), ("value.before?.id == null", True), ("value.before == null && value.after != null", True),
    ("value.after.n", 7), ("value.after.n + 1 * 2 - -3", 12), ("value.after.price > 1", True), ("value.after.price == 1.5", True),
    ("value.after.price * 2", Decimal("3.00")), ("value.after.tags[1]", "b"), ("value.after.tags.contains('a')", True), ("value.after['name']", "Ann"),
    ("value.after.get('name').toUpperCase()", "ANN"), ("value.after.name.startsWith('A') and value.after.name.length() == 3", True),
    ("topic =~ 'public'", True), ("topic ==~ 'public'", False), ("topic.matches('s[.].*')", True), ("header.idh.value", "x"), ("header.none?.value", None),
    ("valueSchema.name", "s.t.Envelope"), ("valueSchema.name().endsWith('Envelope')", True), ("valueSchema.version", 2), ("keySchema.name", None),
    ("key.id", 5), ("value.before ?: 'none'", "none"), ("'a\\'b\\n'", "a'b\n"), ("10 % 4 / 2", 1.0), ("1 == true", False), ("value.after.id == '5'", False), ("[]", []),
])  # fmt: skip
def test_what_expressions_say(text, value):
    assert Expression(text).evaluate(UPDATE) == value


@pytest.mark.parametrize("text", [
    "", "value.op = 'u'", "def x = 1; x == 1", "value.op == 'u';", "value.after.tags.any { it == 'a' }", "new File('x')", "System.exit(1)", "value.getClass()",
    "'a' 'b'", '"${topic}"', "__import__('os')", "value.after.name.substring(1)", "x -> x", "value.op == 'u' &&", "a ? b", "'open", "topic.startsWith()", "value.", "((1)",
    "(" * 200 + "1" + ")" * 200, "!" * 200 + "true", "1" + "+1" * 500, "value" + ".a" * 500,
])  # fmt: skip
def test_what_is_outside_the_language_is_refused_with_an_example(text):
    with pytest.raises(ExpressionError, match="Write for example"):
        Expression(text)


def test_a_refused_expression_is_a_fault_of_the_configuration():
    faults = []
    Filter.config.parse({"condition": "value.op = 'u'", "language": "wasm.chicory", "null.handling.mode": "maybe"}, faults)
    assert [f.key for f in faults] == ["language", "null.handling.mode", "condition"]
    assert "character 10" in faults[2].message


@pytest.mark.parametrize("text", ["value.after.id", "value.nope", "value.op.x", "value.before.id > 'a'", "value.op + value", "value.before.tags - 1", "'a'.contains(1)", "'x' in 'xy'", "'a' =~ 1"])
def test_what_has_no_value_stops_the_record(text):
    with pytest.raises(RecordError):
        Expression(text).evaluate(DELETE)


def make(plugin, **config):
    settings = plugin.config.parse({k.replace("_", "."): v for k, v in config.items()}, faults := [])
    assert not faults
    return plugin(settings)


def test_filter_keeps_what_is_true():
    keep = make(Filter, condition="value.op == 'u'", language="jsr223.groovy")
    assert keep.apply(UPDATE) is UPDATE
    assert keep.apply(DELETE) is None


def test_filter_wants_a_truth_value():
    with pytest.raises(RecordError, match="neither true nor false"):
        make(Filter, condition="value.op").apply(UPDATE)


@pytest.mark.parametrize(("mode", "kept"), [("keep", True), ("drop", False), ("evaluate", True)])
def test_records_without_value(mode, kept):
    tombstone = Record(topic="s.public.t", key={"id": 1})
    found = make(Filter, condition="value == null", null_handling_mode=mode).apply(tombstone)
    assert (found is not None) == kept


def test_router_goes_where_the_expression_says():
    router = make(ContentBasedRouter, topic_expression="value.after.vip ? 'vip' : null", topic_regex=".*t")
    assert router.apply(UPDATE).topic == "vip"
    assert router.apply(UPDATE.replace(value={**UPDATE.value, "after": {**AFTER, "vip": False}})).topic == UPDATE.topic
    assert router.apply(UPDATE.replace(topic="other")).topic == "other"
    with pytest.raises(RecordError, match="gives no topic"):
        make(ContentBasedRouter, topic_expression="1").apply(UPDATE)


def test_over_a_template_what_the_template_holds_is_seen_and_a_leaf_is_not():
    leaf = Leaf(0, Reader(int, Form.DIGITS, column_name="id"))
    template = UPDATE.replace(value={**UPDATE.value, "after": {**AFTER, "id": leaf}})
    assert make(Filter, condition="value.op == 'u' && value.source.table == 't'").apply(template) is template
    for condition in ("value.after.id == 5", "value.after.id in [5]", "!value.after.id", "value.after.id ? true : false", "value.after.tags[value.after.id]"):
        with pytest.raises(NeedsValue):
            make(Filter, condition=condition).apply(template)
