"""The cases, their captures of the real Debezium, and how a candidate is compared with them."""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TOOLS = HERE / "tools"
GOLDEN = HERE / "golden"
#: Cases that were equal once: one that no longer is fails the suite.
EQUAL = HERE / "equal.txt"
DIFFERENCES = HERE.parents[1] / "docs" / "differences.toml"

sys.path.insert(0, str(TOOLS))
import capture  # noqa: E402
import compare  # noqa: E402
import pycdc_driver  # noqa: E402

ALL: dict[str, dict[str, Any]] = {c["name"]: c for c in capture.load()}


def required() -> list[str]:
    """Names of the cases that must be equal."""
    return [line.strip() for line in EQUAL.read_text().splitlines() if line.strip() and not line.startswith("#")]


def golden(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    return loaded


def run(name: str, stack: dict[str, Any]) -> dict[str, Any]:
    """Run one case through `pycdc source` on `stack` (pg_host, pg_port, pg_user, kafka); the capture."""
    driver = pycdc_driver.SourceProcess(stack)
    try:
        return run_with(driver, name, stack)
    finally:
        driver.close()


def run_with(driver: Any, name: str, stack: dict[str, Any]) -> dict[str, Any]:
    """Run one case through any driver (tools/capture.py says what one can do); the capture."""
    tap = capture.Tap(stack, capture.Owns(ALL[name], golden(name) if (GOLDEN / f"{name}.json").exists() else None))
    try:
        candidate: dict[str, Any] = capture.Run(stack, driver, tap, dict(ALL[name])).go()
    finally:
        tap.close()
    return json.loads(json.dumps(candidate))  # as a stored capture is: tuples become lists


def differences(name: str, candidate: dict[str, Any], *, allowed: bool = True) -> list[str]:
    """What differs from the capture, without what docs/differences.toml allows (all of it when not `allowed`)."""
    options = argparse.Namespace(bytes=True, any_version=False, skip=set())
    found: list[str] = compare.Compare(golden(name), candidate, options).run().diffs
    if "create_error" in candidate and "create_error" not in golden(name):
        # failing as Debezium does is no excuse for never having started: a missing class would look equal
        found.append(f"create: golden \"started\" candidate {candidate['create_error'][-300:]!r}")
    if not allowed:
        return found
    rows = [d for d in tomllib.loads(DIFFERENCES.read_text())["difference"] if re.fullmatch(d["case"], name)]
    return [d for d in found if not any(re.search(r["path"], d.split(": golden ", 1)[0]) for r in rows)]
