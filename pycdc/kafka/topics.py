"""Creating topics by the topic.creation.* groups (KIP-158).

Without the default group the broker creates topics by itself when it is asked for their metadata. A topic
belongs to the first listed group whose include matches in full and whose exclude does not, else to default.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
import regex
import structlog
from aiokafka import errors as kafka
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from pycdc.errors import ConfigError, Fault, ServerError
from pycdc.kafka.producer import unreachable
from pycdc.kafka.settings import admin_settings
from pycdc.model.javaregex import compile_java, split_list

log = structlog.get_logger(__name__)


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
    names = [n.strip() for n in raw.get("topic.creation.groups", "").split(",") if n.strip()]
    given = any(k.startswith("topic.creation.default.") for k in raw)
    groups = [_group(raw, n, faults) for n in [*names, "default"]] if given else []
    if names and not given:
        faults.append(Fault("topic.creation.default.partitions", "is required when topic.creation.groups is given"))
    if faults:
        raise ConfigError("The topic creation groups are wrong.", faults=tuple(faults))
    return groups


def _group(raw: Mapping[str, str], name: str, faults: list[Fault]) -> Group:
    prefix = f"topic.creation.{name}."
    own = {k[len(prefix) :]: v for k, v in raw.items() if k.startswith(prefix)}
    base = {k[len("topic.creation.default.") :]: v for k, v in raw.items() if k.startswith("topic.creation.default.")}

    def number(key: str) -> int:
        text = own.get(key, base.get(key))
        try:
            value = int(text) if text is not None else None
        except ValueError:
            value = None
        if value is None or (value < 1 and value != -1):
            faults.append(Fault(prefix + key, "must be a whole number of at least 1, or -1 for the broker's default", text))
            return -1
        return value

    def patterns(key: str) -> list[regex.Pattern[str]]:
        try:
            return [compile_java(p) for p in split_list(own.pop(key, ".*" if name == "default" and key == "include" else ""))]
        except ValueError as error:
            faults.append(Fault(prefix + key, str(error)))
            return []

    group = Group(name, patterns("include"), patterns("exclude"), number("partitions"), number("replication.factor"), {})
    group.configs.update({k: v for k, v in own.items() if k not in ("partitions", "replication.factor")})
    return group


class Topics:
    """Makes each topic once, before its first record."""

    def __init__(self, groups: list[Group], settings: Mapping[str, str]) -> None:
        self._groups = groups
        self._bootstrap = settings.get("bootstrap.servers", "")
        self._options, _ = admin_settings(settings)
        self._done: set[str] = set()

    async def ensure_topic(self, name: str) -> None:
        """Create `name` by its group unless it is there. Raises ServerError with what mends it."""
        group = next((g for g in self._groups if g.matches(name)), None)
        if name in self._done or group is None:
            return
        await create_topic(self._options, self._bootstrap, NewTopic(name, group.partitions, group.replication, topic_configs=group.configs))
        self._done.add(name)


async def create_topic(options: Mapping[str, object], bootstrap: str, topic: NewTopic) -> None:
    """Create one topic; one that exists is left as it is. Raises ServerError."""
    admin = AIOKafkaAdminClient(**options)
    try:
        async with asyncio.timeout(30):
            await admin.start()
            answer = await admin.create_topics([topic])
    except (kafka.KafkaError, OSError, TimeoutError) as error:
        raise unreachable(bootstrap, error) from None
    finally:
        await admin.close()
    for name, code, *message in answer.topic_errors:
        error_class = kafka.for_code(code)
        if code == 0 or error_class is kafka.TopicAlreadyExistsError:
            continue
        raise ServerError(
            "a topic cannot be created",
            where=f"topic {name}",
            cause=f"{error_class.__name__}: {message[0] if message else ''}".rstrip(": "),
            hint="mend topic.creation.default.replication.factor and .partitions, allow CREATE to this user "
            f"(kafka-acls --add --operation Create --topic {name}), or create it: kafka-topics --create --topic {name}",
        )
