"""Texts that are no Unicode, records that say nothing sensible: refused or left out, and nothing ends."""

from __future__ import annotations

import pytest
import structlog

from pycdc.worker.configs import ConfigChanged, Configs
from pycdc.worker.loggers import Loggers
from pycdc.worker.requests import RequestError, config_of, create_of, level_of, offsets_of


@pytest.mark.parametrize("read", [create_of, config_of, level_of, offsets_of])
@pytest.mark.parametrize("body", [
    b'{"name": "a\\ud800", "config": {}}', b'{"a\\udfff": 1}', b'{"offsets": [{"partition": {"a": ["\\ud83d"]}, "offset": null}]}', b'{"level": "\xed\xa0\x80"}',
])  # fmt: skip
def test_half_a_character_cannot_be_kept(read, body):
    with pytest.raises(RequestError) as caught:
        read(body)
    assert caught.value.status == 400
    caught.value.message.encode()


def test_a_whole_one_can():
    assert config_of(b'{"a": "\\ud83d\\ude00"}') == {"a": "😀"}


@pytest.mark.parametrize("properties", [b'{"a": 1}', b'{"a": {}}', b'{"connector.class": ["x"]}', b'{"a": true}'])
def test_a_connector_whose_settings_are_no_texts_is_left_out(properties):
    known = Configs()
    with structlog.testing.capture_logs() as lines:
        assert known.take(b"connector-x", b'{"properties": ' + properties + b"}") is None
    assert known.connectors == {}
    assert [(line["log_level"], line["key"]) for line in lines] == [("error", "connector-x")]
    assert "is no text" in lines[0]["cause"]


def test_a_setting_without_a_value_is_none():
    known = Configs()
    assert known.take(b"connector-x", b'{"properties": {"a": null, "b": "1"}}') == ConfigChanged("x")
    assert known.connectors == {"x": {"b": "1"}}


def test_a_level_that_is_none_is_told_and_left():
    loggers = Loggers()
    with structlog.testing.capture_logs() as lines:
        loggers.hear("pycdc.nobody", "LOUD")
    assert [line["log_level"] for line in lines] == ["error"]
    assert "pycdc.nobody" not in loggers.listed()
    loggers.hear("pycdc.nobody", "info")
    assert loggers.one("pycdc.nobody")["level"] == "INFO"
