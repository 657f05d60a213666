"""Runs a PostgresSource against a database and keeps what it gives, acknowledged at once unless told otherwise."""

import asyncio
import contextlib

from pycdc.model.template import fill
from pycdc.plugins.contracts import Progress, SourceContext
from pycdc.sources.postgres import PostgresSource


class Reader:
    """`events` are (op, table, key, after) of row events, in order; `offset` is what was stored last."""

    def __init__(self, db, names, **config):
        self.config = {
            "topic.prefix": names.prefix, "database.hostname": db.host, "database.port": str(db.port),
            "database.user": db.user, "database.dbname": db.dbname, "slot.name": names.slot,
            "publication.name": names.publication, "errors.max.retries": "20", "retriable.restart.connector.wait.ms": "500",
            **config,
        }  # fmt: skip
        self.offset = None
        self.offsets = []
        self.events = []
        self.confirmed = []
        #: Put here before or between `until`s; taken when the source has obeyed.
        self.signals = []
        #: (op, prefix) of logical messages.
        self.messages = []
        #: source.snapshot of the rows of snapshots.
        self.snapshots = []
        #: Values of notifications.
        self.notes = []
        self.progress = Progress()

    def source(self):
        faults = []
        settings = PostgresSource.config.parse(self.config, faults)
        assert not faults
        return PostgresSource(settings)

    async def until(self, enough, *, limit=30):
        """Read until `enough(self)`; the source is closed afterwards."""
        source = self.source()

        async def load(_partition):
            return self.offset

        async def store(_partition, offset):
            self.keep(offset)

        async def settle():
            pass

        context = SourceContext("test", "0", load, store, settle, progress=self.progress)
        await source.open(context)
        handing = asyncio.ensure_future(self.hand_over(context.signals))
        try:
            async with asyncio.timeout(limit):
                while not enough(self):
                    batch = await source.read()
                    if batch is None:
                        return
                    for run in batch.runs:
                        for row in run.rows:
                            for template in run.templates:
                                self.take(fill(template, row))
                    if batch.offset is not None:
                        self.keep(batch.offset)
                        await source.confirm(batch.offset)
                        self.confirmed.append(batch.offset)
        finally:
            handing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await source.close()

    async def hand_over(self, queue):
        while True:
            while self.signals:
                queue.put_nowait(self.signals[0])
                await queue.join()
                self.signals.pop(0)
            await asyncio.sleep(0.01)

    def keep(self, offset):
        self.offset = dict(offset)
        self.offsets.append(self.offset)

    def take(self, record):
        if record.value is not None and "message" in record.value:
            self.messages.append(("m", record.value["message"]["prefix"]))
        elif record.value is not None and "op" in record.value:
            value = record.value
            if value["op"] == "r":
                self.snapshots.append(value["source"]["snapshot"])
            self.events.append((value["op"], value["source"]["table"], record.key, value["after"]))
        elif record.value is not None and "aggregate_type" in record.value:
            self.notes.append(record.value)

    def kinds(self):
        """Types of the notifications of incremental snapshots."""
        return [n["type"] for n in self.notes if n["aggregate_type"] == "Incremental Snapshot"]

    def ops(self, table=None):
        return [(op, (after or key or {}).get("id")) for op, t, key, after in self.events if table in (None, t)]
