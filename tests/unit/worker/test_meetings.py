"""When a worker asks its group to meet: whenever something else is to be dealt out, but never during a meeting."""

import asyncio
import contextlib

import msgspec

from pycdc.errors import PycdcError
from pycdc.worker.group import Assignment
from pycdc.worker.herder import Herder
from pycdc.worker.loggers import Loggers
from pycdc.worker.running import Backoff
from pycdc.worker.stores import InMemory

URL = "http://a:1"
CONFIG = {"connector.class": "io.debezium.connector.postgresql.PostgresConnector"}


class Launcher:
    """Connectors come up, tasks never do."""

    async def look_at(self, name, config):
        pass

    def settings_of(self, name, config):
        raise PycdcError("nothing is divided here")

    @contextlib.asynccontextmanager
    async def launched(self, name, number, config):
        raise PycdcError("nothing runs here")
        yield


class Member:
    """Of a group that meets when the test says so."""

    task = None

    def __init__(self):
        self.meeting, self.asked = False, 0

    async def start(self):
        pass

    def meet_again(self):
        self.asked += 1

    async def confirm(self):
        return True

    async def leave(self):
        pass


async def settled():
    """Everything that can go on without the outside has."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_a_meeting_under_way_is_not_followed_by_a_needless_one():
    herder, member = Herder(URL, "a:1", InMemory, InMemory, Launcher(), Loggers(), Backoff(attempts=0)), Member()
    party = herder.party()

    async def met(*work: str) -> None:
        await party.given(msgspec.json.encode(Assignment([], URL, list(work))), generation=1, leads=True)
        await settled()

    await herder.start(member)
    await met()
    member.meeting = True
    await herder.create("x", CONFIG, None)
    await settled()
    assert member.asked == 0, "the leader of this meeting reads the config topic before it deals"
    member.meeting = False
    await met("-/x")
    assert member.asked == 0, "all is dealt out"
    await met()
    assert member.asked == 1, "the meeting did not know of it"
    await herder.stop()
