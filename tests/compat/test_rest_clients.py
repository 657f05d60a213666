"""What the known clients of Kafka Connect do with a connector from its creation to its end, against our worker."""

import psycopg
import pytest
from rest_clients import (
    Connector,
    Definition,
    Expanded,
    Kafbat,
    Kcctl,
    Lenses,
    Message,
    Offsets,
    Plugin,
    Redpanda,
    Refused,
    Root,
    Status,
    Strimzi,
    Task,
    TaskStatus,
    Terraform,
    Topics,
    Validation,
)

from pycdc.servers.process import wait_for
from pycdc.testing.rest import Rest

#: They share the Connect workers.
pytestmark = pytest.mark.xdist_group("connect-rest")

POSTGRES = "io.debezium.connector.postgresql.PostgresConnector"
JDBC = "io.confluent.connect.jdbc.JdbcSinkConnector"


@pytest.fixture
def source(connect, postgres_db, names):
    """A source's configuration, over a table with two rows."""
    with psycopg.connect(postgres_db.dsn, autocommit=True) as conn:
        conn.execute("CREATE TABLE a(id int PRIMARY KEY, t text); INSERT INTO a VALUES (1, 'x'), (2, 'y')")
    return {
        "connector.class": POSTGRES, "tasks.max": "1", "database.hostname": postgres_db.host, "database.port": str(postgres_db.port),
        "database.user": postgres_db.user, "database.password": "secret", "database.dbname": postgres_db.dbname, "topic.prefix": names.prefix,
        "slot.name": names.slot, "publication.name": names.publication, "table.include.list": "public.a", "plugin.name": "pgoutput",
    }  # fmt: skip


@pytest.fixture
def name(names):
    return names.base


def lives(client, path):
    """What all clients can do to a connector that runs, each waiting until it is so."""
    status = f"{path}/status"
    client.until(Status, status, lambda s: s.is_all("RUNNING"))
    client.ask(None, "PUT", f"{path}/pause")
    client.until(Status, status, lambda s: s.is_all("PAUSED"))
    client.ask(None, "PUT", f"{path}/resume")
    client.until(Status, status, lambda s: s.is_all("RUNNING"))
    client.ask(None, "POST", f"{path}/restart")
    client.until(Status, status, lambda s: s.is_all("RUNNING"))
    client.ask(None, "POST", f"{path}/tasks/0/restart")
    client.until(Status, status, lambda s: s.is_all("RUNNING"))


def gone(client, path):
    client.ask(None, "DELETE", path)

    def refused():
        try:
            client.ask(Status, "GET", f"{path}/status")
        except Refused as error:
            assert error.status == 404, error
            return True
        return False

    wait_for(refused, 30, "the status of a deleted connector stays")
    with pytest.raises(Refused, match="404"):
        client.ask(Connector, "GET", path)


def test_kafbat_ui(connect, source, name, names):
    kafbat, path = Kafbat(connect.urls[0]), f"/connectors/{name}"
    assert kafbat.ask(Root, "GET", "/").kafka_cluster_id
    assert {p.class_ for p in kafbat.ask(list[Plugin], "GET", "/connector-plugins")} >= {POSTGRES, JDBC}
    empty = kafbat.ask(Validation, "PUT", f"/connector-plugins/{POSTGRES}/config/validate", {"connector.class": POSTGRES})
    assert empty.error_count == len(empty.errors) > 0
    assert kafbat.ask(Validation, "PUT", f"/connector-plugins/{POSTGRES}/config/validate", {**source, "name": name}).errors == []
    with pytest.raises(Refused, match="400 Connector configuration is invalid"):
        kafbat.ask(Connector, "POST", "/connectors", {"name": name, "config": {"connector.class": POSTGRES}})
    created = kafbat.ask(Connector, "POST", "/connectors", {"name": name, "config": source})
    assert (created.name, created.type, created.tasks) == (name, "source", [])
    with pytest.raises(Refused, match=f"409 Connector {name} already exists"):
        kafbat.ask(Connector, "POST", "/connectors", {"name": name, "config": source})
    lives(kafbat, path)
    for query in ("includeTasks=false&onlyFailed=false", "includeTasks=true&onlyFailed=false", "includeTasks=true&onlyFailed=true", "includeTasks=false&onlyFailed=true"):
        kafbat.ask(None, "POST", f"{path}/restart?{query}")
        kafbat.until(Status, f"{path}/status", lambda s: s.is_all("RUNNING"))
    assert [t.id.task for t in kafbat.ask(list[Task], "GET", f"{path}/tasks")] == [0]
    assert kafbat.ask(TaskStatus, "GET", f"{path}/tasks/0/status").state == "RUNNING"
    kafbat.until(dict[str, Topics], f"{path}/topics", lambda t: t[name].topics == [f"{names.prefix}.public.a"])
    assert kafbat.ask(Connector, "PUT", f"{path}/config", {**source, "poll.interval.ms": "400"}).config["poll.interval.ms"] == "400"
    assert kafbat.ask(dict[str, str], "GET", f"{path}/config")["poll.interval.ms"] == "400"
    kafbat.ask(None, "PUT", f"{path}/stop")
    kafbat.until(dict[str, Expanded], "/connectors?expand=status&expand=info", lambda all_: all_[name].status.is_all("STOPPED", tasks=0))
    kafbat.ask(None, "DELETE", f"{path}/offsets")
    gone(kafbat, path)


