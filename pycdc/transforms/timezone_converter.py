"""io.debezium.transforms.TimezoneConverter: times of change events in another zone.

Times with an offset keep their moment and show it in the zone; times without are read as local there. As in
Debezium the zone's offset at a ZonedTimestamp is looked up by its wall clock, and a ZonedTime, which has no
date, takes the offset at the time of the event (its ts_ms).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from pycdc.config.definition import ConfigDef, Kind, Property, parsed, words
from pycdc.errors import Fault, RecordError
from pycdc.model.envelope import AFTER, BEFORE, SOURCE
from pycdc.model.record import Record
from pycdc.model.schema import Schema
from pycdc.transforms.envelopes import envelope_of
from pycdc.transforms.operand import fields_or_null, known, mapped, or_default

_PURPOSE = "TimezoneConverter"
_OFFSET = re.compile(r"([+-])(\d{2}):(\d{2})(?::(\d{2}))?")
_ISO = re.compile(
    r"(?:([+-]?\d{4,})-(\d\d)-(\d\d)T)?(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)"
)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock, its zone is the question
_DAY = 86_400
#: Units in a second of the types that count from the epoch.
_COUNTED = {
    "io.debezium.time.Timestamp": 1000, "io.debezium.time.MicroTimestamp": 1_000_000,
    "io.debezium.time.NanoTimestamp": 1_000_000_000, "org.apache.kafka.connect.data.Timestamp": 1000,
}  # fmt: skip
_ZONED_TIMESTAMP, _ZONED_TIME = "io.debezium.time.ZonedTimestamp", "io.debezium.time.ZonedTime"
_SOURCE_UNITS = {"ts_ms": 1000, "ts_us": 1_000_000, "ts_ns": 1_000_000_000}

#: A rule's `topic`, `source` (a table) or neither -> the name it matches -> fields, none for all.
_Rules = dict[str | None, dict[str, set[str]]]
_Change = Callable[[Any], Any]


def _rules() -> Kind[_Rules]:
    def parse(text: str) -> _Rules:
        found: _Rules = {"topic": {}, "source": {}, None: {}}
        scope: str | None = None
        for item in words().parse(text):
            parts = item.split(":")
            if not all(p.strip() for p in parts) or len(parts) not in (2, 3) or (len(parts) == 3 and parts[0] not in found):
                raise ValueError("must be source:table, source:table:field, topic:topic, topic:topic:field or name:field, ...")
            if parts[0] in ("source", "topic"):
                scope, *parts = parts  # the scope holds for the items behind it, too
            fields = found[scope].setdefault(parts[0], set())
            if len(parts) == 2:
                fields.add(parts[1])
        return found

    return parsed("LIST", parse, "source:table[:field], topic:topic[:field] or name:field, ...")


def _zone() -> Kind[_Zone]:
    def parse(text: str) -> _Zone:
        return _Zone(text.strip())

    return parsed("STRING", parse, "a zone's name (America/New_York) or an offset (+08:00)")


class _Zone:
    """Offsets in seconds. Raises ValueError for what is no zone."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.fixed: int | None = None
        offset = _OFFSET.fullmatch(name)
        if offset:
            self.fixed = _seconds(name)
        elif name not in available_timezones():
            raise ValueError("must be a time zone's name (America/New_York) or an offset (+08:00)")
        else:
            self._info = ZoneInfo(name)

    def at_wall_clock(self, seconds: int) -> int:
        """The offset when clocks in the zone show this; where they show it twice the earlier, in a gap the one before."""
        return self.fixed if self.fixed is not None else _offset(_datetime(seconds), self._info)

    def at(self, seconds: int) -> int:
        """The offset at a moment."""
        if self.fixed is not None:
            return self.fixed
        utc = _datetime(seconds).replace(tzinfo=ZoneInfo("UTC"))
        return int((utc.astimezone(self._info).utcoffset() or timedelta()).total_seconds())

    def __str__(self) -> str:
        return self.name


