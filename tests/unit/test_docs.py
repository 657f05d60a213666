"""Pages that name tests name ones that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", ["comparison.md", "guarantees.md", "differences.md"])
def test_tests_that_a_page_names_are_there(page):
    text = (ROOT / "docs" / page).read_text()
    code = "\n".join(p.read_text() for p in (ROOT / "tests").rglob("*.py") if ".mypy_cache" not in p.parts)
    missing = [name for name in set(re.findall(r"`(test_\w+)`", text)) if f"def {name}(" not in code]
    missing += [f for f in set(re.findall(r"`(tests/[\w/]+(?:\.py)?)`", text)) if not (ROOT / f).exists()]
    missing += [f for f in set(re.findall(r"`(test_\w+\.py)`", text)) if not list((ROOT / "tests").rglob(f))]
    assert not missing
