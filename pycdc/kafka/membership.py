"""Membership in a group that shares out work of its own kind, over the protocol that brokers keep consumers with.

One of the members leads: it alone is told of all of them, and deals out. Everyone goes on with what it has while the
group meets; whoever the group has not heard of for the session's time has lost everything it had.

Source: Kafka's protocol guide, "Group Membership"; KIP-394 (a member's id comes with the first refusal).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Mapping
from typing import Any, Final, Protocol

import structlog
from aiokafka import errors as kafka
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest

from pycdc.errors import ServerError
from pycdc.kafka.faults import name_of, unreachable
from pycdc.kafka.settings import admin_settings

log = structlog.get_logger(__name__)

_PAUSE: Final = 0.2
_LEAVE_LIMIT: Final = 3.0
#: Seconds beyond the group's own limit for a meeting, in which the broker says that it was reached.
_GRACE: Final = 5.0
#: Errors after which this member is nobody any more.
_GONE: Final = (kafka.UnknownMemberIdError, kafka.IllegalGenerationError)
_MEET_AGAIN: Final = (kafka.RebalanceInProgressError,)


class Party(Protocol):
    """What the membership is for."""

    def metadata(self) -> bytes:
        """What the leader is told of this member."""

    async def deal(self, members: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Only at the leader: what each member is given, by its id. `members`: their metadata."""

    async def given(self, assignment: bytes, *, generation: int, leads: bool) -> None:
        """What this member has from now on."""

    async def lost(self) -> None:
        """This member is none any more: all that it had may be another's now."""


class GroupMember:
    """One. Times in seconds."""

    def __init__(
        self, settings: Mapping[str, str], group: str, party: Party, *, protocol_type: str, protocol: str, session: float = 10.0,
        rebalance: float = 60.0, heartbeat: float = 3.0,
    ) -> None:  # fmt: skip
        """`settings`: Kafka's client properties. `session`: silence after which the group takes this member for dead;
        `rebalance`: how long a meeting waits for its members.
        """
        self._settings = dict(settings)
        self._group, self._party = group, party
        self._protocol_type, self._protocol = protocol_type, protocol
        self._session, self._rebalance, self._heartbeat = session, rebalance, heartbeat
        self._client: AIOKafkaClient | None = None
        self._coordinator: int | None = None
        self._running: asyncio.Task[None] | None = None
        self._again = asyncio.Event()
        #: When the coordinator was last heard of while we were members; None: we have nothing.
        self._heard: float | None = None
        self.member_id = ""
        self.generation = -1

    async def start(self) -> None:
        """Reach the brokers, and join in the background. Raises ServerError."""
        options, _ = admin_settings(self._settings)
        options.pop("request_timeout_ms", None)
        # a meeting is answered when all have come
        self._client = AIOKafkaClient(**options, request_timeout_ms=int((self._rebalance + _GRACE) * 1000))
        try:
            await self._client.bootstrap()
        except (kafka.KafkaError, OSError) as error:
            fault = await unreachable(self._settings.get("bootstrap.servers", ""), error, self._client)
            await self._client.close()
            raise fault from None
        self._running = asyncio.create_task(self._run())

    @property
    def task(self) -> asyncio.Task[None] | None:
        """Ends only with a fault that no waiting mends (ServerError)."""
        return self._running

    def meet_again(self) -> None:
        """Ask the group to deal out anew."""
        self._again.set()

    async def confirm(self) -> bool:
        """Whether the group still counts on this member, by its coordinator's word of now."""
        try:
            async with asyncio.timeout(self._session):
                answer = await self._ask(HeartbeatRequest(self._group, self.generation, self.member_id))
        except (kafka.KafkaError, TimeoutError):
            return False
        return kafka.for_code(answer.error_code) in (kafka.NoError, *_MEET_AGAIN)

    async def leave(self) -> None:
        """What this member had is dealt out at once."""
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError, ServerError):
                await self._running
        if self._client is None:
            return
        if self.member_id and self._coordinator is not None:
            with contextlib.suppress(kafka.KafkaError, TimeoutError):
                async with asyncio.timeout(_LEAVE_LIMIT):
                    await self._ask(LeaveGroupRequest(self._group, self.member_id))
        await self._client.close()

    # ---- the life of a member

    async def _run(self) -> None:
        while True:
            try:
                await self._meet()
                await self._stay()
            except _MEET_AGAIN:
                continue
            except _GONE as error:
                log.warning("this worker is not in its group any more", group=self._group, cause=name_of(error))
                self.member_id, self.generation = "", -1
                await self._lose()
            except kafka.InconsistentGroupProtocolError:
                raise ServerError(
                    "the group has members of another kind", where=f"group {self._group}", cause=f"its protocol type is not {self._protocol_type}",
                    hint="stop all workers of Kafka Connect that have this group.id, or take another group.id",
                ) from None  # fmt: skip
            except (kafka.KafkaError, TimeoutError) as error:
                if not getattr(error, "retriable", True):
                    raise ServerError("the group refuses this worker", where=f"group {self._group}", cause=name_of(error)) from None
                log.info("the group's coordinator does not answer", group=self._group, cause=name_of(error))
                self._coordinator = None
                if self._heard is not None and time.monotonic() - self._heard > self._session:
                    await self._lose()
                await asyncio.sleep(_PAUSE * random.uniform(0.5, 1.5))  # noqa: S311

    async def _lose(self) -> None:
        if self._heard is not None:
            self._heard = None
            await self._party.lost()

    async def _meet(self) -> None:
        """Join, deal or be dealt to."""
        self._again.clear()
        joined = await self._join()
        self.member_id, self.generation = joined.member_id, joined.generation_id
        leads = joined.leader_id == joined.member_id
        dealt: list[tuple[str, bytes]] = []
        if leads:
            dealt = list((await self._party.deal({m[0]: bytes(m[-1]) for m in joined.members})).items())
        answer = await self._ask(SyncGroupRequest(self._group, self.generation, self.member_id, None, dealt))
        _must_be_well(answer)
        self._heard = time.monotonic()
        await self._party.given(bytes(answer.member_assignment), generation=self.generation, leads=leads)

    async def _join(self) -> Any:
        while True:
            answer = await self._ask(JoinGroupRequest(
                self._group, int(self._session * 1000), int(self._rebalance * 1000), self.member_id, None, self._protocol_type,
                [(self._protocol, self._party.metadata())],
            ))  # fmt: skip
            if kafka.for_code(answer.error_code) is not kafka.MemberIdRequired:
                _must_be_well(answer)
                return answer
            self.member_id = answer.member_id

    async def _stay(self) -> None:
        """Until the group meets again, or it is asked to."""
        while not self._again.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._heartbeat):
                    await self._again.wait()
            if self._again.is_set():
                return
            async with asyncio.timeout(self._session):
                _must_be_well(await self._ask(HeartbeatRequest(self._group, self.generation, self.member_id)))
            self._heard = time.monotonic()

    async def _ask(self, request: Any) -> Any:
        assert self._client is not None
        if self._coordinator is None:
            self._coordinator = await self._client.coordinator_lookup(CoordinationType.GROUP, self._group)
        return await self._client.send(self._coordinator, request, group=ConnectionGroup.COORDINATION)


def _must_be_well(answer: Any) -> None:
    error = kafka.for_code(answer.error_code)
    if error is not kafka.NoError:
        raise error
