"""What is left to do to move a connector, from what both sides say of it; nothing is remembered elsewhere.

A move takes these steps: the connector is created on the new side, stopped and with the marker; stopped on the old side;
its positions are copied; the marker is taken away and it is started; it is looked after. So at every moment at most one
side may run, where a move was cut short is told from both sides alone, and the same command goes on:

    old side    new side             what it is
    runs        absent, or stopped   not begun
    runs        stopped, marked      begun
    stopped     stopped, marked      cut short between the stop and the start: go on
    stopped     stopped              wanted so by somebody, or cut short in the very moment of the start
    stopped     runs                 moved
    any, marked runs or stopped      the other direction was cut short: the new side never stopped being the right one

The new side's own validation runs when the connector is created: before anything is stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pycdc.errors import PycdcError
from pycdc.migrate.observed import Observed


class MoveRefused(PycdcError):
    """A connector is not moved; nothing was changed."""


class Step(StrEnum):
    """In the order of their doing."""

    CREATE = "create it on the new side, stopped"
    STOP = "stop it on the old side and wait until its tasks are gone"
    COPY = "copy its positions"
    CLEAN = "take the mark of the move away"
    START = "start it on the new side"
    VERIFY = "see that it works there and has its positions"
    CLEAN_OLD = "take the mark of an unfinished move away on the old side"
    DELETE_OLD = "delete it on the old side"


@dataclass(frozen=True, slots=True)
class Decision:
    """`wish`: the state in which the connector shall end. No steps: it is moved."""

    steps: tuple[Step, ...]
    wish: str = "RUNNING"


def decide(name: str, old: Observed | None, new: Observed | None, *, delete_old: bool = False) -> Decision:
    """Raises MoveRefused where only the user can know what is right."""
    last = (Step.DELETE_OLD,) if delete_old and old is not None else ()
    if old is None:
        return _without_old(name, new)
    if old.marker is not None:
        return _back_to(name, old, new, last)
    if new is not None and not new.stopped:
        if not old.stopped:
            raise MoveRefused(
                f"The connector {name} runs on both sides.", cause="each does the other's work again",
                hint=f"stop it on one side (PUT /connectors/{name}/stop), then run this again",
            )  # fmt: skip
        # started by hand before the mark was taken away
        return Decision(((Step.CLEAN, Step.VERIFY) if new.marker is not None else ()) + last, new.wish)
    if old.stopped:
        _require_unfinished(name, new)
    if new is not None and (new.marker is None or old.stopped):
        _require_equal(name, old.plain_config, new.plain_config)
    _require_slot_stays(name, old)
    marker = None if new is None else new.marker
    wish = marker or old.wish if old.stopped else old.wish
    # an earlier run's copy is as good as new, unless somebody has changed the connector since
    ready = new is not None and marker == wish and new.plain_config == old.plain_config
    return Decision((*(() if ready else (Step.CREATE,)), Step.STOP, Step.COPY, Step.START, Step.VERIFY, *last), wish)


def _without_old(name: str, new: Observed | None) -> Decision:
    if new is None:
        raise MoveRefused(f"There is no connector {name}.", hint="`pycdc migrate inspect URL` lists them")
    if new.marker is not None:
        raise MoveRefused(
            f"The move of the connector {name} was cut short, and the old side has it no more.",
            cause="whether its positions were copied is not known",
            hint=f"compare GET /connectors/{name}/offsets with the slot or the consumer group, then PUT /connectors/{name}/resume",
        )
    return Decision((), new.wish)


def _back_to(name: str, old: Observed, new: Observed | None, last: tuple[Step, ...]) -> Decision:
    """`old` is the copy that a move in the other direction made and never started."""
    if new is None:
        raise MoveRefused(
            f"A move of the connector {name} to this side was cut short, and the side that it came from has it no more.",
            hint="run the move in its own direction again: it says what can be done",
        )
    if not old.stopped:
        raise MoveRefused(
            f"The connector {name} runs, and is marked as being moved to where it runs.",
            hint="run the move to that side again, which finishes it; then this one",
        )
    cleaned = last or (Step.CLEAN_OLD,)
    if not new.stopped:
        return Decision(cleaned, new.wish)
    return Decision((Step.START, Step.VERIFY, *cleaned), old.marker or "RUNNING")


def _require_unfinished(name: str, new: Observed | None) -> None:
    """Of a connector that rests on the old side: a copy without the mark belongs to no move."""
    if new is not None and new.marker is None:
        raise MoveRefused(
            f"The connector {name} is stopped on both sides.", cause="nothing says where it should run",
            hint=f"start it where it ran last (PUT /connectors/{name}/resume), and run this again if that is the old side",
        )  # fmt: skip


def _require_equal(name: str, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    differing = sorted(k for k in {*old, *new} if old.get(k) != new.get(k))
    if differing:
        raise MoveRefused(
            f"The new side has another connector {name}, stopped.", cause=f"these keys differ: {', '.join(differing)}",
            hint=f"make both configurations equal, or delete that connector (DELETE /connectors/{name} there), then run this again",
        )  # fmt: skip


def _require_slot_stays(name: str, old: Observed) -> None:
    """With slot.drop.on.stop the first step loses everything that is committed until the new side has a slot."""
    for key in ("slot.drop.on.stop", "slot.drop_on_stop"):
        if old.config.get(key, "").strip().lower() == "true":
            raise MoveRefused(
                f"Stopping the connector {name} would drop its slot.", cause=f"{key} = true",
                hint=f"set it to false on the old side (PUT /connectors/{name}/config), then run this again",
            )  # fmt: skip