def test_redpanda_console(connect, source, name, names):
    console, path = Redpanda(connect.urls[0]), f"/connectors/{name}"
    assert console.ask(Root, "GET", "/").version
    assert console.ask(list[Plugin], "GET", "/connector-plugins")
    with pytest.raises(Refused, match=f"404 Connector {name} not found"):
        console.ask(Connector, "GET", path)
    console.ask(Connector, "POST", "/connectors", {"name": name, "config": source})
    lives(console, path)
    assert console.ask(Connector, "GET", path).tasks[0].task == 0
    assert console.ask(dict[str, Expanded], "GET", "/connectors?expand=info&expand=status")[name].status.is_all("RUNNING")
    topics = {name: [f"{names.prefix}.public.a"]}
    console.until(dict[str, Topics], f"{path}/topics", lambda found: {n: t.topics for n, t in found.items()} == topics)
    console.ask(None, "PUT", f"{path}/topics/reset")
    console.until(dict[str, Topics], f"{path}/topics", lambda found: found[name].topics == [])
    console.ask(Status, "POST", f"{path}/restart?includeTasks=true&onlyFailed=false")
    console.until(Status, f"{path}/status", lambda s: s.is_all("RUNNING"))
    console.ask(Connector, "PUT", f"{path}/config", {**source, "max.batch.size": "100"})
    shown = console.ask(Validation, "PUT", f"/connector-plugins/{POSTGRES}/config/validate", {**source, "name": name, "max.batch.size": "many"})
    assert shown.error_count == len(shown.errors) > 0
    assert [c.value.errors for c in shown.configs if c.value.name == "max.batch.size"] == [shown.errors]
    console.ask(None, "PUT", f"{path}/stop")
    console.until(Status, f"{path}/status", lambda s: s.is_all("STOPPED", tasks=0))
    gone(console, path)


def test_kcctl(connect, source, name, names):
    kcctl, path = Kcctl(connect.urls[0]), f"/connectors/{name}"
    assert kcctl.ask(Root, "GET", "/").version.split(".")[0].isdigit(), "kcctl compares it with 2.5"
    kinds = {p.type for p in kcctl.ask(list[Plugin], "GET", "/connector-plugins?connectorsOnly=false")}
    assert kinds == {"source", "sink", "converter", "header_converter", "transformation", "predicate"}
    assert {p.type for p in kcctl.ask(list[Plugin], "GET", "/connector-plugins?connectorsOnly=true")} == {"source", "sink"}
    assert "slot.name" in {d.name for d in kcctl.ask(list[Definition], "GET", f"/connector-plugins/{POSTGRES}/config")}
    kcctl.ask(Connector, "POST", "/connectors/", {"name": name, "config": source})
    assert name in kcctl.ask(list[str], "GET", "/connectors/")
    lives(kcctl, path)
    shown = kcctl.ask(Status, "POST", f"{path}/restart?includeTasks=true&onlyFailed=false")
    assert shown.is_all("RESTARTING")
    kcctl.until(Status, f"{path}/status", lambda s: s.is_all("RUNNING"))
    assert [t.config["connector.class"] for t in kcctl.ask(list[Task], "GET", f"{path}/tasks")] == [POSTGRES]
    kcctl.until(dict[str, Topics], f"{path}/topics", lambda t: t[name].topics)
    kcctl.until(Offsets, f"{path}/offsets", lambda found: found.offsets)
    with pytest.raises(Refused, match="400 Connectors must be in the STOPPED state"):
        kcctl.ask(Message, "DELETE", f"{path}/offsets")
    kcctl.ask(None, "PUT", f"{path}/stop")
    kcctl.until(Status, f"{path}/status", lambda s: s.is_all("STOPPED", tasks=0))
    (entry,) = kcctl.ask(Offsets, "GET", f"{path}/offsets").offsets
    assert entry.partition == {"server": names.prefix}
    patch = {"offsets": [{"partition": entry.partition, "offset": {**entry.offset, "txId": 1}}]}
    assert "altered successfully" in kcctl.ask(Message, "PATCH", f"{path}/offsets", patch).message
    assert kcctl.ask(Offsets, "GET", f"{path}/offsets").offsets[0].offset["txId"] == 1
    assert "reset successfully" in kcctl.ask(Message, "DELETE", f"{path}/offsets").message
    assert kcctl.ask(Offsets, "GET", f"{path}/offsets").offsets == []
    gone(kcctl, path)