def _offset(clock: datetime, zone: ZoneInfo) -> int:
    return int((clock.replace(tzinfo=zone).utcoffset() or timedelta()).total_seconds())


def _datetime(seconds: int) -> datetime:
    """Years beyond Python's calendar take the year that is like them: the Gregorian one repeats after 400."""
    cycle = 146_097 * _DAY
    while seconds >= 253_370_764_800:  # year 9999
        seconds -= -(-(seconds - 253_370_764_800 + 1) // cycle) * cycle
    while seconds < -62_104_060_800:  # year 2
        seconds += -(-(-62_104_060_800 - seconds) // cycle) * cycle
    return _EPOCH + timedelta(seconds=seconds)


class TimezoneConverterConfig(ConfigDef):
    """Options of TimezoneConverter."""

    zone = Property[_Zone]("converted.timezone", _zone(), required=True, doc="The zone: a name or an offset.")
    include = Property[_Rules | None](
        "include.list", _rules(), doc="Only these: source:table, topic:name, each with :field, or name:field for either."
    )
    exclude = Property[_Rules | None]("exclude.list", _rules(), doc="All but these; written as include.list.")

    def check(self, faults: list[Fault]) -> None:
        if self.include is not None and self.exclude is not None:
            faults.append(Fault("exclude.list", "stands beside include.list: give one of them"))


class _Chosen(NamedTuple):
    """Which fields of before, after and source change: `all`, those named, or all but those named."""

    how: str
    fields: frozenset[str] = frozenset()

    def takes(self, part: str, field: str) -> bool:
        own = {f.removeprefix(part + ".") for f in self.fields if f.startswith(part + ".")}
        if part != SOURCE:
            own |= {f for f in self.fields if not f.startswith((BEFORE + ".", AFTER + ".", SOURCE + "."))}
        elif not own:
            return False
        return self.how == "all" or (field in own) == (self.how == "include")


class TimezoneConverter:
    """Dates and times without zone (Date, Time) stay as they are."""

    config = TimezoneConverterConfig
    moves_only: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, TimezoneConverterConfig)
        self._zone = settings.zone
        self._include, self._exclude = settings.include, settings.exclude

    def apply(self, record: Record) -> Record:
        event = envelope_of(record)
        if event is None:
            return record
        source = fields_or_null(event.get(SOURCE), _PURPOSE) or {}
        chosen = self._chosen(record.topic, source.get("table"))
        if chosen is None:
            return record
        assert record.value_schema is not None
        parts = {
            f.name: self._part(f.name, f.schema, fields, chosen, event)
            for f in record.value_schema.fields
            if f.name in (BEFORE, AFTER, SOURCE) and (fields := fields_or_null(event.get(f.name), _PURPOSE)) is not None
        }
        return record.replace(value={**event, **parts})

    def _chosen(self, topic: str, table: Any) -> _Chosen | None:
        rules = self._include or self._exclude
        if rules is None:
            return _Chosen("all")
        found = None
        for scope, name in (("topic", topic), ("source", table), (None, topic), (None, table)):
            if isinstance(known(name), str) and name in rules[scope]:
                found = rules[scope][name]
                break
        if self._include is not None:
            return None if found is None else _Chosen("include", frozenset(found)) if found else _Chosen("all")
        return _Chosen("all") if found is None else _Chosen("exclude", frozenset(found)) if found else None

    def _part(self, part: str, schema: Schema, fields: dict[str, Any], chosen: _Chosen, event: dict[str, Any]) -> dict[str, Any]:
        out = dict(fields)
        for f in schema.fields:
            change = self._change(part, f.name, f.schema, event) if chosen.takes(part, f.name) else None
            if change is not None:
                out[f.name] = mapped(or_default(f.schema, fields.get(f.name)), change)
        return out

    def _change(self, part: str, name: str, schema: Schema, event: dict[str, Any]) -> _Change | None:
        if schema.name in _COUNTED:
            unit = _COUNTED[schema.name]
            return lambda value: _held(value - self._zone.at_wall_clock(value // unit) * unit)
        if schema.name == _ZONED_TIMESTAMP:
            return self._named(name, self._timestamp)
        if schema.name == _ZONED_TIME:
            offset = self._now(event)
            return self._named(name, lambda text: self._time(text, offset))
        if schema.name is None and part == SOURCE and name in _SOURCE_UNITS:
            unit = _SOURCE_UNITS[name]
            return lambda value: _held(value + self._zone.at(value // unit) * unit)
        return None

    def _named(self, field: str, change: _Change) -> _Change:
        def named(value: Any) -> Any:
            try:
                return change(value)
            except ValueError as error:
                raise RecordError("a time cannot be read", cause=f"{_PURPOSE}: field {field}: {error}") from None

        return named

    def _now(self, event: dict[str, Any]) -> int:
        if self._zone.fixed is not None:
            return self._zone.fixed
        return self._zone.at((known(event.get("ts_ms")) or 0) // 1000)

    def _timestamp(self, text: str) -> str:
        if text in ("infinity", "-infinity"):
            return text  # Debezium cannot read its own word and stops
        clock, fraction, own = _parsed(text)
        offset = self._zone.at_wall_clock(clock)
        days, rest = divmod(clock - own + offset, _DAY)
        return f"{_date(days)}T{_clock(rest, fraction)}{_offset_text(offset)}"

    def _time(self, text: str, offset: int) -> str:
        clock, fraction, own = _parsed(text)
        return f"{_clock((clock - own + offset) % _DAY, fraction)}{_offset_text(offset)}"


def _held(number: int) -> int:
    """At the ends of 64 bits stands infinity, which Debezium lets turn into the far past."""
    return max(-(1 << 63), min((1 << 63) - 1, number))


def _parsed(text: str) -> tuple[int, str, int]:
    """The wall clock in seconds since the epoch (a time alone: of its day), the fraction's digits, the offset."""
    m = _ISO.fullmatch(text)
    if m is None:
        raise ValueError("is no ISO time with an offset")
    year, month, day, hour, minute, second, fraction, offset = m.groups()
    days = 0 if year is None else _days(int(year), int(month), int(day))
    clock = days * _DAY + (int(hour) * 60 + int(minute)) * 60 + int(second or 0)
    return clock, (fraction or "").rstrip("0"), 0 if offset == "Z" else _seconds(offset)


def _days(year: int, month: int, day: int) -> int:
    """Days since the epoch in the proleptic Gregorian calendar, of any year."""
    cycles, like = divmod(year - 2000, 400)
    return (datetime(2000 + like, month, day) - _EPOCH).days + cycles * 146_097  # noqa: DTZ001


def _date(days: int) -> str:
    cycles, like = divmod(days - 10_957, 146_097)  # days from 2000 on
    date = _EPOCH + timedelta(days=10_957 + like)
    year = date.year + 400 * cycles
    written = f"{abs(year):04}" if abs(year) < 10_000 else str(abs(year))
    sign = "-" if year < 0 else "+" if year > 9999 else ""
    return f"{sign}{written}-{date.month:02}-{date.day:02}"


def _clock(seconds: int, fraction: str) -> str:
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction}" if fraction else text


def _seconds(offset: str) -> int:
    digits = offset[1:].replace(":", "").ljust(6, "0")
    total = int(digits[:2]) * 3600 + int(digits[2:4]) * 60 + int(digits[4:6])
    return -total if offset[0] == "-" else total


def _offset_text(offset: int) -> str:
    if offset == 0:
        return "Z"
    rest = abs(offset)
    parts: Iterable[int] = (rest // 3600, rest // 60 % 60, *([rest % 60] if rest % 60 else []))
    return ("-" if offset < 0 else "+") + ":".join(f"{p:02}" for p in parts)
