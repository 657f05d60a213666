"""Moves one connector: does what is decided, step by step, and undoes it in the reverse order when a step fails.

The new side is started only while the old one is seen at rest, and the old one again only while the new one is. A move
that is interrupted (a signal, a crash) is not undone: the same command goes on where it ended, and the same with the
sides swapped goes back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from pycdc.errors import PycdcError, ServerError
from pycdc.migrate import positions
from pycdc.migrate.decision import Decision, MoveRefused, Step, decide
from pycdc.migrate.observed import MARKER, Observed
from pycdc.migrate.rest import ConnectRest, RestRefused
from pycdc.worker.requests import PartitionOffset

Say = Callable[[str], None]

#: Pause between two looks, seconds.
_LOOK: Final = 0.25
#: How long tasks must be gone and positions unchanged, seconds. Workers of a cluster stop their tasks one by one, and for a
#: moment between two rebalances none is listed while one still stores its last position.
_SETTLED: Final = 2.0
#: How long a started connector must work before it is believed, seconds: many fail only at their first connection.
_WORKS: Final = 3.0
#: How long a connector's state may be unknown until it counts as one that should run, seconds.
_ASSIGNED: Final = 15.0


class MoveFailed(ServerError):
    """A connector could not be moved."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds. `settled` and `works`: how long a state must last until it counts."""

    #: Until tasks are gone, a group is empty, a connector runs: a rebalance's 60 s and a session's 45 s are below.
    wait: float = 120.0
    settled: float = _SETTLED
    works: float = _WORKS
    look: float = _LOOK


class _Undo(NamedTuple):
    """`what` became of the connector by `act`; `tidy`: it only takes away what does no harm."""

    what: str
    act: Callable[[], Awaitable[None]]
    tidy: bool = False


