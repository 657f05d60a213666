"""`python -m pycdc.servers [--debezium] [--registry] [--mariadb]`: fetch what the servers need, or say in one line what is missing."""

from __future__ import annotations

import sys
from collections.abc import Callable

from pycdc.servers import mariadb, postgres
from pycdc.servers.kafka import jars
from pycdc.servers.process import ServerFailed


def main(arguments: list[str]) -> int:
    """0 when servers can be started; 1 with every missing thing named."""
    code = 0
    needs: list[Callable[[], object]] = [postgres.binaries, lambda: jars(debezium="--debezium" in arguments, registry="--registry" in arguments)]
    if "--mariadb" in arguments:
        needs.append(mariadb.binaries)
    for need in needs:
        try:
            need()
        except ServerFailed as error:
            sys.stderr.write(f"{error}\n")
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
