"""Runs a JdbcSource against a database and keeps what it gives, acknowledged at once unless told otherwise."""

import asyncio
import contextlib

from pycdc.model.template import fill
from pycdc.plugins.contracts import Progress, SourceContext
from pycdc.sources.jdbc import JdbcSource


class Polls:
    """`records` are filled records in order; `offsets` what is stored, by partition as a tuple of its items."""

    def __init__(self, db, names, **config):
        self.schema = "public"
        self.config = {
            "connection.url": f"jdbc:postgresql://{db.host}:{db.port}/{db.dbname}", "connection.user": db.user,
            "topic.prefix": names.prefix + "_", "mode": "incrementing", "poll.interval.ms": "20", "table.poll.interval.ms": "100",
            "connection.backoff.ms": "300", **{k.replace("__", "."): str(v) for k, v in config.items()},
        }  # fmt: skip
        self.prefix = names.prefix + "_"
        self.records, self.offsets, self.history = [], {}, []
        self.progress = Progress()
        self.keeps = True
        self.news = asyncio.Event()

    def source(self):
        faults = []
        settings = JdbcSource.config.parse(self.config, faults)
        assert not faults, faults
        return JdbcSource(settings)

    async def until(self, enough, *, limit=20):
        """Read until `enough(self)`, which is asked after each batch; the source is closed afterwards."""
        async with self.open(limit) as go_on:
            await go_on(enough)

    @contextlib.asynccontextmanager
    async def open(self, limit=20):
        """A source that stays open: what comes goes on until a condition holds."""
        source = self.source()

        async def load(partition):
            return self.offsets.get(tuple(partition.items()))

        async def settle():
            pass

        async def pump():
            while (batch := await source.read()) is not None:
                self.take(batch)
                self.news.set()

        async def go_on(enough):
            async with asyncio.timeout(limit):
                while not enough(self):
                    if pumping.done():
                        await pumping
                    news = asyncio.ensure_future(self.news.wait())
                    await asyncio.wait((news, pumping), return_when=asyncio.FIRST_COMPLETED)
                    news.cancel()
                    self.news.clear()

        context = SourceContext("test", "0", load, None, settle, progress=self.progress)
        await source.open(context)
        pumping = asyncio.ensure_future(pump())
        try:
            yield go_on
        finally:
            pumping.cancel()
            await asyncio.gather(pumping, return_exceptions=True)
            await source.close()

    def take(self, batch):
        for run in batch.runs:
            for row in run.rows:
                self.records += [fill(t, row) for t in run.templates]
        if batch.offset is not None and self.keeps:
            self.offsets[tuple(batch.partition.items())] = batch.offset
            self.history.append(batch.offset)

    def ids(self, table=None):
        return [r.value["id"] for r in self.records if table is None or r.topic == self.prefix + table]

    def offset(self, table, **more):
        """What is stored for a table, without what is pycdc's own."""
        found = [o for p, o in self.offsets.items() if dict(p).get("table") == f"{self.schema}.{table}"]
        return {k: v for k, v in found[0].items() if k != "pycdc_snapshot"} if found else None


class MySqlPolls(Polls):
    """The same of a database of MariaDB."""

    def __init__(self, db, names, **config):
        super().__init__(db, names, **{"connection.url": f"jdbc:mysql://{db.host}:{db.port}/{db.dbname}", "catalog.pattern": db.dbname.replace("_", r"\_"), **config})
        self.schema = db.dbname


def has(*ids):
    """These ids have come, and no others."""
    return lambda polls: sorted(polls.ids()) == sorted(ids)


def count(n):
    return lambda polls: len(polls.records) >= n


async def run(sql, statement):
    """While somebody polls, for whose transaction it may have to wait."""
    await asyncio.to_thread(sql.execute, statement)


async def until(true, limit=20):
    """While nothing tells that it came about."""
    async with asyncio.timeout(limit):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
