"""A Connect cluster in memory, as far as a move sees it. Every call may fail or be the last: `before` is asked first."""

from dataclasses import dataclass, field

from pycdc.migrate.endpoint import Endpoint
from pycdc.migrate.observed import Observed, Task
from pycdc.migrate.rest import RestRefused


class Killed(BaseException):
    """The process ended here."""


@dataclass
class Held:
    config: dict
    state: str
    offsets: dict = field(default_factory=dict)
    #: Looks that still see the task of a connector that was stopped.
    leaving: int = 0


class Model:
    """`before(cluster, call)` may raise; `broken`: what is started here fails."""

    def __init__(self, name, world):
        self.endpoint = Endpoint(f"http://{name}")
        self.held, self.world, self.broken = {}, world, False
        #: Outlives the connectors.
        self.kept = {}

    def _call(self, what):
        self.world.before(self, what)

    def _get(self, name):
        if name not in self.held:
            raise RestRefused("refused", status=404, where=str(self.endpoint), cause="no such connector")
        return self.held[name]

    async def connector(self, name):
        self._call("connector")
        held = self.held.get(name)
        if held is None:
            return None
        held.leaving = max(0, held.leaving - 1)
        state = "FAILED" if self.broken else "RUNNING"
        tasks = (Task(0, state, "com.acme.Broken: no" if self.broken else ""),) if held.state == "RUNNING" or held.leaving else ()
        return Observed(name=name, kind="source", config=dict(held.config), state=held.state, tasks=tasks)

    async def offsets(self, name):
        self._call("offsets")
        self._get(name)
        return list(self.kept.get(name, {}).values())

    async def create(self, name, config):
        self._call("create")
        if name in self.held:
            raise RestRefused("refused", status=409, where=str(self.endpoint))
        self.held[name] = Held(dict(config), "STOPPED")
        self.world.after()

    async def configure(self, name, config):
        self._call("configure")
        self._get(name).config = dict(config)
        self.world.after()

    async def stop(self, name):
        self._call("stop")
        held = self._get(name)
        if held.state == "RUNNING":
            held.leaving = 2
        held.state = "STOPPED"
        self.world.after()

    async def start(self, name, wish):
        self._call("start")
        if wish != "STOPPED":
            self._get(name).state = wish
        self.world.after()

    async def write_offsets(self, name, offsets):
        self._call("write_offsets")
        held = self._get(name)
        if held.state != "STOPPED" or held.leaving:
            raise RestRefused("refused", status=400, where=str(self.endpoint), cause="must be STOPPED")
        kept = self.kept.setdefault(name, {})
        for entry in offsets:
            key = str(entry.partition)
            if entry.offset is None:
                kept.pop(key, None)
            else:
                kept[key] = entry
        self.world.after()

    async def delete(self, name):
        self._call("delete")
        self.held.pop(name, None)
        self.world.after()
