"""Versions of rows in ClickHouse: numbers that strictly grow in the stream (DESIGN rule 12).

With Kafka: base + offset. The base belongs to one incarnation of a topic's partition and begins above the
table's newest version, so that a table that another tool filled, or a topic that was deleted and made anew,
is overtaken; it is kept in the table `pycdc_versions`, so that a record that is read again gets its version
again. Without a broker: the change's position (commit LSN << 64 | index) where the column is wide enough, else
a counter that begins above the table's newest version.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from pycdc.model.change import Changes
from pycdc.plugins.contracts import no_topic_id
from pycdc.sinks.clickhouse import statements
from pycdc.sinks.clickhouse.client import Session, Sessions
from pycdc.sinks.clickhouse.target import Target

#: Table, topic, partition.
_Place = tuple[str, str, int]

_COLUMNS: Final = "`table` String, topic String, `partition` Int32, incarnation String, base UInt64, at DateTime64(6) DEFAULT now64(6)"
# the smallest: should two members have made one at once, both settle on the earlier, under which rows may stand
_FIND: Final = (
    "SELECT min(base), count() FROM pycdc_versions WHERE `table` = {t:String} AND topic = {topic:String} "
    "AND `partition` = {p:Int32} AND incarnation = {i:String}"
)


class Versions:
    """One sink's. `cluster`: see statements.own."""

    def __init__(self, cluster: str = "", topic_id: Callable[[str], Awaitable[str]] = no_topic_id) -> None:
        self._cluster = cluster
        self._topic_id = topic_id
        self._bases: dict[_Place, int] = {}
        self._last: dict[_Place, int] = {}
        self._counters: dict[str, int] = {}
        self._made = False

    async def prepare(self, sessions: Sessions, target: Target, changes: Sequence[Changes]) -> None:
        """Know what `of` needs for these changes of a table."""
        if target.version is None:
            return
        table, wide = str(target), target.types[target.version].endswith(("128", "256"))
        for c in changes:
            if c.partition is None:
                if not wide and table not in self._counters:
                    self._counters[table] = await sessions.call(_newest, target)
                continue
            if not c.offsets:
                continue
            place = table, c.topic, c.partition
            # offsets that fall are read again, or the topic is a new one of the same name
            if place not in self._bases or c.offsets[0] <= self._last.get(place, -1):
                self._bases[place] = await sessions.call(self._base, target, place, await self._topic_id(c.topic))
            self._last[place] = c.offsets[-1]

    def of(self, target: Target, changes: Changes, index: int) -> int:
        """The version of one change; `prepare` has seen it."""
        if changes.partition is not None:
            return self._bases[str(target), changes.topic, changes.partition] + changes.offset(index)
        table = str(target)
        if table not in self._counters:
            return changes.offset(index)
        self._counters[table] += 1
        return self._counters[table]

    def _base(self, session: Session, target: Target, place: _Place, incarnation: str) -> int:
        if not self._made:
            session.command(statements.own("pycdc_versions", _COLUMNS, sorted_by="(`table`, topic, `partition`, at)", cluster=self._cluster), "pycdc_versions cannot be made")
            self._made = True
        table, topic, partition = place
        wanted = {"t": table, "topic": topic, "p": partition, "i": incarnation}
        base, count = session.rows(_FIND, **wanted)[0]
        if not count:
            begin = _newest(session, target) + 1
            values = f"{statements.literal(table)}, {statements.literal(topic)}, {partition}, {statements.literal(incarnation)}, {begin}"
            session.command(
                f"INSERT INTO pycdc_versions (`table`, topic, `partition`, incarnation, base) SETTINGS async_insert = 0 VALUES ({values})", "a version's base cannot be kept"
            )
            base, _ = session.rows(_FIND, **wanted)[0]
        return int(base)


def _newest(session: Session, target: Target) -> int:
    assert target.version is not None
    return int(session.rows(f"SELECT max({statements.quoted(target.version)}) FROM {target.name}")[0][0] or 0)
