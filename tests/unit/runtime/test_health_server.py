"""What /health and /metrics answer, over a real loopback socket."""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.error
import urllib.request
from typing import Any

import pytest

from pycdc.errors import PycdcError, ServerError
from pycdc.runtime.health import Health
from pycdc.runtime.http import Address, parse_address, report, serving
from pycdc.telemetry.metrics import SourceMetrics


def fetch(address: Address, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address.host}:{address.port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def ask(health: Health | tuple[Health, ...], *paths: str, metrics: tuple[SourceMetrics, ...] = ()) -> list[tuple[int, Any]]:
    async def main() -> list[tuple[int, str]]:
        async with serving("127.0.0.1:0", health, *metrics) as address:
            assert address is not None
            return [await asyncio.to_thread(fetch, address, path) for path in paths]

    return [(status, json.loads(body) if body[:1] == "{" else body) for status, body in asyncio.run(main())]


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:80", ("127.0.0.1", 80)), (":8080", ("0.0.0.0", 8080)), ("[::1]:9", ("::1", 9)), ("localhost:0", ("localhost", 0))],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["8080", "host", "host:", "host:x", "host:99999", "::1:80", "http://h:1", ""])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        parse_address(text)


def test_states_from_start_to_failure() -> None:
    health = Health("shop")
    assert [s for s, _ in ask(health, "/health/live", "/health/ready")] == [200, 503]
    health.delivering(snapshot=True)
    assert ask(health, "/health/ready") == [(200, {"status": "snapshot"})]
    health.delivering(snapshot=False)
    assert ask(health, "/health/ready") == [(200, {"status": "streaming"})]
    health.retrying(ServerError("the server went away"))
    assert [s for s, _ in ask(health, "/health/live", "/health/ready", "/health/cdc")] == [200, 503, 200]
    health.failed(ServerError("the slot is gone", where="slot s"))
    (live, _), (ready, _), (cdc, body) = ask(health, "/health/live", "/health/ready", "/health/cdc")
    assert (live, ready, cdc) == (503, 503, 503)
    assert body["status"] == "unhealthy"
    assert "the slot is gone [slot s]" in body["error"]


def test_recovery_forgets_the_error() -> None:
    health = Health("shop")
    health.retrying(ServerError("gone"))
    health.delivering(snapshot=False)
    assert "error" not in health.report()


def test_the_report_has_the_form_that_monitors_read() -> None:
    health = Health("shop", kafka_lag={"crm.crm.customers": 0}, lsn=0x16_B374D848, lag_bytes=7)
    health.delivering(snapshot=False)
    health.wrote("crm_customers", 3, at=1705314600)
    health.wrote("crm_customers", 2, at=1705314600)
    ((status, body),) = ask(health, "/health/cdc")
    assert status == 200
    assert body["status"] == "healthy"
    assert body["cdc_tables"] == {"crm_customers": {"rows": 5, "last_update": "2024-01-15T10:30:00Z"}}
    assert body["kafka_lag"] == {"crm.crm.customers": 0}
    assert (body["lsn"], body["lag_bytes"]) == ("16/B374D848", 7)


def test_source_and_sink_answer_as_one() -> None:
    source, sink = Health("a", lsn=1, lag_bytes=5), Health("b")
    source.delivering(snapshot=False)
    sink.retrying(ServerError("no target"))
    source.wrote("public.t", 1)
    sink.wrote("t", 1)
    assert [s for s, _ in ask((source, sink), "/health/live", "/health/ready")] == [200, 503]
    merged = report((source, sink))
    assert (merged["status"], merged["connector"], merged["lag_bytes"]) == ("degraded", "b", 5)
    assert set(merged["cdc_tables"]) == {"public.t", "t"}  # type: ignore[call-overload]


def test_metrics_and_unknown_paths() -> None:
    (status, body), (unknown, _) = ask(Health("shop"), "/metrics", "/config", metrics=(SourceMetrics("shop", rows=4),))
    assert status == 200
    assert 'pycdc_source_rows_total{connector="shop"} 4.0' in body
    assert unknown == 404


def test_a_taken_port_is_one_clear_error() -> None:
    async def main() -> None:
        async with serving("127.0.0.1:0", Health()) as address:
            assert address is not None
            async with serving(f"127.0.0.1:{address.port}", Health()):
                pass

    with pytest.raises(PycdcError) as error:
        asyncio.run(main())
    assert "--http" in error.value.hint
    assert error.value.exit_code == 1


def test_without_an_address_nothing_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)  # importing it would fail

    async def main() -> None:
        async with serving(None, Health()) as address:
            assert address is None

    asyncio.run(main())
