"""The worker's middle: what the config topic wishes and the group gives it, it runs; what REST asks, it writes.

Everything is level-triggered: each news (a record, a meeting, a change here) only asks for another look at what is
wished and what runs, so that nothing rests on having seen every step. Connectors are changed by the leader alone, in
records that each worker reads; pause and resume by whoever is asked.

Source: Kafka Connect's DistributedHerder; which records a command writes: captures of 4.1.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from pycdc.errors import ConfigError, PycdcError
from pycdc.runtime.job import Job
from pycdc.worker import configs
from pycdc.worker.classes import kind_of, version_of
from pycdc.worker.configs import ConfigChanged, Configs, Event, LevelSet, RestartAsked, Target
from pycdc.worker.division import Divisions, follow
from pycdc.worker.group import About, Assignment, Member, Party, Place
from pycdc.worker.items import connector_item, name_of_item, number_of_item, task_item
from pycdc.worker.launch import ConnectorLauncher
from pycdc.worker.loggers import Loggers
from pycdc.worker.requests import RequestError
from pycdc.worker.running import Backoff, RunningConnector, RunningTask, Wish
from pycdc.worker.statuses import State, Status, Statuses
from pycdc.worker.stores import ConfigStore, MakeRecords, StatusStore

log = structlog.get_logger(__name__)

#: Seconds that a write waits for a leader to be known.
_LEADER_LIMIT: Final = 5.0
#: Seconds that the answer to a change waits for the tasks, and between two looks at them.
_FOLLOW_LIMIT: Final = 1.0
_FOLLOW_LOOK: Final = 0.01
#: Seconds before the leader tries again what it could not write.
_LEAD_AGAIN: Final = 1.0
#: Seconds that a connector may take to come up.
_START_LIMIT: Final = 60.0
#: Seconds that what runs has to end when the worker does; the process has 8, and it has to leave the group besides.
_HAND_OVER_LIMIT: Final = 5.0


class NotHere(Exception):
    """Another worker has to do it; `url` None: none is known."""

    def __init__(self, url: str | None) -> None:
        super().__init__(url)
        self.url = url


def not_found(name: str) -> RequestError:
    return RequestError(404, f"Connector {name} not found")


async def _unseen(item: str, job: Job) -> None:
    """Nobody watches."""


class Herder:
    """One worker's. `url`: where the others reach it."""

    def __init__(
        self, url: str, worker_id: str, config_records: MakeRecords, status_records: MakeRecords, launcher: ConnectorLauncher,
        loggers: Loggers, backoff: Backoff,
    ) -> None:  # fmt: skip
        self.url, self.worker_id = url, worker_id
        self._launcher, self._loggers, self._backoff = launcher, loggers, backoff
        self._store = ConfigStore(config_records, self._heard)
        self.statuses = StatusStore(status_records, self._state_told)
        #: By item; those that are ending still count as held.
        self.held: dict[str, RunningConnector | RunningTask] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._place = Place(Assignment([], ""), -1, leads=False)
        self._member: Member | None = None
        self._look = asyncio.Event()
        self._met = asyncio.Condition()
        #: Connectors whose tasks the leader has to look at.
        self._to_lead: set[str] = set()
        self._divisions = Divisions(launcher.settings_of, self._to_be_led)
        self._writing = asyncio.Lock()
        self._stopping = False
        self._loop: asyncio.Task[None] | None = None
        #: Told of a task's job when it has ended.
        self.seen_off: Callable[[str, Job], Awaitable[None]] = _unseen
        self.rebalances = 0
        #: When the group met last, seconds (monotonic); 0 = never.
        self.met_at = 0.0

    # ---- life

    def party(self) -> Party:
        """What the group's protocol talks to."""
        return Party(self._about, self._work, self._store.read_to_end, self._placed, self._lost)

    async def start(self, member: Member) -> None:
        """Read what is there, and join. Raises ServerError."""
        self._stopping = False
        await self._store.start()
        await self.statuses.start()
        self._member = member
        await member.start()
        self._loop = asyncio.create_task(self._live())

    async def failed(self) -> None:
        """Returns never; raises what ends the worker."""
        assert self._member is not None
        tasks = [t for t in (self._member.task, self._loop) if t is not None]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def stop(self) -> None:
        """What runs here ends in order, and is another's when we leave."""
        self._stopping = True
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.wait((self._loop,))
            self._loop = None
        self._divisions.keep(())
        for item in list(self.held):
            self._end(item)
        await self._all_ended()
        if self._member is not None:
            await self._member.leave()
            self._member = None
        await self.statuses.stop()
        await self._store.stop()

    async def _all_ended(self) -> None:
        """Whoever does not end in time is cut off, so that there is time to tell the group."""
        ending = list(self._ending.values())
        if not ending:
            return
        _, late = await asyncio.wait(ending, timeout=_HAND_OVER_LIMIT)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    # ---- what the group says

    def _about(self) -> About:
        return About(self.url, self.worker_id, sorted({*self.held, *self._ending}))

    def _work(self) -> list[str]:
        c = self.configs
        return [connector_item(n) for n in c.connectors] + [task_item(n, i) for n, t in c.tasks.items() if n in c.connectors for i in range(len(t))]

    def _placed(self, place: Place) -> None:
        first = not self._place.leads
        self._place = place
        self.rebalances, self.met_at = self.rebalances + 1, time.monotonic()
        log.info("the group has met", generation=place.generation, leads=place.leads, items=len(place.assignment.items), workers=len(place.assignment.workers))
        if place.leads and first:
            self._to_lead.update(self.configs.connectors)
        self._look.set()
        self._tell_met()

    def _tell_met(self) -> None:
        async def tell() -> None:
            async with self._met:
                self._met.notify_all()

        self._telling = asyncio.ensure_future(tell())

    async def _lost(self) -> None:
        """Nothing here is ours any more, and nothing is told of it: others speak of it now."""
        self._place = Place(Assignment([], ""), -1, leads=False)
        held, self.held = self.held, {}
        await asyncio.gather(*(h.abandon() for h in held.values()))

    # ---- what the topics say

    @property
    def configs(self) -> Configs:
        return self._store.configs

    @property
    def known(self) -> Statuses:
        return self.statuses.known

    def _heard(self, event: Event) -> None:
        if isinstance(event, RestartAsked):
            self._restart_held(event)
        elif isinstance(event, LevelSet):
            self._loggers.hear(event.logger, event.level)
        else:
            if isinstance(event, ConfigChanged) and event.name not in self.known.connectors:
                log.info("a new connector", connector=event.name)
            self._look.set()

    def _state_told(self, name: str) -> None:
        """Of a connector, by whoever has it: when it has come up its tasks are due."""
        status = self.known.connectors.get(name)
        if status is not None and status.state is State.RUNNING:
            self._to_be_led(name)

    def _to_be_led(self, name: str) -> None:
        self._to_lead.add(name)
        self._look.set()

    # ---- what runs here

    async def _live(self) -> None:
        while True:
            await self._look.wait()
            self._look.clear()
            self._bring_about()
            if self._place.leads:
                await self._lead()
            else:
                self._divisions.keep(())
            self._meet_about_work()

    def _meet_about_work(self) -> None:
        """When it is not what was dealt out. Not during a meeting, which ends with another look: one more, that nobody else
        knows of, would keep the group waiting for the others' next heartbeats.
        """
        member = self._member
        if member is not None and not member.meeting and self._place.generation >= 0 and sorted(self._work()) != self._place.assignment.work:
            member.meet_again()

    def _bring_about(self) -> None:
        work = set(self._work())
        ours = work.intersection(self._place.assignment.items)
        for item in [i for i in self.held if i not in ours]:
            self._end(item)
        for item in sorted(ours.difference(self._ending)):
            wish = self._wish(item)
            if item in self.held:
                self.held[item].wish(wish)
            else:
                self._begin(item, wish)

    def _wish(self, item: str) -> Wish:
        name, number = name_of_item(item), number_of_item(item)
        config = self.configs.connectors[name] if number is None else self.configs.tasks[name][number]
        return Wish(dict(config), self.configs.target(name))

    def _begin(self, item: str, wish: Wish) -> None:
        name, number = name_of_item(item), number_of_item(item)
        held: RunningConnector | RunningTask

        async def tell(state: State, trace: str | None) -> None:
            if self.held.get(item) is held:
                await self._tell(item, state, trace)

        if number is None:
            held = RunningConnector(wish, tell, lambda config: self._launcher.look_at(name, config))
            held.begin(connector=name)
        else:
            held = RunningTask(wish, tell, lambda config: self._launcher.launched(name, number, config), self._backoff, lambda job: self.seen_off(item, job))
            held.begin(connector=name, task=str(number))
        self.held[item] = held

    def _end(self, item: str) -> None:
        """From now on it tells nothing by itself."""
        self._ending[item] = asyncio.create_task(self._give_up(item, self.held.pop(item)))

    async def _give_up(self, item: str, held: RunningConnector | RunningTask) -> None:
        try:
            await held.give_up()
            if item in self._work():
                await self._tell(item, State.UNASSIGNED, None, safely=True)
            else:
                await self._forget(item)
        except PycdcError as error:
            log.warning("the end of a task could not be told", item=item, cause=error.cause or error.what)
        finally:
            self._ending.pop(item, None)
            self._look.set()
            if self._member is not None and not self._stopping and item in self._work():
                self._member.meet_again()

    async def _tell(self, item: str, state: State, trace: str | None, *, safely: bool = False) -> None:
        name, number = name_of_item(item), number_of_item(item)
        config = self.configs.connectors.get(name, {})
        version = version_of(config.get("connector.class")) if state not in (State.UNASSIGNED, State.RESTARTING) else None
        status = Status(state, self.worker_id, self._place.generation, trace, version)
        if number is None:
            await self.statuses.connector(name, status, safely=safely)
        else:
            await self.statuses.task(name, number, status, safely=safely)

    async def _forget(self, item: str) -> None:
        name, number = name_of_item(item), number_of_item(item)
        if number is not None:
            await self.statuses.forget_task(name, number)
        elif name not in self.configs.connectors:
            await self.statuses.forget(name)

    def _restart_held(self, asked: RestartAsked) -> None:
        for item, held in self.held.items():
            number = number_of_item(item)
            chosen = asked.include_tasks or number is None
            if name_of_item(item) == asked.name and chosen and (not asked.only_failed or held.state is State.FAILED):
                held.restart(announced=True)

    # ---- what the leader does besides

    async def _lead(self) -> None:
        due, self._to_lead = self._to_lead, set()
        self._divisions.keep(n for n in self.configs.connectors if self.configs.target(n) is Target.STARTED)
        for name in due:
            try:
                await self._configure_tasks(name)
            except PycdcError as error:
                log.error("the tasks of a connector could not be configured, trying again", connector=name, cause=error.cause or error.what)
                self._to_lead.add(name)
                asyncio.get_running_loop().call_later(_LEAD_AGAIN, self._look.set)
        with contextlib.suppress(PycdcError):
            await self._forget_the_gone()

    async def _configure_tasks(self, name: str) -> None:
        """Of a connector that is up, when they are not what they should be."""
        config, status = self.configs.connectors.get(name), self.known.connectors.get(name)
        if config is None or status is None or status.state is not State.RUNNING or self.configs.target(name) is not Target.STARTED:
            return
        wanted = self._divisions.tasks(name, config)
        if wanted is not None and wanted != self.configs.tasks.get(name):
            async with self._writing:
                await self._store.write(configs.tasks(name, wanted))

    async def _forget_the_gone(self) -> None:
        """States of what is in no configuration any more, and that nobody runs who would say so."""
        owned = self._place.assignment.owners
        for name in [n for n in {*self.known.connectors, *self.known.tasks} if n not in self.configs.connectors]:
            if connector_item(name) not in owned:
                await self.statuses.forget(name)
        for name, tasks in list(self.known.tasks.items()):
            for number in [n for n in tasks if n >= len(self.configs.tasks.get(name, ()))]:
                if task_item(name, number) not in owned:
                    await self.statuses.forget_task(name, number)

    # ---- commands; raise RequestError, NotHere, ServerError

    async def _must_lead(self) -> None:
        """A few seconds' wait while the group meets are kinder than a refusal."""
        await self._until(lambda: bool(self._place.assignment.leader_url))
        while True:
            place = self._place
            if not place.leads:
                raise NotHere(place.assignment.leader_url or None)
            if self._member is not None and await self._member.confirm():
                return
            # it may be meeting just now, and counts on us in a new generation
            await self._until(lambda old=place: self._place is not old and bool(self._place.assignment.leader_url))  # type: ignore[misc]
            if self._place is place:
                raise NotHere(None)

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Of the group's next meetings; not for long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEADER_LIMIT), self._met:
                await self._met.wait_for(condition)

    async def must_lead(self) -> None:
        await self._must_lead()
        await self._store.read_to_end()

    def _must_exist(self, name: str, error: RequestError) -> None:
        if name not in self.configs.connectors:
            raise error

    async def create(self, name: str, config: Mapping[str, str], target: Target | None) -> None:
        await self.must_lead()
        async with self._writing:
            if name in self.configs.connectors:
                raise RequestError(409, f"Connector {name} already exists")
            wished = configs.target(name, target) if target not in (None, Target.STARTED) else []
            await self._store.write([*wished, *configs.connector(name, config)])

    async def put(self, name: str, config: Mapping[str, str]) -> bool:
        """Whether it is new."""
        await self.must_lead()
        async with self._writing:
            new = name not in self.configs.connectors
            await self._store.write(configs.connector(name, config))
            return new

    async def tasks_follow(self, name: str, config: Mapping[str, str]) -> None:
        """Behind a change: whoever looks at the tasks next finds them as they are now configured. Not for long, for the
        connector may not come up.
        """
        until = time.monotonic() + _FOLLOW_LIMIT
        while time.monotonic() < until and self.configs.connectors.get(name) == config and self.configs.target(name) is Target.STARTED:
            status = self.known.connectors.get(name)
            if status is not None and status.state is State.FAILED:
                return
            with contextlib.suppress(ConfigError):
                if follow(self.configs.tasks.get(name), config):
                    return
            await asyncio.sleep(_FOLLOW_LOOK)

    async def delete(self, name: str) -> None:
        await self.must_lead()
        async with self._writing:
            self._must_exist(name, not_found(name))
            await self._store.write(configs.removed(name))

    async def stop_connector(self, name: str) -> None:
        await self.must_lead()
        async with self._writing:
            self._must_exist(name, RequestError(404, f"Unknown connector {name}"))
            await self._store.write([*configs.tasks(name, []), *configs.target(name, Target.STOPPED)])

    async def set_target(self, name: str, target: Target) -> None:
        """By any worker."""
        await self._store.read_to_end()
        self._must_exist(name, RequestError(404, f"Unknown connector {name}"))
        await self._store.write(configs.target(name, target))

    async def restart(self, name: str, *, include_tasks: bool, only_failed: bool) -> None:
        """Asked of all workers by a record."""
        await self.must_lead()
        self._must_exist(name, RequestError(404, f"Unknown connector: {name}"))
        await self._store.write(configs.restart(name, include_tasks=include_tasks, only_failed=only_failed))

    async def restart_connector(self, name: str) -> None:
        held = await self._held_for_restart(name, connector_item(name))
        assert isinstance(held, RunningConnector)
        if not await held.restarted(_START_LIMIT):
            raise RequestError(500, f"Failed to start connector: {name}")

    async def restart_task(self, name: str, number: int) -> None:
        self._must_exist(name, RequestError(404, f"Unknown connector: {name}"))
        if self.configs.target(name) is Target.STOPPED:
            raise NotHere(None)
        if not 0 <= number < len(self.configs.tasks.get(name, ())):
            raise RequestError(404, f"Unknown task: {name}-{number}")
        (await self._held_for_restart(name, task_item(name, number))).restart()

    async def _held_for_restart(self, name: str, item: str) -> RunningConnector | RunningTask:
        await self._store.read_to_end()
        self._must_exist(name, RequestError(404, f"Unknown connector: {name}"))
        held = self.held.get(item)
        if held is not None:
            return held
        owner = self._place.assignment.owners.get(item)
        raise NotHere(owner if owner != self.url else None)

    async def set_level_everywhere(self, logger: str, level: str) -> None:
        """By any worker."""
        await self._store.write(configs.level(logger, level))

    async def forget_topics(self, name: str) -> None:
        await self.statuses.forget_topics(name)

    def is_stopped(self, name: str) -> bool:
        """Also its tasks have ended, as far as it is known."""
        return self.configs.target(name) is Target.STOPPED and not self.known.tasks.get(name)

    # ---- what is seen

    @property
    def place(self) -> Place:
        return self._place

    def kind(self, name: str) -> str:
        """source, sink or unknown."""
        return kind_of(self.configs.connectors.get(name, {}).get("connector.class"))
