"""org.apache.kafka.connect.transforms.TimestampRouter: puts the record's time into its topic's name."""

from __future__ import annotations

from typing import ClassVar

from pycdc.config.definition import ConfigDef, Property
from pycdc.errors import RecordError
from pycdc.model.record import Record
from pycdc.model.simple_date_format import SimpleDateFormat
from pycdc.transforms.options import date_format, trimmed


class TimestampRouterConfig(ConfigDef):
    """Options of TimestampRouter."""

    topic_format = Property[str](
        "topic.format", trimmed(), default="${topic}-${timestamp}", doc="The new name; ${topic} and ${timestamp} are put in."
    )
    timestamp_format = Property[str]("timestamp.format", date_format(), default="yyyyMMdd", doc="Java's SimpleDateFormat, in UTC.")


class TimestampRouter:
    """A record without timestamp stops: change events of a source have none before Kafka gives them one."""

    config = TimestampRouterConfig
    moves_only: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, TimestampRouterConfig)
        self._topic = settings.topic_format
        self._format = SimpleDateFormat(settings.timestamp_format)

    def apply(self, record: Record) -> Record:
        if record.timestamp is None:
            raise RecordError(
                "a record has no timestamp",
                cause="TimestampRouter: Kafka gives a source's records theirs later",
                hint="use it in a sink, or behind an EventRouter with table.field.event.timestamp",
            )
        named = self._topic.replace("${topic}", record.topic)
        return record.replace(topic=named.replace("${timestamp}", self._format.format(record.timestamp)))
