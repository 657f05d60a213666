"""A third party's source that never gives the processor back."""

import time
from types import MappingProxyType

from pycdc.config.definition import ConfigDef


class StubbornSource:
    config = ConfigDef
    partition = MappingProxyType({"server": "stubborn"})
    conversion_failure = event_failure = "fail"
    queue_bytes = 1 << 20

    def __init__(self, settings):
        self._settings = settings

    async def open(self, context):
        context.progress.phase = "streaming"

    async def read(self):
        time.sleep(3600)  # noqa: ASYNC251  # that is what it is for

    async def confirm(self, offset):
        """Nothing is ever handed out."""

    async def close(self):
        """Nothing is open."""
