"""GroupMember: work is dealt out completely and once, whoever comes, goes, dies or wakes up."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping

import pytest
from aiokafka import AIOKafkaConsumer
from kafka_records import new_topic, properties

from pycdc.errors import ServerError
from pycdc.kafka.membership import GroupMember
from pycdc.testing.plugin import Names

WORK = list(range(10))


class Worker:
    """Has some of the numbers below ten."""

    def __init__(self, kafka: str, group: str, name: str, protocol_type: str = "pycdc") -> None:
        self.name, self.has, self.leads, self.losses, self.meetings = name, list[int](), False, 0, 0
        self.member = GroupMember(properties(kafka), group, self, protocol_type=protocol_type, protocol="v1", session=6.0, rebalance=10.0, heartbeat=0.3)

    def metadata(self) -> bytes:
        return self.name.encode()

    async def deal(self, members: Mapping[str, bytes]) -> Mapping[str, bytes]:
        ids = sorted(members, key=members.__getitem__)
        return {m: json.dumps(WORK[i :: len(ids)]).encode() for i, m in enumerate(ids)}

    async def given(self, assignment: bytes, *, generation: int, leads: bool) -> None:
        self.has, self.leads = json.loads(assignment), leads
        self.meetings += 1

    async def lost(self) -> None:
        self.has = []
        self.losses += 1


async def until(condition: Callable[[], bool], limit: float = 25.0) -> float:
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < limit
        await asyncio.sleep(0.02)
    return time.monotonic() - begin


def are_dealt(*workers: Worker) -> bool:
    return sorted(n for w in workers for n in w.has) == WORK and all(w.has for w in workers) and sum(w.leads for w in workers) == 1


async def test_work_is_dealt_out_as_members_come_and_go(kafka: str, names: Names) -> None:
    first, second, third = (Worker(kafka, names.base, n) for n in "abc")
    await first.member.start()
    await until(lambda: are_dealt(first))
    await second.member.start()
    await third.member.start()
    await until(lambda: are_dealt(first, second, third))
    leader = next(w for w in (first, second, third) if w.leads)
    others = [w for w in (first, second, third) if w is not leader]
    await leader.member.leave()
    await until(lambda: are_dealt(*others))
    meetings = others[0].meetings
    others[0].member.meet_again()
    await until(lambda: others[0].meetings > meetings and are_dealt(*others))
    for worker in others:
        await worker.member.leave()
    assert [w.losses for w in others] == [0, 0]


async def test_who_is_silent_loses_its_work_and_learns_it(kafka: str, names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a process that was stopped and wakes up."""
    alive, silent = Worker(kafka, names.base, "a"), Worker(kafka, names.base, "b")
    await alive.member.start()
    await silent.member.start()
    await until(lambda: are_dealt(alive, silent))
    ask, wakes = silent.member._ask, asyncio.Event()

    async def sleeping(request: object) -> object:
        await wakes.wait()
        return await ask(request)

    monkeypatch.setattr(silent.member, "_ask", sleeping)
    await until(lambda: are_dealt(alive))
    wakes.set()
    await until(lambda: silent.losses == 1 and are_dealt(alive, silent))
    await alive.member.leave()
    await silent.member.leave()


async def test_a_group_of_another_kind_is_told(kafka: str, names: Names) -> None:
    await new_topic(kafka, names.base)
    consumer = AIOKafkaConsumer(names.base, bootstrap_servers=kafka, group_id=names.base)
    await consumer.start()
    worker = Worker(kafka, names.base, "a")
    await worker.member.start()
    assert worker.member.task is not None
    with pytest.raises(ServerError, match="members of another kind"):
        await worker.member.task
    await worker.member.leave()
    await consumer.stop()
