"""What the captures of the originals do not show: faults, warnings, and the places where pycdc differs on purpose."""

from decimal import Decimal

import pytest

from pycdc.config.layers import Layered
from pycdc.errors import ConfigError, RecordError
from pycdc.model.envelope import HEADER_UNAVAILABLE
from pycdc.model.record import Header, Record
from pycdc.model.schema import INT32, OPTIONAL_STRING, STRING, Schema, struct
from pycdc.model.template import Form, Leaf, NeedsValue, Reader, fill_value
from pycdc.plan import Chain
from pycdc.plugins import registry
from pycdc.plugins.join import load_source

KAFKA, DEBEZIUM = "org.apache.kafka.connect.transforms.", "io.debezium.transforms."
ROW = struct([("id", INT32), ("v", OPTIONAL_STRING)], optional=True, name="s.t.Value")
ENVELOPE = struct([("before", ROW), ("after", ROW), ("op", STRING)], name="s.t.Envelope", version=2)


def event(op, before=None, after=None, **more):
    value = {"before": before, "after": after, "op": op}
    return Record(topic="s.t", key={"id": 1}, key_schema=struct([("id", INT32)]), value_schema=ENVELOPE, value=value, **more)


def make(name, config):
    plugin = registry.load(registry.TRANSFORM, name)
    settings = plugin.config.parse(config, faults := [])
    assert not faults, faults
    return plugin(settings)


def faults_of(name, config):
    faults = []
    registry.load(registry.TRANSFORM, name).config.parse(config, faults)
    return [f.key for f in faults]


def test_every_name_that_was_promised_is_there():
    names = registry.available(registry.TRANSFORM)
    assert len(names) == len(set(names))
    for name in names:
        plugin = registry.load(registry.TRANSFORM, name)
        assert plugin.moves_only
        assert all(p.doc for p in plugin.config.properties()), name


@pytest.mark.parametrize(("name", "config", "keys"), [
    ("Cast$Value", {}, ["spec"]), ("Cast$Value", {"spec": "a:int7,b:string"}, ["spec"]),
    ("ExtractField$Value", {"field": "`a", "field.syntax.version": "V2"}, ["field"]), ("ExtractField$Value", {"field": " "}, ["field"]),
    ("HeaderFrom$Value", {"fields": "a,b", "headers": "x", "operation": "move"}, ["headers"]), ("HeaderFrom$Value", {}, ["fields", "headers", "operation"]),
    ("InsertField$Value", {}, ["topic.field"]), ("InsertField$Value", {"static.field": "a"}, ["static.value"]), ("InsertField$Value", {"topic.field": "!"}, ["topic.field"]),
    ("ReplaceField$Value", {"renames": "a"}, ["renames"]), ("SetSchemaMetadata$Value", {"schema.version": "one"}, ["schema.version"]),
    ("TimestampConverter$Value", {"target.type": "string"}, ["format"]), ("TimestampConverter$Value", {"target.type": "unix", "format": "YYYY"}, ["format"]),
    ("TimestampRouter", {"timestamp.format": "yyyy b"}, ["timestamp.format"]), ("TimestampRouter", {"timestamp.format": "'x"}, ["timestamp.format"]),
])  # fmt: skip
def test_faults_name_the_option(name, config, keys):
    assert faults_of(KAFKA + name, config) == keys


@pytest.mark.parametrize(("name", "config", "keys"), [
    ("ExtractNewRecordState", {"add.fields": "a.b.c", "delete.tombstone.handling.mode": "keep"}, ["delete.tombstone.handling.mode", "add.fields"]),
    ("ExtractNewRecordState", {"add.fields": "op,ts_ms:op"}, ["add.fields"]),
    ("ByLogicalTableRouter", {"topic.regex": "a", "topic.replacement": "b", "key.field.regex": "("}, ["key.field.replacement", "key.field.regex"]),
    ("TimezoneConverter", {"converted.timezone": "Mars/Olympus"}, ["converted.timezone"]),
    ("TimezoneConverter", {"converted.timezone": "UTC", "include.list": "source:t", "exclude.list": "topic:t"}, ["exclude.list"]),
    ("outbox.EventRouter", {"table.fields.additional.placement": "a:body"}, ["table.fields.additional.placement"]),
    ("partitions.PartitionRouting", {}, ["partition.payload.fields", "partition.topic.num"]),
    ("HeaderToValue", {"headers": "a", "fields": "a,b", "operation": "move"}, ["fields"]),
])  # fmt: skip
def test_debeziums_faults_name_the_option(name, config, keys):
    assert faults_of(DEBEZIUM + name, config) == keys


