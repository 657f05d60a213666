"""Looks for what pycdc does otherwise than the real Debezium, in generated databases.

    python tests/differential/live [--seed N] [--minutes M] [--cases N] [--keep-going] [--tries N]

Both engines run at once on the same database. A difference is made smaller and printed as a case for
tests/differential/cases, with its seed. Ends with 1 when there was one. Needs Java and, at first use, Maven.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tools")]

import capture  # noqa: E402
import pycdc_driver  # noqa: E402
from case import Case, setup_sql, steps_sql  # noqa: E402
from generate import generate  # noqa: E402
from pair import ORIGINAL, OURS, InvalidCase, OriginalFailed, Pair  # noqa: E402
from shrink import shrink  # noqa: E402

from pycdc.servers.connect import Connect  # noqa: E402
from pycdc.servers.kafka import Kafka  # noqa: E402
from pycdc.servers.postgres import Postgres  # noqa: E402


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options.add_argument("--minutes", type=float, default=60)
    options.add_argument("--cases", type=int, default=1 << 30)
    options.add_argument("--debug", action="store_true", help="say why cases are refused")
    options.add_argument("--keep-going", action="store_true", help="go on after a difference")
    options.add_argument("--tries", type=int, default=80, help="runs that making a difference smaller may take")
    chosen = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the servers are to be stopped then, too
    folder = Path(tempfile.mkdtemp(prefix="pycdc-live-"))
    folder.chmod(0o755)
    postgres, kafka = Postgres(folder / "pg"), Kafka(folder / "kafka")
    connect = Connect(folder / "connect", kafka.bootstrap)
    try:
        for server in (postgres, kafka, connect):
            server.start()
        stack = {"pg_host": postgres.host, "pg_port": postgres.port, "pg_user": postgres.user, "kafka": kafka.bootstrap, "connect": connect.url}
        ours = pycdc_driver.SourceProcess(stack)
        try:
            return search(Pair(stack, {ORIGINAL: capture.ConnectDriver(stack), OURS: ours}), chosen)
        finally:
            ours.close()
    finally:
        connect.stop()
        kafka.remove()
        postgres.remove()
        shutil.rmtree(folder, ignore_errors=True)


def search(pair: Pair, chosen: argparse.Namespace) -> int:
    """Cases one after another, their seeds counted up from the first."""
    end = time.monotonic() + 60 * chosen.minutes
    ran = invalid = failed = different = 0
    print(f"seed {chosen.seed}", flush=True)
    for seed in range(chosen.seed, chosen.seed + chosen.cases):
        if time.monotonic() > end:
            break
        case = generate(seed)
        try:
            found = pair.differences(case)
            ran += 1
        except InvalidCase as error:
            invalid += 1
            if chosen.debug:
                print("refused", seed, str(error)[:200], flush=True)
            continue
        except OriginalFailed as error:
            failed += 1
            print(f"Debezium itself fails, seed {seed}: {_first_cause(str(error))}", flush=True)
            continue
        if found:
            different += 1
            report(pair, case, found, chosen.tries)
            if not chosen.keep_going:
                break
    print(f"seeds from {chosen.seed}: {ran} cases of {pair.records} records, {different} different; {invalid} refused by the server, {failed} by Debezium", flush=True)
    return 1 if different else 0


def report(pair: Pair, case: Case, found: list[str], tries: int) -> None:
    print(f"\nDIFFERENT, seed {case.seed}:", *(f"\n    {d[:800]}" for d in found[:5]), flush=True)

    def differs(candidate: Case) -> bool:
        try:
            return bool(pair.differences(candidate))
        except (InvalidCase, OriginalFailed):
            return False

    small = shrink(case, differs, tries=tries)
    with contextlib.suppress(InvalidCase, OriginalFailed):
        found = pair.differences(small) or found
    print("smallest:", as_toml(small), *(f"\n    {d[:400]}" for d in found[:8]), flush=True)


def as_toml(case: Case) -> str:
    """For a file of tests/differential/cases."""
    steps = "".join(f"\n'''{s}''',\n" for s in steps_sql(case))
    config = "\n".join(f"{_toml(k)} = {_toml(v)}" for k, v in case.config.items())
    setup = ";\n".join(setup_sql(case))
    return f"\n[[case]]\nname = \"live_{case.seed}\"\nsetup = '''{setup}'''\nsteps = [{steps}]\n[case.config]\n{config}\n"


def _toml(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _first_cause(trace: str) -> str:
    causes = [line for line in trace.splitlines() if "Caused by" in line] or trace.splitlines()[:1]
    return causes[-1].strip()[:300]


if __name__ == "__main__":
    sys.exit(main())
