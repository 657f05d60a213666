"""What a configuration would do, before a connector is made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pycdc.errors import Fault
from pycdc.sources.jdbc.config import JdbcSourceConfig


async def faults_of(settings: JdbcSourceConfig, faults: Sequence[Fault]) -> Mapping[str, str]:
    return {}
