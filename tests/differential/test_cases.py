"""Captured cases through `pycdc source`, on a real PostgreSQL and a real broker, byte for byte.

The ratchet (equal.txt) is the gate. With PYCDC_DIFFERENTIAL_ALL set every case runs, and those outside the
ratchet are only reported: `make differential-report`. tests/conftest.py prints the figures of each area.
"""

from __future__ import annotations

import os
from collections import Counter

import cases
import pytest

RATCHET = set(cases.required())
CAPTURED = Counter(case["area"] for case in cases.ALL.values())
NAMES = list(cases.ALL) if "PYCDC_DIFFERENTIAL_ALL" in os.environ else cases.required()


@pytest.fixture(scope="module")
def servers(stack):
    return {"pg_host": stack.pg_host, "pg_port": stack.pg_port, "pg_user": stack.pg_user, "kafka": stack.kafka}


def gated(name):
    return name if name in RATCHET else pytest.param(name, marks=pytest.mark.xfail(reason="not equal yet", strict=False))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", [gated(name) for name in NAMES])
def test_case_equals_debezium(name, servers, record_property):
    area = cases.ALL[name]["area"]
    for key, value in {"differential_case": name, "area": area, "captured": CAPTURED[area]}.items():
        record_property(key, value)
    found = cases.differences(name, cases.run(name, servers))
    record_property("differences", found[:20])
    assert not found, "\n".join(found[:20])
