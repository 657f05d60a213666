"""The one parse: faults all at once, unread keys, old names, converters by layer, secrets never echoed."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from pycdc.config.layers import Entry, Layer, Layered, layered
from pycdc.errors import ConfigError
from pycdc.model.record import Record
from pycdc.plugins import registry
from pycdc.plugins.join import SourcePlan, load_sink, load_source

HERE = str(Path(__file__).parent)
STRING = "org.apache.kafka.connect.storage.StringConverter"
JSON = "org.apache.kafka.connect.json.JsonConverter"


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [HERE, *sys.path])
    table = {
        registry.SOURCE: {"org.example.FakeSource": "stand_ins:FakeSource", "fake": "stand_ins:FakeSource"},
        registry.SINK: {"org.example.FakeSink": "stand_ins:FakeSink"},
        registry.CONVERTER: registry.TABLE[registry.CONVERTER],
        registry.TRANSFORM: {"org.example.Router": "stand_ins:Router"},
        registry.PREDICATE: {"org.example.Matches": "stand_ins:Matches"},
    }
    monkeypatch.setattr(registry, "TABLE", table)


def good(**more: str) -> dict[str, str]:
    base = {
        "name": "shop",
        "connector.class": "org.example.FakeSource",
        "topic.prefix": "shop",
        "bootstrap.servers": "127.0.0.1:1",
        "offset.storage.topic": "offsets",
    }
    return {**base, **{k.replace("__", "."): v for k, v in more.items()}}


def plan(config: dict[str, str], **how: Any) -> SourcePlan:
    return load_source(Layered.of(config, "c.json"), **how)


def refused(config: dict[str, str], **how: Any) -> ConfigError:
    with pytest.raises(ConfigError) as error:
        plan(config, **how)
    assert error.value.exit_code == 2
    return error.value


def faults(config: dict[str, str], **how: Any) -> dict[str, str]:
    return {f.key: f.message for f in refused(config, **how).faults}


def test_a_right_configuration_becomes_a_plan_without_a_warning() -> None:
    made = plan(good())
    assert made.warnings == ()
    assert (made.name, made.connector_class, made.offset_topic) == ("shop", "org.example.FakeSource", "offsets")
    assert type(made.key_converter).__name__ == type(made.value_converter).__name__ == "JsonConverter"
    assert type(made.header_converter).__name__ == "SimpleHeaderConverter"
    source: Any = made.make_source()
    assert source.settings.prefix == "shop"
    assert made.make_source() is not source


def test_every_fault_is_in_one_error() -> None:
    config = good(database__port="x", snapshot__mode="sometimes", offset__flush__interval__ms="0", exactly__once__support="required")
    config |= {"transforms": "t,u", "transforms.t.type": "org.example.Router", "transforms.u.type": "org.example.Ruoter"}
    config |= {"key.converter": "Nope", "value.converter.schemas.enable": "maybe"}
    del config["topic.prefix"], config["bootstrap.servers"]
    found = faults(config)
    assert set(found) == {
        "database.port", "snapshot.mode", "offset.flush.interval.ms", "exactly.once.support", "transforms.t.regex",
        "transforms.u.type", "key.converter", "value.converter.schemas.enable", "topic.prefix", "bootstrap.servers",
    }  # fmt: skip
    assert "whole number" in found["database.port"]
    assert "initial, no_data" in found["snapshot.mode"]
    assert "not yet available" in found["exactly.once.support"]
    assert "did you mean org.example.Router?" in found["transforms.u.type"]


def test_a_fault_tells_key_value_and_origin() -> None:
    text = str(refused(good(database__port="70000")))
    assert "database.port = '70000': must be at least 1 and at most 65535  (from c.json)" in text


def test_exactly_once_of_the_worker_is_refused_for_a_source_only() -> None:
    assert "exactly.once.source.support" in faults(good(exactly__once__source__support="enabled"))
    sink = {"name": "s", "connector.class": "FakeSink", "connection.url": "u", "topics": "a", "bootstrap.servers": "x:1"}
    assert load_sink(Layered.of({**sink, "exactly.once.source.support": "enabled"})).topics == ("a",)


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("tabel.include.list", "table.include.list"),
        ("snapshot.mod", "snapshot.mode"),
        ("ofset.flush.interval.ms", "offset.flush.interval.ms"),
        ("value.converter.schema.enable", "value.converter.schemas.enable"),
        ("topic.prefx", "topic.prefix"),
    ],
)
def test_an_unread_key_is_a_warning_with_the_nearest_known(key: str, nearest: str) -> None:
    (warning,) = plan({**good(), key: "v4lue"}).warnings
    assert warning.startswith(f"{key} is not a key that anything here reads; did you mean {nearest}?")
    assert "v4lue" not in warning


def test_an_unread_key_like_nothing_else_gets_no_guess() -> None:
    assert plan({**good(), "zzz": "1"}).warnings == ("zzz is not a key that anything here reads (from c.json)",)


def test_options_of_a_converter_count_by_name() -> None:
    (warning,) = plan({**good(), "key.converter": STRING, "key.converter.schemas.enable": "false"}).warnings
    assert warning.startswith("key.converter.schemas.enable is not a key")


@pytest.mark.parametrize("key", ["driver.x", "producer.override.linger.ms", "topic.creation.default.partitions", "offset.storage.min.insync.replicas"])
def test_pass_through_prefixes_are_read(key: str) -> None:
    assert plan({**good(), key: "1"}).warnings == ()


def test_old_names_and_values_are_mapped_with_a_warning() -> None:
    config = good(snapshot__mode="never", truncate__handling__mode="include", shade="black")
    config["database.server.name"] = config.pop("topic.prefix")
    made = plan(config)
    settings: Any = made.settings
    assert (settings.prefix, settings.mode, settings.skipped, settings.shade) == ("shop", "no_data", "none", "dark")
    assert sorted(made.warnings) == [
        "database.server.name is the old name of topic.prefix: taken as such",
        "shade=black is of an older release: taken as dark",
        "snapshot.mode=never is of an older release: taken as no_data",
        "truncate.handling.mode=include is of an older release: taken as skipped.operations=none",
    ]


@pytest.mark.parametrize(("old", "new"), [("never", "no_data"), ("exported", "initial"), ("Schema_Only", "no_data")])
def test_snapshot_modes_of_older_releases(old: str, new: str) -> None:
    settings: Any = plan(good(snapshot__mode=old)).settings
    assert settings.mode == new


def test_a_new_name_beats_the_old_one() -> None:
    made = plan(good(database__server__name="old"))
    settings: Any = made.settings
    assert settings.prefix == "shop"
    assert made.warnings == ("database.server.name is the old name of topic.prefix, which is given too: database.server.name is ignored",)


def test_a_key_without_effect_is_told_when_it_asks_for_something() -> None:
    assert plan(good(poll__interval__ms="500")).warnings == ()
    assert plan(good(poll__interval__ms="100")).warnings == ("poll.interval.ms has no effect: the stream is waited for",)


def test_a_definitions_own_warnings_are_told() -> None:
    assert plan(good(shade="light")).warnings == ("shade: light is hard to read",)


def test_worker_keys_of_a_cluster_pass_silently_from_a_worker_file_only(tmp_path: Path) -> None:
    (tmp_path / "w.properties").write_text("group.id=g\nrest.port=8083\nplugin.path=/p\nconfig.storage.topic=c\nbootstrap.servers=w:1\n")
    (tmp_path / "c.properties").write_text("".join(f"{k}={v}\n" for k, v in good().items()))
    made = load_source(layered([tmp_path / "c.properties"], worker=tmp_path / "w.properties", environ={"CONNECT_GROUP_ID": "e"}))
    assert made.warnings == ()
    assert plan(good(group__id="g")).warnings == ("group.id has no effect: this process runs one connector",)


def test_a_mistyped_variable_of_the_worker_is_told() -> None:
    entries = {k: Entry(v, "c", Layer.CONFIG) for k, v in good().items()}
    made = load_source(Layered(entries, {"CONNECT_OFSET_STORAGE_TOPIC": "ofset.storage.topic"}))
    assert made.warnings == (
        "the environment variable CONNECT_OFSET_STORAGE_TOPIC gives ofset.storage.topic, which is no worker key; did you mean offset.storage.topic?",
    )


# ---- secrets


def test_texts_of_references_are_never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYCDC_TEST_PW", "hunter2")
    late = "${env:PYCDC_TEST_PW}"
    config = good(database__password=late, database__port=late, snapshot__mode=late, word=late, transforms="t")
    config |= {"transforms.t.type": "org.example.Router", "transforms.t.regex": "a", "transforms.t.count": late}
    config["database.server.name"] = late
    text = str(refused(config))
    assert "hunter2" not in text
    assert f"database.port = '{late}': refers to a value that is not allowed here; allowed: at least 1 and at most 65535" in text
    assert f"word = '{late}'" in text
    assert f"transforms.t.count = '{late}'" in text


def test_a_rule_between_keys_does_not_tell_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYCDC_TEST_PW", "hunter2")
    error = refused(good(database__password="${env:PYCDC_TEST_PW}", table__include__list="both"))
    assert "contradicts the password ${env:PYCDC_TEST_PW}" in str(error)
    assert "hunter2" not in str(error)


def test_a_bad_value_under_an_old_name_keeps_its_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYCDC_TEST_PW", "xy")  # shorter than what is searched for in messages
    (fault,) = refused(good(db__port="${env:PYCDC_TEST_PW}")).faults
    assert (fault.key, fault.value, fault.origin) == ("database.port", "${env:PYCDC_TEST_PW}", "c.json")
    assert "xy" not in fault.message


def test_a_missing_reference_is_one_fault() -> None:
    (fault,) = refused(good(database__port="${env:PYCDC_TEST_ABSENT}")).faults
    assert (fault.key, fault.value) == ("database.port", "${env:PYCDC_TEST_ABSENT}")


def test_passwords_inside_a_value_are_hidden() -> None:
    value = "jdbc:postgresql://u:hunter2@h/d?password=hunter2&x=1"
    text = str(refused(good(word=value)))
    shown = next(line for line in text.splitlines() if line.strip().startswith("word"))
    assert "jdbc:postgresql://u:[hidden]@h/d?password=[hidden]&x=1" in shown


def test_a_plan_does_not_show_settings() -> None:
    assert "hunter2" not in repr(plan(good(database__password="hunter2", producer__sasl__password="hunter2")))


# ---- converters, clients, transforms


def layers(worker: dict[str, str], config: dict[str, str]) -> Layered:
    entries = {k: Entry(v, "w", Layer.WORKER) for k, v in worker.items()}
    return Layered(entries | {k: Entry(v, "c", Layer.CONFIG) for k, v in config.items()})


def test_a_connectors_converter_takes_none_of_the_workers_options() -> None:
    worker = {"value.converter": STRING, "value.converter.converter.encoding": "UTF-16", "value.converter.schemas.enable": "false"}
    made: Any = load_source(layers(worker, {**good(), "value.converter": JSON}))
    assert made.value_converter.settings.schemas_enable is True
    assert made.warnings == ()


def test_the_workers_converter_with_its_options() -> None:
    made: Any = load_source(layers({"value.converter": JSON, "value.converter.schemas.enable": "false"}, good()))
    assert made.value_converter.settings.schemas_enable is False
    assert made.value_converter.is_key is False
    assert made.key_converter.is_key is True


def test_an_option_without_its_class_is_applied_and_told() -> None:
    made: Any = plan({**good(), "value.converter.schemas.enable": "false"})
    assert made.value_converter.settings.schemas_enable is False
    assert made.warnings[0].startswith("value.converter.schemas.enable is applied although value.converter is not given")


def test_client_settings_overrides_beat_the_workers() -> None:
    config = good(sasl__mechanism="PLAIN", producer__acks="1", producer__linger__ms="7", producer__override__linger__ms="9", admin__x="y")
    made = plan(config)
    assert made.producer == {"bootstrap.servers": "127.0.0.1:1", "sasl.mechanism": "PLAIN", "acks": "1", "linger.ms": "9"}
    assert made.admin == {"bootstrap.servers": "127.0.0.1:1", "sasl.mechanism": "PLAIN", "x": "y"}


def test_topic_creation_and_offset_topic_settings() -> None:
    config = {**good(), "topic.creation.default.partitions": "3", "offset.storage.min.insync.replicas": "2", "offset.storage.partitions": "5"}
    made = plan(config)
    assert made.topic_creation == {"topic.creation.default.partitions": "3"}
    assert made.offset_topic_settings == {"min.insync.replicas": "2"}
    assert plan({**config, "topic.creation.enable": "false"}).topic_creation == {}
    assert plan({**config, "offsets.storage.topic": "own"}).offset_topic == "own"


def test_transforms_with_predicates_in_order() -> None:
    config = {
        **good(), "transforms": "b,a", "predicates": "p",
        "transforms.a.type": "Router", "transforms.a.regex": "x", "transforms.a.predicate": "p", "transforms.a.negate": "true",
        "transforms.b.type": "org.example.Router", "transforms.b.regex": "y",
        "predicates.p.type": "org.example.Matches", "predicates.p.pattern": "t",
    }  # fmt: skip
    made = plan(config)
    assert made.warnings == ()
    first, second = made.transforms
    assert (first.name, first.predicate, first.negate) == ("b", None, False)
    assert (second.name, second.negate) == ("a", True)
    assert second.predicate is not None
    assert second.predicate(Record(topic="t")) is True
    assert second.predicate(Record(topic="u")) is False


def test_faults_of_a_chain() -> None:
    config = {**good(), "transforms": "a,b", "transforms.a.type": "Router", "transforms.a.regex": "x", "transforms.a.predicate": "q", "transforms.a.negate": "no"}
    assert set(faults(config)) == {"transforms.a.predicate", "transforms.a.negate", "transforms.b.type"}


# ---- what a source and a sink need


def test_positions_need_a_place() -> None:
    config = good()
    del config["offset.storage.topic"]
    assert "--offsets-file" in faults(config)["offset.storage.topic"]
    assert plan(config, offsets_file=True).offset_topic is None


def test_without_a_broker_neither_brokers_nor_topics_are_needed() -> None:
    config = good()
    del config["offset.storage.topic"], config["bootstrap.servers"]
    assert plan(config, direct=True).bootstrap == ""
    sink = {"name": "s", "connector.class": "org.example.FakeSink", "connection.url": "u"}
    assert load_sink(Layered.of(sink), direct=True).topics == ()
    with pytest.raises(ConfigError) as error:
        load_sink(Layered.of(sink))
    assert {f.key for f in error.value.faults} == {"topics", "bootstrap.servers"}


def test_a_sinks_group_and_topics() -> None:
    sink = {"name": "s", "connector.class": "FakeSink", "connection.url": "u", "topics": "a, b", "bootstrap.servers": "x:1", "tasks.max": "3"}
    made = load_sink(Layered.of(sink))
    assert (made.group, made.topics) == ("connect-s", ("a", "b"))
    assert made.warnings == ("tasks.max: one process runs one task; start more processes, they share the consumer group",)
    assert load_sink(Layered.of({**sink, "consumer.override.group.id": "g"})).group == "g"
    with pytest.raises(ConfigError, match="together with topics"):
        load_sink(Layered.of({**sink, "topics.regex": "x.*"}))


# ---- the registry


@pytest.mark.parametrize("name", ["org.example.FakeSource", "FakeSource", "fake"])
def test_names_of_a_class(name: str) -> None:
    assert type(plan({**good(), "connector.class": name}).make_source()).__name__ == "FakeSource"


def test_a_short_name_may_end_without_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {**registry.TABLE, registry.SOURCE: {"a.FakeConnector": "stand_ins:FakeSource"}}
    monkeypatch.setattr(registry, "TABLE", table)
    assert registry.canonical(registry.SOURCE, "Fake") == registry.canonical(registry.SOURCE, "FakeConnector") == "a.FakeConnector"
    assert registry.canonical(registry.CONVERTER, "Json") == JSON
    assert registry.canonical(registry.TRANSFORM, "Rout") == "Rout"


def test_an_unknown_class_names_the_nearest_and_all() -> None:
    message = faults({**good(), "connector.class": "org.example.FakeSuorce"})["connector.class"]
    assert "did you mean org.example.FakeSource?" in message
    assert "available: org.example.FakeSource, fake" in message


def test_a_class_of_the_other_kind_names_the_command() -> None:
    assert "pycdc sink" in faults({**good(), "connector.class": "org.example.FakeSink"})["connector.class"]


def test_a_class_of_a_later_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "LATER", {"org.example.Later": registry.SOURCE})
    message = faults({**good(), "connector.class": "org.example.Later"})["connector.class"]
    assert message.startswith("is not available in this release")


def test_two_classes_of_one_short_name(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {**registry.TABLE, registry.SOURCE: {"a.Same": "stand_ins:FakeSource", "b.Same": "stand_ins:FakeSource"}}
    monkeypatch.setattr(registry, "TABLE", table)
    with pytest.raises(registry.UnknownClass, match=r"a\.Same or b\.Same"):
        registry.load(registry.SOURCE, "Same")
    assert registry.canonical(registry.SOURCE, "a.Same") == "a.Same"


def test_a_module_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {**registry.TABLE, registry.SOURCE: {"a.B": "no_such_module_here:B", "a.C": "stand_ins:Absent"}}
    monkeypatch.setattr(registry, "TABLE", table)
    for name in ("a.B", "a.C"):
        with pytest.raises(registry.UnknownClass, match="cannot be loaded"):
            registry.load(registry.SOURCE, name)


def test_entry_points_of_third_parties(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("com.acme.Thing", "stand_ins:FakeSource", "pycdc.connectors")]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "pycdc.connectors" else [])
    assert registry.load(registry.SOURCE, "com.acme.Thing").__name__ == "FakeSource"
    assert registry.load(registry.SOURCE, "Thing").__name__ == "FakeSource"
    assert "com.acme.Thing" in registry.available(registry.SOURCE)
    with pytest.raises(registry.UnknownClass, match="is no sink connector"):
        registry.load(registry.SINK, "com.acme.Thing")


def test_our_own_table_is_of_known_form() -> None:
    for names in registry.TABLE.values():
        for target in names.values():
            module, colon, attribute = target.partition(":")
            assert module.startswith("pycdc.") or module == "stand_ins"
            assert colon
            assert attribute.isidentifier()