@pytest.mark.parametrize(("name", "config", "field"), [
    ("Cast$Value", {"spec": "v:int32"}, "field v"), ("ExtractField$Value", {"field": "nope"}, "field nope"), ("ValueToKey", {"fields": "nope"}, "field nope"),
    ("TimestampConverter$Value", {"field": "id", "target.type": "unix"}, "field id"), ("MaskField$Value", {"fields": "id", "replacement": "x"}, "field id"),
    ("InsertField$Value", {"topic.field": "id"}, "field id"),
])  # fmt: skip
def test_errors_name_the_field_and_not_the_value(name, config, field):
    record = Record(topic="t", value_schema=ROW, value={"id": 1, "v": "secret"})
    with pytest.raises(RecordError) as error:
        make(KAFKA + name, config).apply(record)
    assert field in error.value.cause
    assert "secret" not in str(error.value)


def chain_of(**config):
    base = {
        "name": "c", "connector.class": "postgres", "topic.prefix": "p", "database.hostname": "h", "database.user": "u",
        "database.dbname": "d", "bootstrap.servers": "h:1", "offset.storage.topic": "o",
    }  # fmt: skip
    plan = load_source(Layered.of({**base, **{k.replace("__", "$").replace("_", "."): v for k, v in config.items()}}, "c.json"))
    return Chain(plan.transforms), plan


def test_predicates_choose_and_negate_turns_the_choice():
    chain, _ = chain_of(
        transforms="f", transforms_f_type=KAFKA + "Filter", transforms_f_predicate="p", transforms_f_negate="true",
        predicates="p", predicates_p_type=KAFKA + "predicates.TopicNameMatches", predicates_p_pattern=r"s\..*",
    )  # fmt: skip
    kept = event("c")
    assert chain.apply(kept) is kept
    assert chain.apply(kept.replace(topic="other")) is None


def test_a_filter_whose_short_name_two_classes_have_is_told():
    with pytest.raises(ConfigError, match="write the full name"):
        chain_of(transforms="f", transforms_f_type="Filter")


def test_a_fault_of_a_transform_has_its_whole_key():
    with pytest.raises(ConfigError) as error:
        chain_of(transforms="c", transforms_c_type="Cast$Value", transforms_c_spec="x")
    assert [f.key for f in error.value.faults] == ["transforms.c.spec"]


A, B = {"id": 1, "v": "a"}, {"id": 1, "v": "b"}
TOMBSTONE = Record(topic="s.t", key={"id": 1})


@pytest.mark.parametrize(("config", "deleted", "tombstone"), [
    ({"delete.handling.mode": "none"}, None, False), ({"delete.handling.mode": "none", "drop.tombstones": "false"}, None, True),
    ({"delete.handling.mode": "drop"}, "dropped", False), ({"delete.handling.mode": "drop", "drop.tombstones": "false"}, "dropped", True),
    ({"delete.handling.mode": "rewrite"}, {**A, "__deleted": "true"}, False),
    ({"delete.handling.mode": "rewrite", "drop.tombstones": "false"}, {**A, "__deleted": "true"}, True),
    ({"delete.handling.mode": "rewrite", "delete.tombstone.handling.mode": "drop"}, "dropped", False), ({"drop.tombstones": "false"}, None, False),
])  # fmt: skip
def test_options_of_older_releases_are_followed_when_they_stand_alone(config, deleted, tombstone):
    unwrap = make(DEBEZIUM + "ExtractNewRecordState", config)
    found = unwrap.apply(event("d", before=A))
    assert ("dropped" if found is None else found.value) == deleted
    assert (unwrap.apply(TOMBSTONE) is not None) == tombstone
    _, plan = chain_of(**{"transforms": "u", "transforms_u_type": DEBEZIUM + "ExtractNewRecordState", **{f"transforms_u_{k}": v for k, v in config.items()}})
    assert any("older release" in w for w in plan.warnings)


def test_a_tombstone_behind_a_rewritten_delete_has_its_own_header_only():
    unwrap = make(DEBEZIUM + "ExtractNewRecordState", {"delete.tombstone.handling.mode": "rewrite-with-tombstone", "add.headers": "op"})
    assert [(h.key, h.value) for h in unwrap.apply(TOMBSTONE).headers] == [("__op", "d")]


def test_an_image_that_an_event_has_not_is_not_counted_in_its_partition():
    route = make(DEBEZIUM + "partitions.PartitionRouting", {"partition.payload.fields": "before.id,after.id", "partition.topic.num": "100"})
    assert route.apply(event("c", after=B)).partition == 1


