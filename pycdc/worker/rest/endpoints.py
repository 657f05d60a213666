"""One method for each thing that REST can be asked: from a request to its answer, over the herder.

Writes go to the leader, so they raise NotHere elsewhere; everything else is answered from what this worker knows.
Statuses, bodies and texts are those of Kafka Connect 4.1.1 as captured.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from pycdc.model.javahash import map_order
from pycdc.worker.classes import SINK, kind_of
from pycdc.worker.configs import Target
from pycdc.worker.herder import Herder, not_found
from pycdc.worker.offsets import SinkOffsets, SourceOffsets
from pycdc.worker.requests import RequestError, config_of, create_of, level_of, offsets_of, patched
from pycdc.worker.rest import views
from pycdc.worker.rest.paths import location
from pycdc.worker.validation.plugins import version_of_class

if TYPE_CHECKING:
    from pycdc.worker.loggers import Loggers
    from pycdc.worker.requests import Config
    from pycdc.worker.settings import Worker

_NOT_STOPPED: Final = (
    "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the specified connector "
    "by issuing a 'PUT' request to the '/connectors/{}/stop' endpoint"
)
_CHANGED: Final = (
    "The Connect framework-managed offsets for this connector have been {0} successfully. However, if this connector manages offsets "
    "externally, they will need to be manually {0} in the system that the connector uses."
)
_ALGORITHMS: Final = ("HmacSHA256",)


class Request(msgspec.Struct, frozen=True):
    """What was asked. `query`: first value of each parameter; `expand`: all of that one."""

    names: tuple[str, ...]
    query: dict[str, str]
    expand: list[str]
    body: bytes
    headers: Mapping[str, str]

    def is_true(self, parameter: str) -> bool:
        """As Java reads it: anything else is false."""
        return self.query.get(parameter, "").lower() == "true"


class Answer(msgspec.Struct, frozen=True):
    """`body` None: there is none; `location`: path of what was made."""

    status: int
    body: Any = None
    location: str | None = None


class Plugins(Protocol):
    """What is known of classes and their configurations; both raise RequestError."""

    def listed(self, *, connectors_only: bool) -> list[dict[str, Any]]: ...

    def definition(self, plugin: str, version: str | None) -> list[dict[str, Any]]: ...

    async def form(self, plugin: str, config: Config) -> dict[str, Any]: ...

    async def must_be_valid(self, name: str, config: Config, *, renamed: bool = False) -> None:
        """`renamed`: the configuration may call itself otherwise."""


class Endpoints:
    """Of one worker."""

    def __init__(self, worker: Worker, herder: Herder, offsets: SourceOffsets, plugins: Plugins, loggers: Loggers) -> None:
        self._worker, self._herder, self._offsets, self._plugins, self._loggers = worker, herder, offsets, plugins, loggers
        self.cluster_id = ""

    def knows(self, connector: str) -> bool:
        return connector in self._herder.configs.connectors

    def method(self, name: str) -> Callable[[Request], Awaitable[Answer]]:
        found: Callable[[Request], Awaitable[Answer]] = getattr(self, name)
        return found

    # ---- the worker

    async def root(self, _request: Request) -> Answer:
        return Answer(200, {"version": version_of_class("org.apache.kafka.connect"), "commit": f"pycdc-{version_of_class('pycdc')}", "kafka_cluster_id": self.cluster_id})

    async def loggers(self, _request: Request) -> Answer:
        return Answer(200, self._loggers.listed())

    async def logger(self, request: Request) -> Answer:
        return Answer(200, self._loggers.one(request.names[0]))

    async def set_logger(self, request: Request) -> Answer:
        level = self._loggers.level_named(level_of(request.body))
        if request.query.get("scope", "").lower() == "cluster":
            await self._herder.set_level_everywhere(request.names[0], level)
            return Answer(204)
        return Answer(200, self._loggers.set_level(request.names[0], level))

    # ---- plugins

    async def plugins(self, request: Request) -> Answer:
        connectors_only = "connectorsOnly" not in request.query or request.is_true("connectorsOnly")
        return Answer(200, self._plugins.listed(connectors_only=connectors_only))

    async def plugin_config(self, request: Request) -> Answer:
        return Answer(200, self._plugins.definition(request.names[0], request.query.get("version")))

    async def validate(self, request: Request) -> Answer:
        return Answer(200, await self._plugins.form(request.names[0], config_of(request.body)))

    # ---- connectors, read

    async def connectors(self, request: Request) -> Answer:
        h = self._herder
        names = sorted(h.configs.connectors)
        if "expand" not in request.query:
            return Answer(200, names)
        shown: dict[str, dict[str, Any]] = {}
        for name in names:
            shown[name] = {}
            if "status" in request.expand and name in h.known.connectors:
                shown[name]["status"] = views.status(h.configs, h.known, name)
            if "info" in request.expand:
                shown[name]["info"] = views.info(h.configs, name)
        return Answer(200, shown)

    async def connector(self, request: Request) -> Answer:
        return Answer(200, views.info(self._herder.configs, request.names[0]))

    async def config(self, request: Request) -> Answer:
        return Answer(200, views.config_of(self._herder.configs, request.names[0]))

    async def status(self, request: Request) -> Answer:
        return Answer(200, views.status(self._herder.configs, self._herder.known, request.names[0]))

    async def tasks(self, request: Request) -> Answer:
        return Answer(200, views.tasks(self._herder.configs, request.names[0]))

    async def task_status(self, request: Request) -> Answer:
        return Answer(200, views.task_status(self._herder.known, request.names[0], _number(request.names[1])))

    # ---- connectors, written

    async def create(self, request: Request) -> Answer:
        asked = create_of(request.body)
        name, config = asked.name, dict(asked.config)
        config.setdefault("name", name)
        await self._plugins.must_be_valid(name, config)
        texts = _texts(config)
        await self._herder.create(name, texts, asked.target)
        return Answer(201, {**views.info(self._herder.configs, name, texts), "tasks": []}, location(name))

    async def put_config(self, request: Request) -> Answer:
        name, config = request.names[0], dict(config_of(request.body))
        config.setdefault("name", name)
        await self._plugins.must_be_valid(name, config)
        texts = _texts(config)
        if await self._herder.put(name, texts):
            return Answer(201, {**views.info(self._herder.configs, name, texts), "tasks": []}, location(name))
        return await self._changed(name, texts)

    async def _changed(self, name: str, texts: dict[str, str]) -> Answer:
        """With the tasks as they were: the original's have not been told yet."""
        info = views.info(self._herder.configs, name, texts)
        await self._herder.tasks_follow(name, texts)
        return Answer(200, info)

    async def patch_config(self, request: Request) -> Answer:
        name = request.names[0]
        patch = {} if request.body.strip() == b"null" else config_of(request.body)
        await self._herder.must_lead()
        whole = patched(views.config_of(self._herder.configs, name), patch)
        merged = {key: whole[key] for key in map_order(whole)}
        await self._plugins.must_be_valid(name, merged, renamed=True)
        texts = _texts(merged)
        await self._herder.put(name, texts)
        return await self._changed(name, texts)

    async def delete(self, request: Request) -> Answer:
        await self._herder.delete(request.names[0])
        return Answer(204)

    async def pause(self, request: Request) -> Answer:
        await self._herder.set_target(request.names[0], Target.PAUSED)
        return Answer(202)

    async def resume(self, request: Request) -> Answer:
        await self._herder.set_target(request.names[0], Target.STARTED)
        return Answer(202)

    async def stop(self, request: Request) -> Answer:
        await self._herder.stop_connector(request.names[0])
        return Answer(204)

    async def restart(self, request: Request) -> Answer:
        name, h = request.names[0], self._herder
        include, only_failed = request.is_true("includeTasks"), request.is_true("onlyFailed")
        if not include and not only_failed:
            await h.restart_connector(name)
            return Answer(204)
        await h.must_lead()
        chosen = views.chosen(h.known, name, include_tasks=include, only_failed=only_failed)
        shown = views.status(h.configs, h.known, name, chosen) if name in h.configs.connectors else None
        await h.restart(name, include_tasks=include, only_failed=only_failed)
        return Answer(202, shown)

    async def restart_task(self, request: Request) -> Answer:
        await self._herder.restart_task(request.names[0], _number(request.names[1]))
        return Answer(204)

    # ---- topics

    async def topics(self, request: Request) -> Answer:
        self._must_track(self._worker.config.topic_tracking, "Topic tracking is disabled.")
        name = request.names[0]
        return Answer(200, {name: {"topics": sorted(self._herder.known.topics.get(name, ()))}})

    async def reset_topics(self, request: Request) -> Answer:
        c = self._worker.config
        self._must_track(c.topic_tracking, "Topic tracking is disabled.")
        self._must_track(c.topic_reset, "Topic tracking reset is disabled.")
        await self._herder.forget_topics(request.names[0])
        return Answer(202)

    def _must_track(self, enabled: bool, text: str) -> None:
        if not enabled:
            raise RequestError(403, text)

    # ---- offsets

    async def offsets(self, request: Request) -> Answer:
        name = request.names[0]
        config = self._known_config(name)
        if kind_of(config.get("connector.class")) == SINK:
            return Answer(200, {"offsets": await SinkOffsets(self._worker, name, config).listed()})
        return Answer(200, {"offsets": await self._offsets.listed(name, config)})

    async def alter_offsets(self, request: Request) -> Answer:
        entries = offsets_of(request.body)
        name, config = await self._to_change(request)
        if kind_of(config.get("connector.class")) == SINK:
            await SinkOffsets(self._worker, name, config).alter(entries)
        else:
            await self._offsets.alter(name, config, entries)
        return Answer(200, {"message": _CHANGED.format("altered")})

    async def reset_offsets(self, request: Request) -> Answer:
        name, config = await self._to_change(request)
        if kind_of(config.get("connector.class")) == SINK:
            await SinkOffsets(self._worker, name, config).reset()
        else:
            await self._offsets.reset(name, config)
        return Answer(200, {"message": _CHANGED.format("reset")})

    def _known_config(self, name: str) -> dict[str, str]:
        config = self._herder.configs.connectors.get(name)
        if config is None:
            raise not_found(name)
        return config

    async def _to_change(self, request: Request) -> tuple[str, dict[str, str]]:
        name = request.names[0]
        await self._herder.must_lead()
        config = self._known_config(name)
        if not self._herder.is_stopped(name):
            raise RequestError(400, _NOT_STOPPED.format(name))
        return name, config

    # ---- what workers of the original say to each other; nobody does here

    async def internal_tasks(self, request: Request) -> Answer:
        return self._internal(request)

    async def internal_fence(self, request: Request) -> Answer:
        return self._internal(request)

    def _internal(self, request: Request) -> Answer:
        signature, algorithm = request.headers.get("X-Connect-Authorization"), request.headers.get("X-Connect-Request-Signature-Algorithm")
        if signature is None or algorithm is None:
            raise RequestError(400, "Internal request missing required signature")
        if algorithm not in _ALGORITHMS:
            raise RequestError(400, f"Algorithm {algorithm} not available")
        try:
            base64.b64decode(signature, validate=True)
        except binascii.Error:
            bad = next((c for c in signature if not (c.isalnum() or c in "+/=")), "=")
            raise RequestError(400, f"Illegal base64 character {ord(bad):x}") from None
        raise RequestError(403, "Internal request contained invalid signature.")


def _texts(config: Config) -> dict[str, str]:
    """A valid one has no nulls; those that are left are no values."""
    return {k: v for k, v in config.items() if v is not None}


def _number(text: str) -> int:
    """Of a task. Raises RequestError: the original has no such path."""
    try:
        return int(text)
    except ValueError:
        raise RequestError(404, "HTTP 404 Not Found") from None

