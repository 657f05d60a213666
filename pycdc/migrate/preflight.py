"""What two clusters must be, so that a connector can be moved between them: their releases, and which brokers they use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pycdc.migrate.observed import About, Observed

#: Releases of Kafka from which on Connect knows: stop and reading of offsets; writing of offsets; creation in a state.
_STOP: Final = (3, 5)
_INITIAL_STATE: Final = (3, 7)
#: Confluent's numbers are 4 above Kafka's.
_CONFLUENT: Final = 4


def release(about: About) -> tuple[int, int] | None:
    """Kafka's release; None when its text tells none, or that of a program which counts its own releases from 0."""
    match = re.match(r"([1-9]\d*)\.(\d+)", about.version)
    if match is None:
        return None
    confluent = re.search(r"-(ccs|ce)\b", about.version) is not None
    return int(match[1]) - (_CONFLUENT if confluent else 0), int(match[2])


def obstacles(old: About, new: About) -> Iterator[str]:
    """Why nothing can be moved at all."""
    for side, about, least, what in (
        ("old", old, _STOP, "can stop a connector and tell its positions"),
        ("new", new, _INITIAL_STATE, "can make a connector that is stopped"),
    ):
        found = release(about)
        if found is not None and found < least:
            yield f"the {side} side is release {about.version}: Connect {what} from {least[0]}.{least[1]} on"


def obstacle(connector: Observed, old: About, new: About) -> str | None:
    """Why this connector cannot be moved. Offsets of one broker's topics mean nothing in another's."""
    if not _other_brokers(old, new) or connector.kind != "sink" or "consumer.override.bootstrap.servers" in connector.config:
        return None
    return (
        f"the two sides use different Kafka clusters ({old.kafka_cluster_id} and {new.kafka_cluster_id}): "
        "the sink's offsets mean other records there"
    )


def remark(connector: Observed, old: About, new: About) -> str | None:
    """What a user should know of it."""
    if _other_brokers(old, new) and connector.kind != "sink":
        return "the two sides use different Kafka clusters: its topics end in the old one and go on in the new one"
    return None


def _other_brokers(old: About, new: About) -> bool:
    return None not in (old.kafka_cluster_id, new.kafka_cluster_id) and old.kafka_cluster_id != new.kafka_cluster_id
