"""A worker's file: everything that is wrong with it at once, and under which address the others know it."""

from __future__ import annotations

import socket

import pytest

from pycdc.config.layers import Layered
from pycdc.errors import ConfigError
from pycdc.worker import settings
from pycdc.worker.settings import Listener, read_worker

GOOD = {
    "bootstrap.servers": "b:9092", "group.id": "g", "config.storage.topic": "c", "offset.storage.topic": "o", "status.storage.topic": "s",
}  # fmt: skip


def read(*, standalone=False, **changes):
    given = {**GOOD, **{k.replace("__", "."): v for k, v in changes.items()}}
    return read_worker(Layered.of({k: v for k, v in given.items() if v is not None}, "worker.properties"), standalone=standalone)


def faults_of(**changes):
    with pytest.raises(ConfigError) as caught:
        read(**changes)
    assert caught.value.exit_code == 2
    return {f.key: f.message for f in caught.value.faults}


def test_what_kafka_connect_has_by_default():
    c = read().config
    assert c.listeners == (Listener("http", "", 8083),)
    assert c.admin_listeners is None
    assert (c.session, c.heartbeat, c.rebalance) == (10_000, 3_000, 60_000)
    assert (c.config_replication, c.status_partitions, c.offset_partitions) == (3, 5, 25)
    assert c.override_policy == "All"
    assert c.topic_tracking
    assert not c.forbid_plain_secrets


def test_every_fault_at_once():
    found = faults_of(
        group__id=None, config__storage__topic=None, session__timeout__ms="soon", listeners="8083", connector__client__config__override__policy="Some",
        status__storage__partitions="-2", topic__tracking__enable="perhaps", rest__advertised__port="70000", key__converter="${env:PYCDC_NO_SUCH}",
    )
    assert found.keys() == {
        "group.id", "config.storage.topic", "session.timeout.ms", "listeners", "connector.client.config.override.policy", "status.storage.partitions",
        "topic.tracking.enable", "rest.advertised.port", "key.converter",
    }  # fmt: skip
    assert "PYCDC_NO_SUCH is not set" in found["key.converter"]


def test_where_a_fault_comes_from_and_no_secret(monkeypatch):
    monkeypatch.setenv("PYCDC_TEST_WORD", "s3cret-word")
    with pytest.raises(ConfigError) as caught:
        read(session__timeout__ms="${env:PYCDC_TEST_WORD}")
    (fault,) = caught.value.faults
    assert fault.origin == "worker.properties"
    assert "s3cret-word" not in str(caught.value)
    assert "session.timeout.ms" in str(caught.value)


@pytest.mark.parametrize(("changes", "key", "message"), [
    ({"heartbeat__interval__ms": "10000"}, "heartbeat.interval.ms", "must be less than session.timeout.ms"),
    ({"listeners": " , "}, "listeners", "names none"), ({"listeners": ""}, "listeners", ""),
    ({"rest__advertised__listener": "https"}, "rest.advertised.listener", "none of the listeners"),
    ({"rest__advertised__listener": "ftp"}, "rest.advertised.listener", "must be"), ({"status__storage__topic": "c"}, "status.storage.topic", "keeps something else"),
])  # fmt: skip
def test_rules_between_settings(changes, key, message):
    found = faults_of(**changes)
    assert message in found[key]


@pytest.mark.parametrize(("text", "found"), [
    ("http://:8083", [("http", "", 8083)]), ("http://0.0.0.0:80,https://[::]:81", [("http", "", 80), ("https", "", 81)]),
    ("HTTP://Host:1", [("http", "host", 1)]), ("http://[::1]:1", [("http", "::1", 1)]),
])  # fmt: skip
def test_listeners(text, found):
    assert read(listeners=text).config.listeners == tuple(Listener(*f) for f in found)
    assert read(admin__listeners=text).config.admin_listeners == tuple(Listener(*f) for f in found)


@pytest.mark.parametrize("text", ["host:8083", "http://host", "http://host:port", "http://host:99999", "ftp://host:1", "http://[::1:1", "//host:1"])
def test_listeners_that_are_none(text):
    assert "write http://HOST:PORT" in faults_of(listeners=text)["listeners"]


def test_no_admin_listeners_is_not_the_same_as_none_given():
    assert read(admin__listeners="").config.admin_listeners == ()
    assert read().config.admin_listeners is None


@pytest.mark.parametrize(("changes", "url"), [
    ({"listeners": "http://h:1"}, "http://h:1"), ({"listeners": "http://[::1]:1"}, "http://[::1]:1"),
    ({"listeners": "https://h:2,http://h:1"}, "http://h:1"), ({"listeners": "http://h:1,https://h:2", "rest__advertised__listener": "https"}, "https://h:2"),
    ({"listeners": "https://h:2"}, "https://h:2"), ({"rest__advertised__host__name": "w1", "rest__advertised__port": "80"}, "http://w1:80"),
    ({"listeners": "http://:1"}, "http://192.0.2.7:1"), ({"listeners": "http://0.0.0.0:1"}, "http://192.0.2.7:1"),
])  # fmt: skip
def test_the_address_that_others_know(monkeypatch, changes, url):
    monkeypatch.setattr(settings, "own_address", lambda: "192.0.2.7")
    assert read(**changes).advertised.url == url


def test_a_machine_without_an_address(monkeypatch):
    def unknown(_name):
        raise socket.gaierror("not known")

    assert settings.own_address()
    monkeypatch.setattr(socket, "gethostbyname", unknown)
    assert settings.own_address() == "localhost"


def test_keys_that_nobody_reads_with_the_nearest_that_is_read():
    warnings = read(session__timeout="1", config__storage__topics="x", foo__bar="1", plugin__path="/p", metric__reporters="r").warnings
    assert "session.timeout is not a key that a worker reads; did you mean session.timeout.ms?" in warnings
    assert "foo.bar is not a key that a worker reads" in warnings
    assert not any("plugin.path" in w or "metric" in w for w in warnings)


def test_a_meeting_shorter_than_a_session_is_told():
    assert any("rebalance.timeout.ms" in w for w in read(rebalance__timeout__ms="5000").warnings)


def test_alone_a_worker_needs_less():
    worker = read(standalone=True, **{k.replace(".", "__"): None for k in GOOD if k not in ("bootstrap.servers", "offset.storage.topic")})
    assert worker.config.group_id is None
    found = faults_of(standalone=True, **{k.replace(".", "__"): None for k in GOOD})
    assert found.keys() == {"bootstrap.servers", "offset.storage.file.filename"}
    assert read(standalone=True, offset__storage__topic=None, offset__storage__file__filename="/f").config.offset_file == "/f"


def test_what_connectors_inherit_is_raw_and_the_workers_clients_resolved(monkeypatch):
    monkeypatch.setenv("PYCDC_TEST_WORD", "s3cret-word")
    worker = read(sasl__jaas__config="${env:PYCDC_TEST_WORD}", producer__linger__ms="5", value__converter="x", config__providers="v",
                  config__providers__v__class="org.apache.kafka.common.config.provider.FileConfigProvider", listeners="http://127.0.0.1:1")  # fmt: skip
    assert worker.kafka == {"bootstrap.servers": "b:9092", "sasl.jaas.config": "s3cret-word"}
    assert worker.inherited["sasl.jaas.config"] == "${env:PYCDC_TEST_WORD}"
    assert {"producer.linger.ms", "value.converter", "config.providers", "offset.storage.topic"} <= worker.inherited.keys()
    assert not {"listeners", "config.storage.topic", "status.storage.topic"} & worker.inherited.keys()