class Move:
    """One connector, from `old` to `new`."""

    def __init__(self, name: str, old: ConnectRest, new: ConnectRest, say: Say, limits: Limits | None = None) -> None:
        self.name, self.old, self.new = name, old, new
        self._say = say
        self._limits = limits or Limits()
        #: What the old side had read when it was seen at rest.
        self._recorded: list[PartitionOffset] = []
        self._kind = "source"
        self._undo: list[_Undo] = []
        #: Whether this run may have started it on the new side.
        self._starting = False

    async def decide(self, *, delete_old: bool = False) -> Decision:
        """What is left to do. Raises MoveRefused."""
        old, new = await self._assigned(self.old), await self._assigned(self.new)
        self._kind = next((side.kind for side in (old, new) if side is not None), self._kind)
        decision = decide(self.name, old, new, delete_old=delete_old)
        if Step.CREATE in decision.steps and self._kind == "source" and positions.in_snapshot(await self.old.offsets(self.name)):
            raise MoveRefused(
                f"The connector {self.name} is in its first snapshot.", cause="the new side would begin it anew",
                hint="wait until it streams, then run this again",
            )  # fmt: skip
        if decision.steps and new is not None and new.stopped and not new.at_rest:
            await self._rest(self.new)  # it was stopped a moment ago
        return decision

    async def run(self, *, delete_old: bool = False) -> Decision:
        """Do it; the decision that was followed. Raises MoveRefused, MoveFailed."""
        decision = await self.decide(delete_old=delete_old)
        acts = {
            Step.CREATE: self._create, Step.STOP: self._stop, Step.COPY: self._copy, Step.CLEAN: self._clean,
            Step.START: self._start, Step.VERIFY: self._verify, Step.CLEAN_OLD: self._clean_old, Step.DELETE_OLD: self._delete_old,
        }  # fmt: skip
        try:
            for step in decision.steps:
                self._say(f"{self.name}: {step}")
                await acts[step](decision.wish)
        except Exception as error:  # also what nobody foresaw: somebody has to run
            if step is Step.DELETE_OLD:
                raise  # it is moved
            raise await self._undone(error) from error
        return decision

    # ---- steps

    async def _create(self, wish: str) -> None:
        old = await self._seen(self.old)
        config = old.plain_config | {MARKER: wish}
        there = await self.new.connector(self.name)
        if there is None:
            try:
                await self.new.create(self.name, config)
            except RestRefused as error:
                # the answer to an earlier try may have been lost on its way
                made = await self.new.connector(self.name) if error.status == 409 else None
                if made is None or made.config != config:
                    raise
            self._undo.append(_Undo("deleted on the new side", lambda: self.new.delete(self.name), tidy=True))
        else:
            await self.new.configure(self.name, config)
            self._undo.append(_Undo("", lambda: self.new.configure(self.name, there.plain_config), tidy=True))
        await self._rest(self.new, lasts=0)

    async def _stop(self, wish: str) -> None:
        if not self._undo:
            # this run goes on with an earlier one's copy
            self._undo.append(_Undo("", lambda: self._clean(""), tidy=True))
        self._undo.append(_Undo(f"{_STARTED[wish]} on the old side", lambda: self._start_old(wish)))
        if not (await self._seen(self.old)).stopped:
            await self.old.stop(self.name)
        self._recorded = await self._rest(self.old)
        self._say(f"{self.name}: at rest, position {positions.told(self._recorded)}")

    async def _copy(self, _wish: str) -> None:
        """A sink's positions are refused while consumers of the old side are still in the group: that they are gone is the check."""

        async def written() -> bool:
            self._recorded = await self.old.offsets(self.name)
            wanted = positions.to_write(self._recorded, await self.new.offsets(self.name), sink=self._kind == "sink")
            if not wanted and self._kind == "sink":
                wanted = list(self._recorded)
            if wanted:
                await self.new.write_offsets(self.name, wanted)
            return not positions.behind(await self.new.offsets(self.name), self._recorded)

        await self._until(written, "its positions cannot be written on the new side", retry=RestRefused)

    async def _clean(self, _wish: str) -> None:
        there = await self._seen(self.new)
        if there.marker is not None:
            await self.new.configure(self.name, there.plain_config)

    async def _start(self, wish: str) -> None:
        """Not to be cancelled in the middle: between the mark and the start nothing tells that a move is under way."""
        begun = asyncio.ensure_future(self._clean_and_start(wish))
        try:
            await asyncio.shield(begun)
        except asyncio.CancelledError:
            await begun
            raise

    async def _clean_and_start(self, wish: str) -> None:
        await self._clean(wish)
        old = await self.old.connector(self.name)  # the last look before two could run
        if old is not None and not old.at_rest:
            raise MoveFailed(f"The connector {self.name} was started on the old side meanwhile.")
        self._undo.append(_Undo("stopped on the new side", self._stop_new))
        self._starting = True
        await self.new.start(self.name, wish)

    async def _verify(self, wish: str) -> None:
        async def there() -> bool:
            seen = await self._seen(self.new)
            if seen.failure:
                raise MoveFailed(f"The connector {self.name} failed on the new side.", cause=seen.failure)
            return seen.works if wish == "RUNNING" else seen.state == wish

        await self._until(there, f"it is not {wish} on the new side", lasts=self._limits.works if wish == "RUNNING" else 0)
        reached: list[PartitionOffset] = []

        async def caught_up() -> bool:
            nonlocal reached
            reached = await self.new.offsets(self.name)
            return not positions.behind(reached, self._recorded)

        await self._until(caught_up, "it has not the positions of the old side")
        self._say(f"{self.name}: {wish} on the new side, position {positions.told(reached)}, was {positions.told(self._recorded)}")

    async def _clean_old(self, _wish: str) -> None:
        there = await self._seen(self.old)
        if there.marker is not None:
            await self.old.configure(self.name, there.plain_config)

    async def _delete_old(self, _wish: str) -> None:
        """Only what is at rest: its configuration goes, its positions, slot and topics stay."""
        await self._rest(self.old)
        await self.old.delete(self.name)

    # ---- back

    async def _undone(self, failure: Exception) -> PycdcError:
        """The error that says what became of the connector."""
        error = failure if isinstance(failure, PycdcError) else PycdcError(f"internal error: {type(failure).__name__}")
        cause = ": ".join(p for p in (error.what.rstrip("."), error.cause) if p)
        done = []
        while self._undo:
            what, act, tidy = self._undo.pop()
            try:
                await act()
            except PycdcError as second:
                if tidy:
                    done.append("still there on the new side, stopped")
                    continue
                return MoveFailed(
                    f"The connector {self.name} could not be moved, nor could that be undone: it may be stopped on both sides.",
                    where=error.where, cause=f"{cause}\n  then: {second.what}: {second.cause or second.where}",
                    hint="look at both sides; run the same command again to go on, or with --back (without it, if it was given) to go back",
                )  # fmt: skip
            done += [what] if what else []
        state = f"It is {', '.join(done)}." if done else "Nothing was changed."
        return MoveFailed(f"The connector {self.name} could not be moved. {state}", where=error.where, cause=cause, hint=error.hint)

    async def _stop_new(self) -> None:
        """What it has read on the new side counts: the old side goes on from there."""
        await self.new.stop(self.name)
        reached = await self._rest(self.new)

        async def written() -> bool:
            there = await self.old.offsets(self.name)
            if positions.behind(there, reached) and not positions.behind(reached, there):
                await self.old.write_offsets(self.name, reached)
            return True

        await self._until(written, "its positions cannot be written on the old side", retry=RestRefused)

    async def _start_old(self, wish: str) -> None:
        """A new side that was never told to start is not asked: it may be the one that does not answer."""
        there = await self.new.connector(self.name) if self._starting else None
        if there is not None and not there.at_rest:
            raise MoveFailed("the new side is not at rest")
        await self.old.start(self.name, wish)

    # ---- looking

    async def _assigned(self, side: ConnectRest) -> Observed | None:
        """As `side` has it, when its state is known: a new connector has none for a moment, nor has one in a rebalance."""
        end = time.monotonic() + min(self._limits.wait, _ASSIGNED)
        while True:
            seen = await side.connector(self.name)
            if seen is None or seen.state != "UNASSIGNED" or time.monotonic() > end:
                return seen
            await asyncio.sleep(self._limits.look)

    async def _seen(self, side: ConnectRest) -> Observed:
        seen = await side.connector(self.name)
        if seen is None:
            raise MoveFailed(f"The connector {self.name} is gone.", where=str(side.endpoint))
        return seen

    async def _rest(self, side: ConnectRest, *, lasts: float | None = None) -> list[PartitionOffset]:
        """Waits until it is stopped there, without tasks, and its positions do not change any more; these."""
        last: list[list[PartitionOffset]] = []

        async def quiet() -> bool:
            seen = await self._seen(side)
            found = await side.offsets(self.name) if seen.at_rest else []
            unchanged = bool(last) and positions.same(last[-1], found)
            last[:] = [found]
            return seen.at_rest and unchanged

        await self._until(quiet, f"it does not come to rest at {side.endpoint}", lasts=self._limits.settled if lasts is None else lasts)
        return last[0]

    async def _until(
        self, enough: Callable[[], Awaitable[bool]], what: str, *, lasts: float = 0, retry: type[ServerError] | None = None
    ) -> None:
        """Looks until `enough` is true and stays so for `lasts` seconds. Raises MoveFailed at the limit."""
        end = time.monotonic() + self._limits.wait
        since: float | None = None
        refused: ServerError | None = None
        while True:
            now = time.monotonic()
            try:
                true = await enough()
            except ServerError as error:
                if retry is None or not isinstance(error, retry):
                    raise
                true, refused = False, error
            since = (since if since is not None else now) if true else None
            if since is not None and time.monotonic() - since >= lasts:
                return
            if now > end:
                cause = f"not within {self._limits.wait:g} s" + (f"; {refused.where}: {refused.cause}" if refused else "")
                raise MoveFailed(f"The connector {self.name}: {what}.", cause=cause)
            await asyncio.sleep(self._limits.look)


_STARTED: Final = {"RUNNING": "started again", "PAUSED": "paused again", "STOPPED": "stopped, as it was,"}

