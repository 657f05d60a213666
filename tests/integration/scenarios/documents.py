"""The connectors of the four documents, for a stack of the test's own; and their commands, as a shell runs them."""

import json
import subprocess

POSTGRES = "io.debezium.connector.postgresql.PostgresConnector"
JDBC_SINK = "io.confluent.connect.jdbc.JdbcSinkConnector"
JSON = "org.apache.kafka.connect.json.JsonConverter"
#: In place of a Schema Registry: the JDBC sink needs to know its columns' types.
WITH_SCHEMAS = {"key.converter": JSON, "value.converter": JSON, "key.converter.schemas.enable": "true", "value.converter.schemas.enable": "true"}
#: Scenario D's tables, and the heartbeat's row.
SOURCE_DB = """
CREATE TABLE debezium_table (id int PRIMARY KEY, current_value bigint NOT NULL);
CREATE TABLE debezium_signal (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data text);
CREATE TABLE debezium_heartbeat (last_heartbeat_ts timestamptz PRIMARY KEY);
INSERT INTO debezium_heartbeat VALUES (now())
"""
DESTINATION_DB = "CREATE TABLE debezium_table (id int PRIMARY KEY, current_value bigint NOT NULL)"


def source_connector(db, names, **more):
    """Scenario D's: it names its topics by a property that Debezium has called otherwise since 2.0, and has a number in it."""
    return {
        "name": "source-connector",
        "config": {
            "connector.class": POSTGRES, "tasks.max": "1", "database.hostname": db.host, "database.port": str(db.port), "database.user": db.user,
            "database.password": "postgres", "database.dbname": db.dbname, "database.server.name": names.prefix, "plugin.name": "pgoutput",
            "publication.autocreate.mode": "filtered", "slot.name": names.slot, "schema.include.list": "public",
            "table.include.list": "public.debezium_table,public.debezium_signal,public.debezium_heartbeat",
            "signal.data.collection": "public.debezium_signal", "heartbeat.interval.ms": 15000,
            "heartbeat.action.query": "update public.debezium_heartbeat set last_heartbeat_ts = now();", "transforms": "unwrap",
            "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState", **WITH_SCHEMAS, **more,
        },
    }  # fmt: skip


def sink_connector(target, names, **more):
    """Scenario D's: schema and table come from the topic's name, the login from the URL."""
    return {
        "name": "sink-connector",
        "config": {
            "connector.class": JDBC_SINK, "tasks.max": "1", "topics": f"{names.prefix}.public.debezium_table",
            "connection.url": f"jdbc:postgresql://{target.host}:{target.port}/{target.dbname}?currentSchema=public&user={target.user}&password=postgres",
            "transforms": "route", "transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter",
            "transforms.route.regex": r"([^.]+)\.([^.]+)\.([^.]+)", "transforms.route.replacement": "$2.$3", "auto.create": "false",
            "insert.mode": "upsert", "delete.enabled": "true", "pk.fields": "id", "pk.mode": "record_key",
            "fields.whitelist": "id,current_value", **WITH_SCHEMAS, **more,
        },
    }  # fmt: skip


class Shell:
    """Commands that were written for a worker at localhost:8083, in a folder with the documents' files."""

    def __init__(self, url, folder):
        self._url, self._folder = url, folder

    def file(self, name, content):
        path = self._folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))

    def run(self, command, *arguments):
        """What it prints. A machine without jq prints JSON as it comes."""
        script = "command -v jq >/dev/null || jq() { cat; }\n" + command.replace("localhost:8083", self._url.removeprefix("http://"))
        done = subprocess.run(["bash", "-c", script, "script", *arguments], cwd=self._folder, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, command, *arguments):
        printed = self.run(command, *arguments)
        return json.loads(printed) if printed else None

    def asked(self, command, *arguments):
        """Of `curl -i`: the status and the body's JSON."""
        head, _, body = self.run(command, *arguments).replace("\r\n", "\n").removeprefix("HTTP/1.1 100 Continue\n\n").partition("\n\n")
        return int(head.split()[1]), json.loads(body) if body else None
