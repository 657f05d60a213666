"""What this room says of clients' settings and topic creation groups, for the one parse of a configuration."""

from __future__ import annotations

from pycdc.kafka.settings import admin_settings, consumer_settings, producer_settings
from pycdc.kafka.topics import parse_groups
from pycdc.plugins.join import ClientChecks


def client_checks() -> ClientChecks:
    """To be handed to `load_source` and `load_sink`, so that all faults come at once."""
    return ClientChecks(
        producer=lambda raw: producer_settings(raw)[1],
        consumer=lambda raw: consumer_settings(raw)[1],
        admin=lambda raw: admin_settings(raw)[1],
        topics=parse_groups,
    )
