"""Pages that name tests name ones that are there."""

import json
import re
from pathlib import Path

import pytest

from pycdc.config.layers import Layered
from pycdc.plugins.join import load_sink, load_source

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", ["comparison.md", "guarantees.md", "differences.md", "how-to/migrate-from-kafka-connect.md"])
def test_tests_that_a_page_names_are_there(page):
    text = (ROOT / "docs" / page).read_text()
    code = "\n".join(p.read_text() for p in (ROOT / "tests").rglob("*.py") if ".mypy_cache" not in p.parts)
    missing = [name for name in set(re.findall(r"`(test_\w+)`", text)) if f"def {name}(" not in code]
    missing += [f for f in set(re.findall(r"`(tests/[\w/]+(?:\.py)?)`", text)) if not (ROOT / f).exists()]
    missing += [f for f in set(re.findall(r"`(test_\w+\.py)`", text)) if not list((ROOT / "tests").rglob(f))]
    assert not missing


@pytest.mark.parametrize("path", sorted((ROOT / "examples").rglob("*.json")), ids=lambda p: str(p.relative_to(ROOT)))
def test_examples_are_configurations_without_warning(path):
    given = json.loads(path.read_text())
    config = {"name": given.get("name"), **given.get("config", given)}
    sink = "topics" in config or "topics.regex" in config
    worker = {"bootstrap.servers": "kafka:9092"} if sink else {"bootstrap.servers": "kafka:9092", "offset.storage.topic": "o"}
    plan = (load_sink if sink else load_source)(Layered.of(worker | config))
    assert not plan.warnings
