"""Precedence, origins, environment names and late values."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from pycdc.config.late import Resolution
from pycdc.config.layers import Layer, Layered, layered, property_name
from pycdc.errors import ConfigError


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_each_layer_beats_the_ones_below(tmp_path: Path) -> None:
    key = "bootstrap.servers"
    worker = write(tmp_path / "w.properties", f"{key}=worker")
    first = write(tmp_path / "1.properties", f"{key}=first")
    second = write(tmp_path / "2.properties", f"{key}=second")
    environ = {"BOOTSTRAP_SERVERS": "bare"}
    steps: list[tuple[dict[str, object], str, str]] = [
        ({}, "bare", "environment variable BOOTSTRAP_SERVERS"),
        ({"environ": {**environ, "CONNECT_BOOTSTRAP_SERVERS": "env"}}, "env", "environment variable CONNECT_BOOTSTRAP_SERVERS"),
        ({"worker": worker}, "worker", worker),
        ({"configs": [first]}, "first", first),
        ({"configs": [first, second]}, "second", second),
        ({"settings": [f"{key}=set"]}, "set", "--set"),
    ]
    given: dict[str, object] = {"environ": environ}
    for addition, value, origin in steps:
        given |= addition
        merged = layered(**given)  # type: ignore[arg-type]
        assert (merged.raw[key], merged.origin(key)) == (value, origin)


def test_files_are_merged_key_by_key(tmp_path: Path) -> None:
    first = write(tmp_path / "1.properties", "a=1\nb=1")
    second = write(tmp_path / "2.json", '{"b": 2, "c": 2}')
    merged = layered([first, second], environ={}, settings=["d=x=y", " e = f "])
    assert merged.raw == {"a": "1", "b": "2", "c": "2", "d": "x=y", "e": " f "}
    assert merged.layer("a") is Layer.CONFIG
    assert merged.layer("d") is Layer.SET
    assert merged.layer("absent") is None


@pytest.mark.parametrize(
    ("variable", "key"),
    [
        ("BOOTSTRAP_SERVERS", "bootstrap.servers"),
        ("PRODUCER_MAX__REQUEST", "producer.max_request"),
        ("PRODUCER_A___B", "producer.a-b"),
        ("OFFSET_STORAGE_REPLICATION_FACTOR", "offset.storage.replication.factor"),
    ],
)
def test_names_of_the_environment(variable: str, key: str) -> None:
    assert property_name(variable) == key
    assert layered(environ={f"CONNECT_{variable}": "v"}).raw == {key: "v"}


def test_the_environment_gives_worker_keys_only() -> None:
    environ = {"CONNECT_DATABASE_PASSWORD": "x", "CONNECT_TOPIC_PREFIX": "x", "TOPIC_PREFIX": "x", "GROUP_ID": "g", "PATH": "/bin"}
    merged = layered(environ={**environ, "CONNECT_REST_PORT": "8083"})
    assert merged.raw == {"group.id": "g"}
    assert merged.strangers == {"CONNECT_DATABASE_PASSWORD": "database.password", "CONNECT_TOPIC_PREFIX": "topic.prefix"}


def test_every_unreadable_layer_is_told_at_once(tmp_path: Path) -> None:
    bad = write(tmp_path / "bad.json", "{")
    with pytest.raises(ConfigError) as error:
        layered([bad, tmp_path / "absent.yaml"], worker=tmp_path / "none.properties", settings=["novalue", "=hunter2"], environ={})
    text = str(error.value)
    assert len(error.value.faults) == 5
    assert all(part in text for part in ("bad.json", "absent.yaml", "none.properties", "--set"))
    assert "hunter2" not in text


def test_late_values_of_all_three_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYCDC_TEST_USER", "ann")
    write(tmp_path / "s.properties", "pw=s3cret\nhost=db")
    write(tmp_path / "token", "t0ken\n")
    raw = {
        "u": "${env:PYCDC_TEST_USER}",
        "p": f"${{file:{tmp_path}/s.properties:pw}}",
        "t": f"${{dir:{tmp_path}:token}}",
        "url": f"jdbc:postgresql://${{file:{tmp_path}/s.properties:host}}/x?user=${{env:PYCDC_TEST_USER}}",
    }
    merged = Layered.of(raw)
    assert merged.resolved() == {"u": "ann", "p": "s3cret", "t": "t0ken", "url": "jdbc:postgresql://db/x?user=ann"}
    assert merged.raw == raw


def test_other_uses_of_the_same_signs_are_left_alone() -> None:
    raw = {"r": "outbox.event.${routedByValue}", "s": "${topic}-${timestamp}", "v": "${vault:a:b}", "d": "$1"}
    resolution = Resolution(raw)
    assert resolution.texts == raw
    assert not resolution.faults
    assert not resolution.late


def test_providers_under_other_names(tmp_path: Path) -> None:
    write(tmp_path / "s.properties", "pw=x")
    raw = {
        "config.providers": "secrets",
        "config.providers.secrets.class": "org.apache.kafka.common.config.provider.FileConfigProvider",
        "p": f"${{secrets:{tmp_path}/s.properties:pw}}",
    }
    assert Resolution(raw).texts["p"] == "x"


def test_every_missing_value_is_told_with_its_reference(tmp_path: Path) -> None:
    write(tmp_path / "s.properties", "pw=s3cret")
    raw = {
        "a": "${env:PYCDC_TEST_ABSENT}",
        "b": f"${{file:{tmp_path}/s.properties:nope}}",
        "c": f"${{file:{tmp_path}/absent.properties:pw}}",
        "d": f"${{dir:{tmp_path}:../x}}",
        "e": f"${{dir:{tmp_path}:absent}}",
        "f": "${file:x}",
    }
    with pytest.raises(ConfigError) as error:
        layered(settings=itertools.starmap("{}={}".format, raw.items()), environ={}).resolved()
    faults = {f.key: f for f in error.value.faults}
    assert {k: f.value for k, f in faults.items()} == raw
    assert all(f.origin == "--set" for f in faults.values())
    assert "PYCDC_TEST_ABSENT is not set" in faults["a"].message
    assert "has no key nope" in faults["b"].message
    assert "s3cret" not in str(error.value)


def test_resolved_texts_are_taken_out_of_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYCDC_TEST_PW", "s3cret")
    resolution = Resolution({"p": "x-${env:PYCDC_TEST_PW}"})
    assert resolution.hidden("cannot use x-s3cret") == "cannot use x-${env:PYCDC_TEST_PW}"
