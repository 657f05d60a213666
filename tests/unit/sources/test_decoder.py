"""What the decoder makes of payloads that the server sends around the changes themselves."""

import struct

import pytest

from pycdc.debezium.offsets import OffsetWriter
from pycdc.sources.postgres import setup
from pycdc.sources.postgres.config import PostgresSourceConfig
from pycdc.sources.postgres.decoder import StreamDecoder


@pytest.fixture
def decoder():
    settings = PostgresSourceConfig.of(topic_prefix="p", dbname="d")
    return StreamDecoder(setup.event_settings(settings, task_id="0", now_ms=0), OffsetWriter(), start=1000)


def keepalive(lsn):
    return struct.pack("!cQqB", b"k", lsn, 0, 0)


def test_a_keepalive_of_before_the_start_moves_nothing(decoder):
    """The server's first ones tell of restart_lsn: an offset of there would look older than the slot."""
    decoder.feed([keepalive(900)], 0, 0)
    decoder.idle()
    assert decoder.take().offset is None
    decoder.feed([keepalive(1000), keepalive(1200)], 0, 0)
    decoder.idle()
    assert decoder.take().offset == {"lsn_proc": 1200, "lsn_commit": 1200, "lsn": 1200}
