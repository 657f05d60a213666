"""`pycdc registry` as a script uses it, against a real registry."""

import json
import urllib.request

import pytest
from click.testing import CliRunner

from pycdc.cli.app import pycdc

pytestmark = [pytest.mark.timeout(120), pytest.mark.xdist_group("registry")]

TEXT = '{"type":"record","name":"Value","namespace":"shop.public.orders","fields":[{"name":"id","type":"int"}]}'


@pytest.fixture
def subject(schema_registry, names):
    """A subject with one version, its topic, and the registry's address."""
    topic = f"{names.prefix}.public.orders"
    request = urllib.request.Request(
        f"{schema_registry}/subjects/{topic}-value/versions", json.dumps({"schema": TEXT}).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=20).close()
    return topic, schema_registry


def run(*arguments):
    result = CliRunner().invoke(pycdc, ["registry", *arguments])
    return result.exit_code, result.stdout.strip(), result.stderr


def test_a_level_is_read_set_and_taken_back(subject):
    topic, url = subject
    code, whole, _ = run("level", "--url", url)
    assert (code, whole) in [(0, "NONE"), (0, "BACKWARD")]
    assert run("level", f"{topic}-value", "--url", url)[1].startswith(whole)
    assert run("level", f"{topic}-value", "--set", "full", "--url", url)[:2] == (0, "FULL")
    assert run("level", f"{topic}-value", "--url", url)[:2] == (0, "FULL")
    assert run("level", f"{topic}-value", "--unset", "--url", url)[1].startswith(whole)


def test_a_schema_is_shown_by_topic_table_or_subject(subject, tmp_path, names):
    topic, url = subject
    file = tmp_path / "connector.json"
    file.write_text(json.dumps({"name": "c", "config": {"topic.prefix": names.prefix, "value.converter.schema.registry.url": url}}))
    for asked in ((topic, "--url", url), (f"{topic}-value", "--url", url), ("public.orders", "--config", str(file))):
        code, text, told = run("schema", *asked)
        assert (code, json.loads(text)["name"]) == (0, "Value")
        assert f"subject {topic}-value, version 1, id" in told
    for more in ({"database.server.name": names.prefix}, {"topic.prefix": f"{names.prefix}.public."}):  # of old, and of the JDBC source
        file.write_text(json.dumps({"name": "c", "config": {**more, "value.converter.schema.registry.url": url}}))
        code, text, _ = run("schema", "orders" if "topic.prefix" in more else "public.orders", "--config", str(file))
        assert (code, json.loads(text)["name"]) == (0, "Value")
    assert run("schema", topic, "--versions", "--url", url)[:2] == (0, "1")
    assert f"{topic}-value" in run("subjects", "--config", str(file))[1].splitlines()


def test_what_is_not_there_is_told(subject):
    topic, url = subject
    code, text, told = run("schema", topic, "--key", "--url", url)
    assert (code, text) == (1, "")
    assert f"no subject of {topic}" in told
    assert f"there are {topic}-value" in told
    code, _, told = run("schema", topic, "--version", "7", "--url", url)
    assert code == 1
    assert "cannot find version 7" in told
    code, _, told = run("subjects")
    assert code == 2
    assert "--url URL" in told
    assert run("level", "--unset", "--url", url)[0] == 2