def test_kcctl_log_levels(connect):
    kcctl, logger = Kcctl(connect.urls[0]), "pycdc.worker.loggers.contract"
    assert kcctl.ask(dict[str, dict[str, str | int | None]], "GET", "/admin/loggers/")["root"]["level"]
    assert kcctl.ask(list[str], "PUT", f"/admin/loggers/{logger}", {"level": "DEBUG"}) == [logger]
    assert kcctl.ask(list[str], "PUT", f"/admin/loggers/{logger}?scope=worker", {"level": "INFO"}) == [logger]
    assert kcctl.ask(None, "PUT", f"/admin/loggers/{logger}?scope=cluster", {"level": "WARN"}) is None
    for url in connect.urls:
        Kcctl(url).until(dict[str, dict[str, str | int | None]], "/admin/loggers/", lambda all_: all_.get(logger, {}).get("level") == "WARN")


def test_strimzi(connect, source, name, names):
    strimzi, path = Strimzi(connect.urls[0]), f"/connectors/{name}"
    strimzi.exactly(200, dict[str, str], "GET", "/health")
    strimzi.exactly(200, list[Plugin], "GET", "/connector-plugins")
    assert strimzi.exactly(200, list[str], "GET", "/connectors") == []
    with pytest.raises(Refused, match="404"):
        strimzi.exactly(200, Connector, "GET", path)
    # a KafkaConnector with state: stopped, its offsets altered before it runs for the first time
    strimzi.exactly(201, dict, "POST", "/connectors", {"name": name, "config": source, "initial_state": "STOPPED"})
    strimzi.until(Status, f"{path}/status", lambda s: s.is_all("STOPPED", tasks=0))
    assert strimzi.exactly(200, dict[str, str], "GET", f"{path}/config") == {**source, "name": name}
    assert strimzi.exactly(200, Offsets, "GET", f"{path}/offsets").offsets == []
    strimzi.exactly(202, None, "PUT", f"{path}/resume")
    strimzi.until(Status, f"{path}/status", lambda s: s.is_all("RUNNING"))
    strimzi.exactly((200, 201), dict, "PUT", f"{path}/config", {**source, "poll.interval.ms": "400"})
    strimzi.until(Status, f"{path}/status", lambda s: s.is_all("RUNNING"))
    strimzi.until(dict[str, Topics], f"{path}/topics", lambda t: t[name].topics == [f"{names.prefix}.public.a"])
    strimzi.exactly(202, None, "PUT", f"{path}/pause")
    strimzi.until(Status, f"{path}/status", lambda s: s.is_all("PAUSED"))
    strimzi.exactly(202, None, "PUT", f"{path}/resume")
    strimzi.until(Status, f"{path}/status", lambda s: s.is_all("RUNNING"))
    strimzi.exactly(204, None, "POST", f"{path}/restart?includeTasks=false&onlyFailed=false")
    strimzi.exactly(202, Status, "POST", f"{path}/restart?includeTasks=true&onlyFailed=true")
    strimzi.exactly(204, None, "POST", f"{path}/tasks/0/restart")
    strimzi.until(Status, f"{path}/status", lambda s: s.is_all("RUNNING"))
    strimzi.exactly(204, None, "PUT", f"{path}/stop")
    strimzi.until(Status, f"{path}/status", lambda s: s.is_all("STOPPED", tasks=0))
    listed = strimzi.exactly(200, dict, "GET", f"{path}/offsets")
    strimzi.exactly(200, dict[str, str], "PATCH", f"{path}/offsets", listed)
    strimzi.exactly(200, dict[str, str], "DELETE", f"{path}/offsets")
    with pytest.raises(Refused, match="400 Connector configuration is invalid"):
        strimzi.exactly((200, 201), dict, "PUT", f"{path}/config", {"connector.class": POSTGRES})
    strimzi.exactly(204, None, "DELETE", path)
    strimzi.patience = 30.0
    with pytest.raises(Refused, match="404"):
        wait_for(lambda: strimzi.exactly(200, dict, "GET", f"{path}/status") is None, 30, "the status of a deleted connector stays")


def test_strimzi_reads_and_sets_log_levels(connect):
    strimzi, logger = Strimzi(connect.urls[0]), "pycdc.worker.loggers.operator"
    # a map of maps of strings to its reader, to whom a number and null are strings, and an object is none
    levels = dict[str, dict[str, str | int | None]]
    assert strimzi.exactly(200, levels, "GET", "/admin/loggers/")["root"].keys() == {"level", "last_modified"}
    strimzi.exactly((200, 204), None, "PUT", f"/admin/loggers/{logger}?scope=cluster", {"level": "DEBUG"})
    strimzi.until(levels, "/admin/loggers/", lambda all_: all_.get(logger, {}).get("level") == "DEBUG")


