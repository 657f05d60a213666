"""Creating topics by the topic.creation.* groups (KIP-158).

Without the default group the broker creates topics by itself when it is asked for their metadata. A topic
belongs to the first listed group whose include matches in full and whose exclude does not, else to default.
A topic that exists is never touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import regex
import structlog
from aiokafka import errors as kafka
from aiokafka.admin import AIOKafkaAdminClient

from pycdc.config.definition import integer
from pycdc.errors import ConfigError, Fault, ServerError
from pycdc.kafka.faults import unreachable
from pycdc.kafka.settings import admin_settings
from pycdc.kafka.wire import client_of
from pycdc.model.javaregex import compile_java, split_list

log = structlog.get_logger(__name__)

#: Limit for one dealing with the brokers, seconds.
_ANSWER_LIMIT: Final = 30.0
_PREFIX: Final = "topic.creation."


class NewTopic(msgspec.Struct, frozen=True):
    """A topic to create; -1 leaves a number to the broker. (aiokafka's own class refuses -1.)"""

    name: str
    num_partitions: int = -1
    replication_factor: int = -1
    topic_configs: dict[str, str] = {}
    replica_assignments: dict[int, list[int]] = {}


class Group(msgspec.Struct, frozen=True):
    """How the topics of a group are made."""

    name: str
    include: list[regex.Pattern[str]]
    exclude: list[regex.Pattern[str]]
    partitions: int
    replication: int
    configs: dict[str, str]

    def matches(self, topic: str) -> bool:
        return any(p.fullmatch(topic) for p in self.include) and not any(p.fullmatch(topic) for p in self.exclude)


def parse_groups(raw: Mapping[str, str]) -> list[Group]:
    """The groups of `topic.creation.*`, default last; empty when there is no default. Raises ConfigError."""
    faults: list[Fault] = []
    names = [n.strip() for n in raw.get(f"{_PREFIX}groups", "").split(",") if n.strip() and n.strip() != "default"]
    default = _own(raw, "default")
    if names and not default:
        faults.append(Fault(f"{_PREFIX}default.partitions", f"is required when {_PREFIX}groups is given"))
    groups = [_group(raw, name, default, faults) for name in [*names, "default"]] if default else []
    if faults:
        raise ConfigError("The topic creation groups are wrong.", faults=tuple(faults))
    return groups


def _own(raw: Mapping[str, str], name: str) -> dict[str, str]:
    prefix = f"{_PREFIX}{name}."
    return {k[len(prefix) :]: v for k, v in raw.items() if k.startswith(prefix)}


def _group(raw: Mapping[str, str], name: str, default: Mapping[str, str], faults: list[Fault]) -> Group:
    own = _own(raw, name)
    key: Callable[[str], str] = f"{_PREFIX}{name}.{{}}".format
    if name == "default":
        include = [compile_java(".*")]
        exclude: list[regex.Pattern[str]] = []
    else:
        include = _patterns(own.pop("include", ""), key("include"), faults)
        exclude = _patterns(own.pop("exclude", ""), key("exclude"), faults)
    numbers = [
        _number(own.pop(k, default.get(k)), key(k), faults) for k in ("partitions", "replication.factor")
    ]
    return Group(name, include, exclude, numbers[0], numbers[1], own)


def _patterns(text: str, key: str, faults: list[Fault]) -> list[regex.Pattern[str]]:
    try:
        return [compile_java(p) for p in split_list(text)]
    except ValueError as error:
        faults.append(Fault(key, str(error), text))
        return []


def _number(text: str | None, key: str, faults: list[Fault]) -> int:
    try:
        number = integer(-1).parse(text or "")
        if number != 0:
            return number
    except ValueError:
        pass
    faults.append(Fault(key, "must be a whole number of at least 1, or -1 for the broker's default", text))
    return -1


class Topics:
    """Makes each topic once, before its first record."""

    def __init__(self, groups: list[Group], settings: Mapping[str, str]) -> None:
        """`settings` are Kafka's admin properties."""
        self._groups = groups
        self._settings = settings
        #: Topics known to exist; None before the first question.
        self._known: set[str] | None = None

    async def ensure_topic(self, name: str) -> None:
        """Create `name` by its group unless it is there. Raises ServerError with what mends it."""
        group = next((g for g in self._groups if g.matches(name)), None)
        if group is None or (self._known is not None and name in self._known):
            return
        async with administration(self._settings) as admin:
            if self._known is None:
                self._known = set(await admin.list_topics())
            if name not in self._known:
                await _create(admin, NewTopic(name, group.partitions, group.replication, group.configs))
                log.info("topic created", topic=name, group=group.name)
        self._known.add(name)


async def create_topic(settings: Mapping[str, str], topic: NewTopic) -> None:
    """Create one topic; one that exists is left as it is. Raises ServerError."""
    async with administration(settings) as admin:
        if topic.name not in await admin.list_topics():
            await _create(admin, topic)


@asynccontextmanager
async def administration(settings: Mapping[str, str]) -> AsyncIterator[AIOKafkaAdminClient]:
    """An administrator's client with one limit for all that is done with it. Raises ServerError."""
    options, _ = admin_settings(settings)
    admin = AIOKafkaAdminClient(**options)
    try:
        async with asyncio.timeout(_ANSWER_LIMIT):
            await admin.start()
            yield admin
    except (kafka.KafkaError, OSError, TimeoutError) as error:
        raise await unreachable(settings.get("bootstrap.servers", ""), error, client_of(admin)) from None
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, topic: NewTopic) -> None:
    while True:
        answer = await admin.create_topics([topic])
        _name, code, *message = answer.topic_errors[0]
        error = kafka.for_code(code)
        if code == 0 or error is kafka.TopicAlreadyExistsError:
            return
        if not error.retriable:
            raise _refusal(topic, error, message[0] if message else None)
        await asyncio.sleep(0.2)  # the controller moves; the caller's limit ends this


def _refusal(topic: NewTopic, error: type[kafka.KafkaError], message: str | None) -> ServerError:
    name, message = topic.name, message or error.__doc__ or ""
    hints: dict[type[kafka.KafkaError], str] = {
        kafka.TopicAuthorizationFailedError: f"kafka-acls --add --operation Create --topic {name} --allow-principal User:..., "
        f"or let its owner create it: kafka-topics --create --topic {name}",
        kafka.InvalidReplicationFactorError: "there are fewer brokers than replicas: set topic.creation.default.replication.factor "
        "(offset.storage.replication.factor for the offsets) to at most the number of brokers, or to -1",
        kafka.PolicyViolationError: "the brokers' create.topic.policy.class.name refuses it: change topic.creation.default.*, "
        f"or let an administrator create it: kafka-topics --create --topic {name}",
        kafka.InvalidConfigurationError: "a topic.creation.<group>.* key is no setting of a topic, or its value is wrong",
        kafka.InvalidTopicError: "Kafka allows letters, digits, '.', '_' and '-', up to 249; rename it by topic.prefix or a RegexRouter",
    }
    hints[kafka.ClusterAuthorizationFailedError] = hints[kafka.TopicAuthorizationFailedError]
    return ServerError(
        "a topic cannot be created",
        where=f"topic {name}, {topic.num_partitions} partitions, {topic.replication_factor} replicas",
        cause=f"{error.__name__}: {message}".rstrip(": "),
        hint=hints.get(error, f"create it by hand: kafka-topics --create --topic {name}"),
        original=f"Unable to create topic(s) '{name}': {message}",
    )
