"""Reference pages say what the parser accepts."""

from __future__ import annotations

from pycdc.config.definition import ConfigDef, Property, boolean, integer, one_of, text
from pycdc.config.reference import markdown


class Sample(ConfigDef):
    prefixes = ("extra.",)
    host = Property[str]("host", text(), required=True, doc="Where.", old_names=("hostname",))
    port = Property[int]("port", integer(1, 9), default=5, doc="Port | number.")
    mode = Property[str]("mode", one_of("a", "b"), default="a", ignored="later")
    flag = Property[bool]("flag", boolean(), default=False)
    kinds = Property[frozenset[str]]("kinds", text(), default=frozenset("tu"))


def test_a_page_has_every_property_with_default_and_range() -> None:
    page = markdown("Sample", Sample, ("a.B", "b"), "Intro.")
    lines = page.splitlines()
    assert lines[0] == "# Sample"
    assert "Class: `a.B`, `b`" in lines
    assert "| `host` | string | required |  | Where. Old name: `hostname`. |" in lines
    assert "| `port` | long | 5 | at least 1 and at most 9 | Port \\| number. |" in lines
    assert "| `mode` | later |" in lines[lines.index("Accepted without effect, with a warning when given:") :]
    assert not any(line.startswith("| `mode` | string") for line in lines)
    assert any(line.startswith("| `flag` | boolean | false |") for line in lines)
    assert any(line.startswith("| `kinds` | string | t,u |") for line in lines)
    assert "Also read, by prefix: `extra.*`." in page


def test_a_class_without_properties() -> None:
    assert "It has no properties." in markdown("Empty", ConfigDef)
