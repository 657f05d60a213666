"""The captured Avro cases through `pycdc source`, a real PostgreSQL and a real broker: schema texts, messages, requests."""

import avro_cases
import pytest


@pytest.fixture(scope="module")
def servers(stack):
    return {"pg_host": stack.pg_host, "pg_port": stack.pg_port, "pg_user": stack.pg_user, "kafka": stack.kafka}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", list(avro_cases.ALL))
def test_case_equals_debezium_with_avro(name, servers):
    candidate = avro_cases.run(name, servers)
    found = avro_cases.differences(name, candidate)
    assert not found, "\n".join([*found[:20], candidate.get("trace") or ""])
