"""Everything that is to be known of a cluster's connectors before one is moved: seen, judged, and where each has got to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import msgspec

from pycdc.errors import PycdcError
from pycdc.kafka.checks import client_checks
from pycdc.migrate.capture import captured
from pycdc.migrate.judgement import Finding, Judgement, Verdict, judge
from pycdc.migrate.observed import Observed
from pycdc.migrate.rest import ConnectRest, RestRefused
from pycdc.worker.requests import PartitionOffset


class NoSuchConnector(PycdcError):
    """The cluster has no connector of that name."""


class Surveyed(NamedTuple):
    """`offsets` None: the cluster cannot tell them (before 3.5), or the connector cannot."""

    connector: Observed
    judgement: Judgement
    captured: dict[str, str]
    offsets: list[PartitionOffset] | None


async def survey(cluster: ConnectRest, worker: Mapping[str, str] | None, names: Collection[str] = ()) -> list[Surveyed]:
    """Of the connectors `names`, of all without. Raises NoSuchConnector."""
    connectors = await cluster.connectors()
    missing = [n for n in names if n not in connectors]
    if missing:
        listed = ", ".join(connectors) or "none"
        raise NoSuchConnector(f"There is no connector {missing[0]}.", where=str(cluster.endpoint), hint=f"there are: {listed}")
    versions = await cluster.versions()
    checks = client_checks()
    found = []
    for name in names or connectors:
        connector = connectors[name]
        if not connector.version:  # releases before 4.1
            version = versions.get(connector.config.get("connector.class", ""), "")
            connector = msgspec.structs.replace(connector, version=version)
        judgement = judge(connector, worker, checks=checks)
        found.append(Surveyed(connector, judgement, captured(connector, judgement.plan), await _offsets(cluster, name)))
    return found


async def _offsets(cluster: ConnectRest, name: str) -> list[PartitionOffset] | None:
    try:
        return await cluster.offsets(name)
    except RestRefused:
        return None


async def complaints(cluster: ConnectRest, connector: Observed) -> list[Finding]:
    """What the new side's own validation says: it also sees what only its machine can, such as the database."""
    connector_class = connector.config.get("connector.class", "")
    try:
        told = await cluster.complaints(connector_class, connector.plain_config)
    except RestRefused as error:
        return [Finding(Verdict.IMPOSSIBLE, "", f"the new side cannot check it: {error.cause}")]
    return [Finding(Verdict.IMPOSSIBLE, key, f"the new side says: {text}") for key, texts in told.items() for text in dict.fromkeys(texts)]
