"""Two Connect clusters on one broker, A and B, and the command between them. What runs as B is said in one place."""

import itertools
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pycdc.servers.connect import Connect

PASSWORD = "s3cret-word"
JSON = "org.apache.kafka.connect.json.JsonConverter"


def old_side(folder, bootstrap, base):
    return Connect(folder / "a", bootstrap, group=f"{base}-a", topics=f"{base}-a")


def new_side(folder, bootstrap, base):
    """What takes over: anything with `start`, `stop`, `url` and `call`."""
    return Connect(folder / "b", bootstrap, group=f"{base}-b", topics=f"{base}-b")


def started(folder, bootstrap, base):
    """Both at once: each takes a while."""
    sides = old_side(folder, bootstrap, base), new_side(folder, bootstrap, base)
    try:
        with ThreadPoolExecutor() as pool:
            for each in [pool.submit(side.start) for side in sides]:
                each.result()
    except BaseException:
        for side in sides:
            side.stop()
        raise
    return sides


def migrate(*arguments, code=0):
    """The output of the command, which ends with `code` and never shows a password."""
    command = [sys.executable, "-m", "pycdc.cli", "migrate", *arguments, "--log-format", "text"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=80, check=False)
    assert done.returncode == code, done.stdout
    assert PASSWORD not in done.stdout
    assert "Traceback" not in done.stdout
    return done.stdout


def ended_at(line, number, *arguments):
    """The command gets the signal `number` when it says `line`. Its exit code and what it says on standard error."""
    command = [sys.executable, "-m", "pycdc.cli", "migrate", *arguments, "--log-format", "text"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for said in process.stdout:
            if line in said:
                process.send_signal(number)
                break
        _, told = process.communicate(timeout=30)
    return process.returncode, told


def run_lines(commands, **variables):
    """In a shell, which ends with the first command that fails."""
    script = "\n".join(commands)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=80, check=False, env={**os.environ, **variables}
    )
    assert done.returncode == 0, done.stderr


def commands_of_a_plan(plan, heading):
    """The commands below `heading`."""
    block = plan.split(f"\n  {heading}:\n", 1)[1]
    lines = itertools.takewhile(lambda line: line.startswith("    "), block.splitlines())
    return [line.strip() for line in lines if not re.match(r"    \d+\. ", line)]


def commands_of_the_page(heading):
    """The commands below `heading` of the how-to, up to the next heading; variables are given by who runs them."""
    page = (Path(__file__).parents[3] / "docs/how-to/migrate-from-kafka-connect.md").read_text()
    section = re.split(r"\n##+ ", page.split(f"# {heading}\n", 1)[1], maxsplit=1)[0]
    deepest = [line for line in section.splitlines() if re.match(r" {4,}\S", line) and "OLD=" not in line]
    return [line.strip() for line in deepest]


def flat(text):
    return re.sub(r"\s+", " ", text)


def until(enough, what, limit=60):
    end = time.monotonic() + limit
    while not enough():
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(0.1)


def state(side, name):
    """STATE of the connector and of each task, in one text; `absent` without it."""
    found = side.call("GET", "/connectors?expand=status").get(name)
    if found is None:
        return "absent"
    status = found["status"]
    return " ".join([status["connector"]["state"], *(t["state"] for t in status["tasks"])])


def source_config(database, names, **more):
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "plugin.name": "pgoutput", "tasks.max": "1",
        "topic.prefix": names.prefix, "database.hostname": database.host, "database.port": str(database.port), "database.user": database.user,
        "database.password": PASSWORD, "database.dbname": database.dbname, "slot.name": names.slot, "publication.name": names.publication,
        "key.converter": JSON, "value.converter": JSON, "key.converter.schemas.enable": "false", "value.converter.schemas.enable": "false",
        "poll.interval.ms": "50", **{k.replace("__", "."): v for k, v in more.items()},
    }  # fmt: skip


def sink_config(database, topic, table, **more):
    return {
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "tasks.max": "1", "topics": topic,
        "connection.url": f"jdbc:postgresql://{database.host}:{database.port}/{database.dbname}", "connection.username": database.user,
        "connection.password": PASSWORD, "insert.mode": "upsert", "primary.key.mode": "record_key", "schema.evolution": "basic",
        "collection.name.format": table, "key.converter": JSON, "value.converter": JSON, **{k.replace("__", "."): v for k, v in more.items()},
    }  # fmt: skip


def row(number):
    """Key and value of one record with schemas, as the JDBC sink needs them."""
    schema = {"type": "struct", "optional": False, "fields": [{"field": "id", "type": "int32", "optional": False}]}
    text = json.dumps({"schema": schema, "payload": {"id": number}}).encode()
    return text, text
