"""The second of the four stacks around one worker: its connectors, from examples/jdbc-avro, for servers of a test's own."""

import json
from pathlib import Path

import psycopg
from processes import until

from pycdc.testing.rest import Rest

CONNECTORS = Path(__file__).parents[3] / "examples" / "jdbc-avro" / "connectors"
AVRO = "io.confluent.connect.avro.AvroConverter"
SOURCE, SINK = "jdbc-source-postgres", "jdbc-sink-postgres"
#: Equal where the rows are.
SUM = "SELECT count(*), count(DISTINCT id), sum(id), md5(string_agg(concat_ws(',', id, num{}), ';' ORDER BY id)) FROM {}"


def avro(registry):
    """Both converters, as the document's worker and connectors have them."""
    return {f"{side}.converter{k}": v for side in ("key", "value") for k, v in (("", AVRO), (".schema.registry.url", registry))}


def written(file):
    """A connector's file of the example, as it is POSTed."""
    return json.loads((CONNECTORS / f"{file}_connector.json").read_text())


class Stack:
    """A worker, a source database and a target; the names of topics begin with `prefix`."""

    def __init__(self, worker, source, target, prefix, registry=None):
        self.rest, self.source, self.target, self.prefix, self.registry = Rest(worker.url), source, target, prefix, registry
        self.topic = f"{prefix}t_orders"

    def at(self, db):
        return {"connection.url": f"jdbc:postgresql://{db.host}:{db.port}/{db.dbname}", "connection.user": db.user, "connection.password": "postgres"}

    def source_connector(self, name=SOURCE, **more):
        return {"name": name, "config": {**self._config("source"), **self.at(self.source), "topic.prefix": self.prefix, "poll.interval.ms": "200", **more}}

    def sink_connector(self, name=SINK, file="sink", **more):
        config = self._config(file)
        own = {"topics": self.topic, "table.name.format": config.get("table.name.format", "pg_source_t_orders"), "consumer.override.metadata.max.age.ms": "500"}
        return {"name": name, "config": {**config, **self.at(self.target), **own, **more}}

    def _config(self, file):
        """Of the example; without a registry the worker's converters are left to say."""
        config = {k: v for k, v in written(file)["config"].items() if ".converter" not in k}
        return config if self.registry is None else {**config, **avro(self.registry)}

    def post(self, connector):
        self.rest.done("POST", "/connectors", connector)

    def delete(self, *names):
        for name in names:
            self.rest.done("DELETE", f"/connectors/{name}")
        for name in names:
            self.rest.until(name, lambda status: status is None)

    def clear(self):
        """No connector is left, nor what would be gone on from by another one of its name."""
        for name in self.rest.done("GET", "/connectors"):
            self.stop(name)
            self.rest.done("DELETE", f"/connectors/{name}/offsets")
            self.delete(name)

    def stop(self, name):
        self.rest.done("PUT", f"/connectors/{name}/stop")
        self.rest.until_state(name, "STOPPED", [])

    def offsets(self, name):
        return self.rest.done("GET", f"/connectors/{name}/offsets")["offsets"]

    def none_failed(self):
        for name, shown in self.rest.done("GET", "/connectors?expand=status").items():
            for task in shown["status"]["tasks"]:
                assert task["state"] != "FAILED", (name, task["trace"])
        return True

    def until_equal(self, *tables, dated=False, limit=60):
        """Each table has the rows of t_orders, and no more of them."""
        columns = ", dt" if dated else ""
        with psycopg.connect(self.source.dsn, autocommit=True) as sql, psycopg.connect(self.target.dsn, autocommit=True) as copy:
            wanted = sql.execute(SUM.format(columns, "t_orders")).fetchone()
            for table in tables:
                until(lambda t=table: copy.execute(f"SELECT count(*) FROM {t}").fetchone()[0] >= wanted[0] and self.none_failed(), f"{table} lacks rows", limit)
                until(lambda t=table: copy.execute(SUM.format(columns, t)).fetchone() == wanted, f"{table} differs from {wanted}", 10)
