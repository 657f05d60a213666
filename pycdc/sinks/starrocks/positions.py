"""Positions in Kafka, kept in the table `pycdc_positions`, and what was about to be written when a process ended.

Before a write its ranges of offsets stand here with tokens that its labels are made of; behind it, where reading goes
on. Whoever finds a range without an end reads it again and forms the same loads first, under the same labels: StarRocks
refuses those that it has committed, as long as it remembers their labels. It forgets them in the order of their ends, so
that it remembers them all while it knows the label under which the range itself was stored.

Who claims a partition raises its epoch. A row of a lower epoch replaces none of a higher (`merge_condition`), and a
writer looks whether its range stands before it writes: one that lost its partitions without knowing begins nothing.
What it had begun, its successor has found and gives the same labels.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import orjson

from pycdc.errors import ConnectionLost, SinkError
from pycdc.plugins.contracts import Partition
from pycdc.sinks.ranges import Range
from pycdc.sinks.starrocks.labels import label, label_of_begun
from pycdc.sinks.starrocks.load import Load, Loader
from pycdc.sinks.starrocks.tables import Tables

TABLE: Final = "pycdc_positions"
#: `id` stands for connector, topic and partition, which are longer than a key may be.
_COLUMNS: Final = (
    "`id` VARCHAR(64) NOT NULL", "`epoch` BIGINT NOT NULL", "`connector` STRING NOT NULL", "`topic` STRING NOT NULL", "`partition` INT NOT NULL",
    "`topic_id` STRING NOT NULL", "`next_offset` BIGINT NULL", "`first_offset` BIGINT NULL", "`last_offset` BIGINT NULL", "`token` STRING NOT NULL",
)  # fmt: skip
_NAMES: Final = tuple(c.split("`")[1] for c in _COLUMNS)
#: Bits of an epoch that are random: who claims at the same time as another has another one.
_RANDOM: Final = 31
#: Seconds between looks at what was stored, and for how long: "Publish Timeout" is committed, and to be seen a little later.
LOOK_EVERY = 0.05
_LOOK_LIMIT: Final = 10.0


class Held(msgspec.Struct):
    """One partition's row. `begun`: a range that was about to be written, under labels of `token`."""

    epoch: int
    topic_id: str
    next_offset: int | None = None
    begun: Range | None = None
    token: str = ""


