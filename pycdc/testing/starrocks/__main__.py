"""`python -m pycdc.testing.starrocks`: the fake in a process of its own, until SIGTERM.

Prints one JSON line with its ports when it is ready: fe_http, be_http, fe_mysql, user, pid. See `control` for how to
set faults and look at rows from outside.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys

import msgspec

from pycdc.testing.starrocks.cluster import Cluster, Settings
from pycdc.testing.starrocks.server import Ports
from pycdc.testing.starrocks.sql import Sql


def _settings() -> Settings:
    """One option per setting, under its own name."""
    parser = argparse.ArgumentParser(prog="python -m pycdc.testing.starrocks", description="A stand-in for a StarRocks cluster.")
    for field in msgspec.structs.fields(Settings):
        option = f"--{field.name.replace('_', '-')}"
        if field.type is bool:
            parser.add_argument(option, action="store_true")
        else:
            parser.add_argument(option, type=field.type, default=field.default)
    return Settings(**vars(parser.parse_args()))


async def _main() -> None:
    cluster = Cluster(_settings())
    ports = Ports(cluster, Sql(cluster))
    await ports.open()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    ready = {"fe_http": ports.fe_http, "be_http": ports.be_http, "fe_mysql": ports.fe_mysql, "user": cluster.settings.user, "pid": os.getpid()}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    await stop.wait()
    await ports.close()


if __name__ == "__main__":
    asyncio.run(_main())
