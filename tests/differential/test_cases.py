"""Every case of the ratchet through `pycdc source`, on a real PostgreSQL and a real broker, byte for byte."""

from __future__ import annotations

import os
from collections import Counter

import pytest

import cases


@pytest.fixture(scope="module")
def servers(stack):
    return {"pg_host": stack.pg_host, "pg_port": stack.pg_port, "pg_user": stack.pg_user, "kafka": stack.kafka}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", cases.required())
def test_case_equals_debezium(name, servers):
    found = cases.differences(name, cases.run(name, servers))
    assert not found, "\n".join(found[:20])


@pytest.mark.skipif("PYCDC_DIFFERENTIAL_ALL" not in os.environ, reason="the report of all cases: make differential-report")
@pytest.mark.timeout(3600)
def test_report_of_all_cases(servers, capsys):
    """Not a gate: prints per area how many cases are equal, and which are newly so."""
    equal, total, newly = Counter(), Counter(), []
    for name, case in cases.ALL.items():
        total[case["area"]] += 1
        try:
            found = cases.differences(name, cases.run(name, servers))
        except Exception as error:
            found = [repr(error)]
        if not found:
            equal[case["area"]] += 1
            if name not in cases.required():
                newly.append(name)
        with capsys.disabled():
            print(f"{'equal' if not found else 'DIFFERS'} {name}" + "".join(f"\n    {d[:200]}" for d in found[:5]))
    with capsys.disabled():
        for area in sorted(total):
            print(f"{area:22} {equal[area]:3} of {total[area]:3} equal")
        print("newly equal, add to equal.txt:", " ".join(newly) or "none")