class Positions:
    """One connector's, as this process has claimed them."""

    def __init__(self, connector: str, tables: Tables, loader: Loader) -> None:
        self._connector, self._tables, self._loader = connector, tables, loader
        self._held: dict[Partition, Held] = {}

    def begun(self) -> dict[Partition, Range]:
        """Ranges that have to be formed again before anything else of their partition."""
        return {p: held.begun for p, held in self._held.items() if held.begun is not None}

    def token(self, partition: Partition) -> str:
        """What the labels of the range that is begun are made of."""
        return self._held[partition].token

    async def claim(self, partitions: Sequence[Partition], topic_ids: Mapping[str, str]) -> dict[Partition, int]:
        """Where each goes on; those of which nothing is known are missing. Raises SinkError when another was quicker."""
        await self._tables.make_own(TABLE, _COLUMNS)
        known = await self._stored(partitions)
        for partition in partitions:
            old, topic_id = known.get(partition), topic_ids[partition[0]]
            count = (old.epoch >> _RANDOM) + 1 if old is not None else 1
            epoch = count << _RANDOM | secrets.randbits(_RANDOM)
            if old is None or old.topic_id != topic_id:  # a topic of the same name that was made anew begins at its own start
                self._held[partition] = Held(epoch, topic_id)
            else:
                self._held[partition] = msgspec.structs.replace(old, epoch=epoch)
        await self._store(partitions)
        await self._await_stored(partitions)
        at = {p: held.begun.first if held.begun is not None else held.next_offset for p in partitions for held in [self._held[p]]}
        return {p: offset for p, offset in at.items() if offset is not None}

    async def begin(self, ranges: Mapping[Partition, Range]) -> None:
        """These are about to be written. Raises SinkError when another has claimed one of them: nothing may be written then."""
        common = secrets.token_hex(6)
        for n, (partition, covered) in enumerate(ranges.items()):
            held = self._held[partition]
            held.begun, held.token = covered, f"{common}-{n}"
        await self._store(ranges, self._label_of_begin(common))
        await self._await_stored(ranges)

    async def must_be_remembered(self, partition: Partition, table: str) -> None:
        """Raises SinkError when nobody can tell which loads of the partition's begun range `table` has."""
        held = self._held[partition]
        if held.begun is None or await self._loader.is_committed(self._label_of_begin(held.token.partition("-")[0]), TABLE):
            return
        (first, last), (topic, number) = held.begun, partition
        row = f"first_offset = NULL, last_offset = NULL WHERE id = '{self._id(partition)}'"
        raise SinkError(
            f"nobody can tell which of these records are in {table}", where=f"{topic}-{number}, offsets {first} to {last}",
            cause="the sink ended while it wrote them, and StarRocks has forgotten their labels: it keeps them for label_keep_max_second, and those of "
            "the last label_keep_max_num loads of a database",
            hint=f"look for their rows; when they are there: UPDATE {TABLE} SET next_offset = {last + 1}, {row}; when none is: UPDATE {TABLE} SET next_offset = {first}, {row}",
        )  # fmt: skip

    async def finish(self, positions: Mapping[Partition, int]) -> None:
        """Everything before these offsets is written. Raises as `begin`, but what was written stays."""
        for partition, offset in positions.items():
            held = self._held[partition]
            held.begun, held.token, held.next_offset = None, "", offset
        await self._store(positions)
        # what is to be seen only later must not come after what is stored next
        await self._await_stored(positions)

    # ---- the table

    def _label_of_begin(self, common: str) -> str:
        return label_of_begun(self._connector, TABLE, common, "")

    async def _store(self, partitions: Iterable[Partition], name: str | None = None) -> None:
        rows = []
        for topic, number in partitions:
            held = self._held[topic, number]
            first, last = held.begun or (None, None)
            values = (
                self._id((topic, number)), held.epoch, self._connector, topic, number, held.topic_id, held.next_offset, first, last, held.token,
            )  # fmt: skip
            rows.append(dict(zip(_NAMES, values, strict=True)))
        if rows:
            headers = {"format": "json", "strip_outer_array": "true", "columns": ",".join(f"`{n}`" for n in _NAMES), "merge_condition": "epoch"}
            await self._loader.put(Load(TABLE, name or label(self._connector, TABLE, None, {}), headers, orjson.dumps(rows)))

    async def _stored(self, partitions: Iterable[Partition]) -> dict[Partition, Held]:
        ids = {self._id(p): p for p in partitions}
        if not ids:
            return {}
        listed = ", ".join(["%s"] * len(ids))
        statement = f"SELECT id, epoch, topic_id, next_offset, first_offset, last_offset, token FROM {TABLE} WHERE id IN ({listed})"
        return {ids[row[0]]: _held(*row[1:]) for row in await self._tables.select(statement, *ids)}

    async def _await_stored(self, partitions: Iterable[Partition]) -> None:
        """Wait until what was stored is seen. Raises SinkError when somebody else's is."""
        waiting, end = list(partitions), time.monotonic() + _LOOK_LIMIT
        while True:
            stored = await self._stored(waiting)
            lost = [f"{t}-{p}" for (t, p), held in stored.items() if held.epoch > self._held[t, p].epoch]
            if lost:
                raise SinkError(
                    "another process writes these partitions now", where=", ".join(sorted(lost)),
                    cause=f"their epoch in the table {TABLE} is a newer one", hint="let this process join its group again",
                )  # fmt: skip
            waiting = [p for p in waiting if p not in stored or stored[p] != self._held[p]]
            if not waiting:
                return
            if time.monotonic() > end:
                raise ConnectionLost(f"what was stored in {TABLE} is not to be seen", where=", ".join(f"{t}-{p}" for t, p in waiting), hint="look at SHOW FRONTENDS: an FE may be behind")
            await asyncio.sleep(LOOK_EVERY)

    def _id(self, partition: Partition) -> str:
        return hashlib.sha256(repr((self._connector, *partition)).encode()).hexdigest()


def _held(epoch: Any, topic_id: Any, next_offset: Any, first: Any, last: Any, token: Any) -> Held:
    begun = None if first is None else Range(int(first), int(last))
    return Held(int(epoch), str(topic_id), None if next_offset is None else int(next_offset), begun, str(token))
