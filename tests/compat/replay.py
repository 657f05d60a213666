"""Replays recorded REST sessions against running workers, ours or the real Kafka Connect, and prints what differs.

    python tests/compat/replay.py BASE_URL GOLDEN.json ... [--second URL] [--has last,worker,file]

    PG     DSN without a database name, default "host=127.0.0.1 port=5432 user=postgres"; the workers reach that
           server under the same host and port, as user postgres
    KAFKA  bootstrap servers, for sessions that fill topics

Sessions that need what is not there are named and left out: a second worker, a broker, workers that may be killed
(only the tests do that), connectors (`--has file`), settings of the workers (`--has worker`: those of the file's
"worker"), a cluster that may be thrown away (`--has last`). differences.toml counts unless `--original` is given.
Ends with 1 when something differs.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

sys.path.insert(0, str(Path(__file__).parent / "rest"))

import rest_listed
from rest_capture import Answer, Capture, load
from rest_steps import Session

from pycdc.servers.process import wait_for


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("base")
    options.add_argument("golden", nargs="+", type=Path)
    options.add_argument("--second")
    options.add_argument("--has", default="", help="last, worker, file, mirror, with commas between")
    options.add_argument("--original", action="store_true", help="the workers are Kafka Connect: nothing may differ")
    chosen = options.parse_args()
    kafka = os.environ.get("KAFKA", "")
    able = {*chosen.has.split(","), "two" if chosen.second else "", "kafka" if kafka else ""}
    rows = {} if chosen.original else rest_listed.rows()
    addresses = [chosen.base, chosen.second] if chosen.second else [chosen.base]
    code = 0
    for capture in map(load, chosen.golden):
        if capture.needs - able:
            print(f"{capture.name}: left out, it needs {', '.join(sorted(capture.needs - able))}")
        else:
            code |= replayed(capture, addresses, kafka, rows)
    return code


def replayed(capture: Capture, addresses: list[str], kafka: str, rows: dict[tuple[str, int], rest_listed.Row]) -> int:
    """1 when an answer differs."""
    server = psycopg.conninfo.conninfo_to_dict(os.environ.get("PG", "host=127.0.0.1 port=5432 user=postgres"))
    run = secrets.token_hex(4)
    values = {"N": f"cap{run}", "DB": f"db{run}", "PG_HOST": str(server.get("host", "127.0.0.1")), "PG_PORT": str(server.get("port", "5432")), "KAFKA": kafka}

    def points(at: int, here: Answer) -> list[str]:
        original = capture.answers[at]
        assert original is not None
        return rest_listed.judged(rows.get((capture.name, at)), capture.steps[at], original, here, soft=capture.soft)

    with database(psycopg.conninfo.make_conninfo("", **server), values["DB"]) as dsn:
        session = Session(addresses, values, dsn)
        try:
            answers = session.run(capture, lambda at, here: not points(at, here))
        finally:
            session.clean()
    wrong = {at: found for at, here in enumerate(answers) if here is not None and (found := points(at, here))}
    for at, found in wrong.items():
        step = capture.steps[at]
        print(f"{capture.name}[{at}] {step['m']} {step['p']} {step.get('q', '')}", *found, sep="\n    ")
    print(*session.notes, f"{capture.name}: {capture.recorded - len(wrong)} of {capture.recorded} answers equal", sep="\n", flush=True)
    return int(bool(wrong))


@contextmanager
def database(server: str, name: str) -> Iterator[str]:
    """The DSN of a database that is dropped in the end, with its slots."""
    with psycopg.connect(server, autocommit=True, dbname="postgres") as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield psycopg.conninfo.make_conninfo(server, dbname=name)
        finally:

            def slots_gone() -> bool:
                mine = "FROM pg_replication_slots WHERE database = %s"
                admin.execute(f"SELECT pg_drop_replication_slot(slot_name) {mine} AND NOT active", [name])
                return admin.execute(f"SELECT 1 {mine}", [name]).fetchone() is None

            wait_for(slots_gone, 20, f"a slot of the database {name} stays in use")
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


if __name__ == "__main__":
    sys.exit(main())