def test_a_json_list_at_the_root_of_a_payload_is_expanded_and_what_disagrees_stays_text():
    row = struct([("id", STRING), ("aggregateid", STRING), ("aggregatetype", STRING), ("payload", OPTIONAL_STRING)], name="s.outbox.Value")
    schema = struct([("before", row), ("after", row), ("op", STRING), ("ts_ms", INT32)], name="s.outbox.Envelope")
    router = make(DEBEZIUM + "outbox.EventRouter", {"table.expand.json.payload": "true"})

    def routed(payload):
        after = {"id": "e", "aggregateid": "k", "aggregatetype": "T", "payload": payload}
        return router.apply(Record(topic="s.outbox", value_schema=schema, value={"before": None, "after": after, "op": "c", "ts_ms": 5}))

    found = routed('[{"a":1},{"b":"x"}]')
    assert (found.value_schema.type, found.value, found.timestamp) == ("array", [{"a": 1, "b": None}, {"a": None, "b": "x"}], 5)
    assert routed('[{"a":2},{"b":"y"}]').value_schema is found.value_schema
    whole = routed('[{"a":1},{"a":1.5}]')
    assert (whole.value_schema, whole.value) == (OPTIONAL_STRING, '[{"a":1},{"a":1.5}]')


def test_a_renamed_column_is_renamed_in_the_header_that_keeps_sinks_from_it():
    rename = make(KAFKA + "ReplaceField$Value", {"renames": "v:w"})
    record = Record(topic="t", value_schema=ROW, value=A, headers=(Header(HEADER_UNAVAILABLE, STRING, "v,x"),))
    assert rename.apply(record).headers[0].value == "w,x"


def test_infinity_stays_in_every_zone():
    zone = make(DEBEZIUM + "TimezoneConverter", {"converted.timezone": "America/New_York"})
    row = struct([("z", Schema(type="string", name="io.debezium.time.ZonedTimestamp")), ("us", Schema(type="int64", name="io.debezium.time.MicroTimestamp"))])
    schema = struct([("after", row), ("op", STRING)], name="s.Envelope")
    after = zone.apply(Record(topic="t", value_schema=schema, value={"after": {"z": "infinity", "us": 2**63 - 1}, "op": "c"})).value["after"]
    assert after == {"z": "infinity", "us": 2**63 - 1}


LEAF = Leaf(0, Reader(lambda text: text.decode(), Form.TEXT, column_name="v"))


@pytest.mark.parametrize(("name", "config"), [
    ("ExtractField$Value", {"field": "v"}), ("ReplaceField$Value", {"exclude": "v"}),
    ("Flatten$Value", {}), ("InsertField$Value", {"topic.field": "t"}), ("Cast$Value", {"spec": "string"}), ("MaskField$Value", {"fields": "v"}),
    ("HeaderFrom$Value", {"fields": "v", "headers": "h", "operation": "move"}), ("ValueToKey", {"fields": "v"}),
])  # fmt: skip
def test_a_leaf_in_place_of_the_whole_value_is_not_taken_for_a_struct_nor_for_null(name, config):
    record = Record(topic="t", value_schema=OPTIONAL_STRING, value=LEAF)
    transform = make(KAFKA + name, config)
    with pytest.raises(NeedsValue):
        transform.apply(record)


def test_a_mapped_leaf_is_read_and_changed_with_its_row():
    cast = make(KAFKA + "Cast$Value", {"spec": "v:int32"})
    leaf = cast.apply(Record(topic="t", value_schema=ROW, value={"id": 1, "v": LEAF})).value["v"]
    assert fill_value(leaf, [b"12"]) == 12
    assert fill_value(leaf, [None]) is None
    with pytest.raises(ValueError, match="cannot be cast"):
        fill_value(leaf, [b"x"])


def test_what_the_originals_cannot_write_has_a_value_here():
    decimal = Schema(type="bytes", name="org.apache.kafka.connect.data.Decimal", parameters=(("scale", "2"),))
    row = struct([("n", decimal)])
    mask = make(KAFKA + "MaskField$Value", {"fields": "n"})
    assert mask.apply(Record(topic="t", value_schema=row, value={"n": Decimal("1.50")})).value == {"n": 0}
    named = make(KAFKA + "SetSchemaMetadata$Value", {"schema.name": "N"}).apply(Record(topic="t", value_schema=STRING, value="x"))
    assert (named.value_schema.name, named.value) == ("N", "x")


def test_a_year_of_two_digits_is_not_guessed():
    convert = make(KAFKA + "TimestampConverter$Value", {"field": "v", "target.type": "unix", "format": "dd/MM/yy"})
    with pytest.raises(RecordError, match="not of the format"):
        convert.apply(Record(topic="t", value_schema=ROW, value={"id": 1, "v": "01/02/21"}))
