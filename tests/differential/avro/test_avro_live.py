"""The captured Avro and Protobuf cases through `pycdc source`, a real PostgreSQL and a real broker: schema texts, messages, requests."""

import avro_cases
import pytest


@pytest.fixture(scope="module")
def servers(stack):
    return {"pg_host": stack.pg_host, "pg_port": stack.pg_port, "pg_user": stack.pg_user, "kafka": stack.kafka}


#: Cases that write into one topic, one after the other.
SHARED = ("av_names_dash_prefix", "av_outbox")


def cases():
    for name in sorted(avro_cases.ALL, key=lambda n: not n.endswith("_fail")):  # one that leaves nothing in the topic, first
        group = next((g for g in SHARED if name.startswith(g)), None)
        yield pytest.param(name, marks=[pytest.mark.xdist_group(group)] if group else [])


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", list(cases()))
def test_case_equals_debezium_with_confluents_converters(name, servers):
    candidate = avro_cases.run(name, servers)
    found = avro_cases.differences(name, candidate)
    assert not found, "\n".join([*found[:20], candidate.get("trace") or ""])