@pytest.mark.parametrize(("plugin", "more"), [(POSTGRES, {}), (JDBC, {"topics": "TopicName_JdbcSinkConnector"})])
def test_lenses_makes_a_form_of_a_class_alone(connect, plugin, more):
    """The form has the required settings; its second page all others, with their defaults."""
    lenses = Lenses(connect.urls[0])
    assert plugin in {p.class_ for p in lenses.ask(list[Plugin], "GET", "/connector-plugins/")}
    answer = lenses.ask(Validation, "PUT", f"/connector-plugins/{plugin}/config/validate", {"connector.class": plugin, **more})
    assert all(c.definition is not None for c in answer.configs), "the browser reads config.definition.required of each"
    required = {c.definition.name: c.definition.default_value for c in answer.configs if c.definition.required}
    assert required.keys() == {"name", "connector.class"} | ({"connection.url"} if more else set())  # Debezium calls none of its own required
    assert [name for name, default in required.items() if default] == []
    others = {c.definition.name: c.definition.default_value for c in answer.configs if not c.definition.required}
    assert others.keys() >= {"tasks.max", "transforms", "errors.tolerance"} | ({"insert.mode", "pk.mode"} if more else {"topic.prefix", "database.hostname"})
    assert others["tasks.max"] == "1"


def test_lenses_ui(connect, source, name):
    lenses, path = Lenses(connect.urls[0]), f"/connectors/{name}"
    assert lenses.ask(Root, "GET", "/").version
    assert lenses.ask(list[str], "GET", "/connectors") == []
    with pytest.raises(Refused, match="404"):
        lenses.ask(Status, "GET", f"{path}/status")
    lenses.ask(Connector, "POST", "/connectors", {"name": name, "config": {**source, "tasks.max": 1}})  # its form has a number there
    lives(lenses, path)
    assert lenses.ask(list[Task], "GET", f"{path}/tasks")[0].id.connector == name
    # the editor shows the configuration as properties, name included, and puts it back with a change
    edited = {**lenses.ask(dict[str, str], "GET", f"{path}/config"), "tombstones.on.delete": "false"}
    assert edited["tasks.max"] == "1"
    assert lenses.ask(Connector, "PUT", f"{path}/config", edited).config == edited
    gone(lenses, path)


def test_terraform_finds_nothing_to_change(connect, source, name):
    terraform = Terraform(connect.urls[0])
    # none of them is as a worker would write it
    odd = {"tombstones.on.delete": "TRUE", "max.batch.size": "0100", "no.such.key": "значение ☃ \"quoted\" \\ ${not:a:variable} <&>", "database.password": "p w"}
    terraform.applied(name, {**source, **odd})
    terraform.until(Status, f"/connectors/{name}/status", lambda s: s.connector.state in ("RUNNING", "FAILED"))
    terraform.applied(name, {**source, **odd})
    terraform.applied(name, {**source, "max.batch.size": "200"})
    terraform.until(Status, f"/connectors/{name}/status", lambda s: s.is_all("RUNNING"))
    gone(terraform, f"/connectors/{name}")


def test_every_worker_answers_the_same(connect, source, name):
    """A client behind a balancer speaks to one, then to the other."""
    first, second = (Kafbat(url) for url in connect.urls)
    second.ask(Connector, "POST", "/connectors", {"name": name, "config": source})
    for client in (first, second):
        client.until(Status, f"/connectors/{name}/status", lambda s: s.is_all("RUNNING"))
    for client, other in ((first, second), (second, first)):
        client.ask(None, "POST", f"/connectors/{name}/tasks/0/restart")
        client.ask(None, "PUT", f"/connectors/{name}/pause")
        other.until(Status, f"/connectors/{name}/status", lambda s: s.is_all("PAUSED"))
        other.ask(None, "PUT", f"/connectors/{name}/resume")
        client.until(Status, f"/connectors/{name}/status", lambda s: s.is_all("RUNNING"))
    infos = [client.ask(Connector, "GET", f"/connectors/{name}") for client in (first, second)]
    assert infos[0] == infos[1]
    gone(first, f"/connectors/{name}")


def test_paths_may_end_with_a_slash(connect):
    for path in ("/connectors/", "/connector-plugins/", "/admin/loggers/", f"/connector-plugins/{POSTGRES}/config/", "/health/"):
        answer, plain = (Rest(connect.urls[0]).call("GET", p) for p in (path, path.rstrip("/")))
        assert (answer.status, answer.body) == (200, plain.body), path
