"""Versions of rows in ClickHouse: numbers that strictly grow in the stream (DESIGN rule 12).

With Kafka: base + offset. The base belongs to one incarnation of a topic's partition and begins above the
table's newest version, so that a table that another tool filled, or a topic that was deleted and made anew,
is overtaken; it is kept in the table `pycdc_versions`, so that a record that is read again gets its version
again. Without a broker: the change's position (commit LSN << 64 | index) where the column is wide enough, else
a counter that begins above the table's newest version.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from pycdc.model.change import Changes
from pycdc.plugins.contracts import no_topic_id

VERSION: Final = "_version"
DELETED: Final = "_is_deleted"

#: Table, topic, partition.
_Place = tuple[str, str, int]

_CREATE = (
    "CREATE TABLE IF NOT EXISTS pycdc_versions (`table` String, topic String, `partition` Int32, incarnation String, "
    "base UInt64, at DateTime64(6) DEFAULT now64(6)) ENGINE = MergeTree ORDER BY (`table`, topic, `partition`, at)"
)
# the smallest: should two members have made one at once, both settle on the earlier, under which rows may stand
_FIND = (
    "SELECT min(base), count() FROM pycdc_versions WHERE `table` = {t:String} AND topic = {topic:String} "
    "AND `partition` = {p:Int32} AND incarnation = {i:String}"
)


class Versions:
    """One sink's."""

    def __init__(self, topic_id: Callable[[str], Awaitable[str]] = no_topic_id) -> None:
        self._topic_id = topic_id
        self._bases: dict[_Place, int] = {}
        self._last: dict[_Place, int] = {}
        self._counters: dict[str, int] = {}
        self._made = False

    async def prepare(
        self, call: Callable[..., Awaitable[Any]], client: Any, table: str, kind: str, changes: Sequence[Changes]
    ) -> None:
        """Know what `of` needs for these changes. `call` runs a blocking function, `kind` is the version column's type."""
        for c in changes:
            if c.partition is None:
                if not kind.endswith(("128", "256")) and table not in self._counters:
                    self._counters[table] = await call(_newest, client, table)
                continue
            if not c.offsets:
                continue
            place = table, c.topic, c.partition
            # offsets that fall are read again, or the topic is a new one of the same name
            if place not in self._bases or c.offsets[0] <= self._last.get(place, -1):
                self._bases[place] = await call(self._base, client, *place, await self._topic_id(c.topic))
            self._last[place] = c.offsets[-1]

    def of(self, table: str, changes: Changes, index: int) -> int:
        """The version of one change; `prepare` has seen it."""
        if changes.partition is not None:
            return self._bases[table, changes.topic, changes.partition] + changes.offset(index)
        if table not in self._counters:
            return changes.offset(index)
        self._counters[table] += 1
        return self._counters[table]

    def _base(self, client: Any, table: str, topic: str, partition: int, incarnation: str) -> int:
        if not self._made:
            client.command(_CREATE)
            self._made = True
        wanted = {"t": table, "topic": topic, "p": partition, "i": incarnation}
        base, count = client.query(_FIND, parameters=wanted).result_rows[0]
        if not count:
            row = [table, topic, partition, incarnation, _newest(client, table) + 1]
            client.insert("pycdc_versions", [row], column_names=["table", "topic", "partition", "incarnation", "base"])
            base, _ = client.query(_FIND, parameters=wanted).result_rows[0]
        return int(base)


def _newest(client: Any, table: str) -> int:
    name = table.replace("\\", "\\\\").replace("`", "\\`")
    return int(client.query(f"SELECT max({VERSION}) FROM `{name}`").result_rows[0][0] or 0)
