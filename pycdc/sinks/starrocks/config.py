"""Properties of StarRocks' Kafka Connect sink, and ours beside them.

Source: the reference of starrocks-connector-for-kafka 1.0.6. `sink.properties.*` are headers of Stream Load: those
that say how a body is written are this sink's own business and warn; those that would change what a row means
are faults, because rows are mapped by column name and nothing is left out silently. Names of what the connector
does not have are Debezium's (`schema.evolution`, `delete.enabled`, `truncate.enabled`) and those of StarRocks' own
Flink connectors (`table.create.*`, `sink.transaction.multi-table.enabled`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from pycdc.config.definition import ConfigDef, Property, boolean, integer, one_of, parsed, password, text
from pycdc.errors import Fault
from pycdc.plugins.registry import nearest_name
from pycdc.sinks.units import time_precision_mode

_HEADERS: Final = "sink.properties."
_TABLES: Final = "table.create.properties."
#: Longest wait between two writes, ms: a write must end well before the group gives its partitions away, and it
#: waits for its turn inside that limit (30 s by Kafka's defaults).
LONGEST_INTERVAL_MS: Final = 10_000

#: Headers that the sink sets itself, and why another value has no effect.
_OWN: Final = {
    "label": "labels are made from the offsets of what is loaded",
    "strict_mode": "a value that does not fit is an error here, never a null",
    "max_filter_ratio": "a row that does not fit is an error here, never left out",
    "strip_outer_array": "the sink writes arrays and says so itself",
    "ignore_json_size": "bufferflush.maxbytes bounds a load",
    "row_delimiter": "the sink writes and quotes CSV itself",
    "column_separator": "the sink writes and quotes CSV itself",
    "enclose": "the sink writes and quotes CSV itself",
    "escape": "the sink writes and quotes CSV itself",
    "trim_space": "values are written as they are",
    "skip_header": "no header is written",
    "expect": "the protocol needs it and the sink sends it",
}
#: Headers that would change which rows and values arrive.
_REFUSED: Final = (
    "columns", "jsonpaths", "json_root", "where", "partitions", "temporary_partitions", "envelope", "enable_merge_commit", "content-encoding",
)  # fmt: skip
#: Headers that are passed on as they are.
_PASSED: Final = (
    "timezone", "load_mem_limit", "exec_mem_limit", "load_dop", "partial_update_mode", "merge_condition", "warehouse",
    "transmission_compression_type", "log_rejected_record_num",
)  # fmt: skip


def _addresses(value: str) -> tuple[str, ...]:
    """host:port, several separated by commas; each as a URL without path."""
    found = []
    for part in (p.strip() for p in value.split(",") if p.strip()):
        url = urlsplit(part if "://" in part else f"http://{part}")
        if url.scheme not in ("http", "https") or not url.hostname or url.path.strip("/"):
            raise ValueError("must be HOST:PORT,HOST:PORT of FEs' HTTP ports")
        found.append(f"{url.scheme}://{url.netloc.rpartition('@')[2]}")
    if not found:
        raise ValueError("names no FE: HOST:PORT")
    return tuple(found)


def _table_map(value: str) -> dict[str, str]:
    pairs = [p.rpartition(":") for p in value.split(",") if p.strip()]
    if any(not topic.strip() or not table.strip() for topic, _, table in pairs):
        raise ValueError("must be topic:table,topic:table")
    return {topic.strip(): table.strip() for topic, _, table in pairs}


class StarRocksSinkConfig(ConfigDef):
    """com.starrocks.connector.kafka.StarRocksSinkConnector."""

    prefixes = (_HEADERS, _TABLES)

    http_urls = Property[tuple[str, ...]](
        "starrocks.http.url", parsed("STRING", _addresses, "HOST:PORT,..."), required=True, importance="HIGH", doc="HTTP ports of the FEs."
    )
    database = Property[str]("starrocks.database.name", text(), required=True, importance="HIGH", doc="Database.")
    username = Property[str]("starrocks.username", text(), required=True, importance="HIGH", doc="User; needs INSERT, and CREATE and ALTER where tables are to be made.")
    login_password = Property[str]("starrocks.password", password(), default="", importance="HIGH", doc="Password.")
    query_port = Property[int]("starrocks.query.port", integer(1, 65535), default=9030, doc="MySQL port of the FEs: columns and keys are read there.")
    table_map = Property[dict[str, str]](
        "starrocks.topic2table.map", parsed("STRING", _table_map, "topic:table,..."), default={},
        doc="topic:table,...; else the table of the source block, else the last part of the topic.",
    )  # fmt: skip
    format = Property[str]("sink.properties.format", one_of("json", "csv"), default="json", doc="How bodies are written; StarRocks reads CSV faster.")
    compression = Property[str](
        "sink.properties.compression", one_of("none", "gzip", "zstd", "lz4_frame"), default="none", doc="Compression of bodies; StarRocks >= 3.2.7."
    )
    # Twice the time of a large load, and less than the session after which another member may write (DESIGN rule 11):
    # StarRocks aborts what has not been committed by then.
    timeout = Property[int]("sink.properties.timeout", integer(1, 259200), default=25, doc="Time limit of a load, s; StarRocks aborts it then.")
    partial_update = Property[bool](
        "sink.properties.partial_update", boolean(), default=False, doc="Whole rows too leave the table's other columns as they are."
    )
    max_bytes = Property[int]("bufferflush.maxbytes", integer(65_536, 10_737_418_240), default=67_108_864, doc="Largest body of one load.")
    interval_ms = Property[int](
        "bufferflush.intervalms", integer(0, 3_600_000), default=1000, doc=f"Shortest time between two small writes, ms; at most {LONGEST_INTERVAL_MS} is waited."
    )
    # the connector's code says 100, its documentation 1000; a busy process may look away for longer than 100
    connect_ms = Property[int]("connect.timeoutms", integer(100, 60_000), default=1000, doc="Time limit of a connection, ms.")
    max_retries = Property[int]("sink.maxretries", integer(-1), default=3, doc="Tries of a failed load after the first; -1 = without end.")
    evolution = Property[str]("schema.evolution", one_of("none", "basic"), default="none", doc="basic = create tables, add columns, widen their types.")
    deletes = Property[bool]("delete.enabled", boolean(), default=True, doc="Delete rows on delete events and tombstones.")
    truncates = Property[bool]("truncate.enabled", boolean(), default=False, doc="Carry out truncates.")
    multi_table = Property[bool](
        "sink.transaction.multi-table.enabled", boolean(), default=False, doc="All tables of a write in one transaction; StarRocks >= 4.0."
    )
    exactly_once = Property[bool](
        "exactly.once.enabled", boolean(), default=False, doc="Keep positions in the table pycdc_positions; each record is loaded once, also into tables without key."
    )
    time_mode = time_precision_mode()
    buckets = Property[int | None]("table.create.num-buckets", integer(1), doc="Buckets of tables that are made; StarRocks decides without it.")
    envelope = Property[str | None]("starrocks.envelope", text(), ignored="envelopes are recognized", importance="LOW")

    @property
    def creates(self) -> bool:
        return self.evolution == "basic"

    @property
    def table_properties(self) -> dict[str, str]:
        """PROPERTIES of tables that are made."""
        return self.with_prefix(_TABLES)

    @property
    def headers(self) -> dict[str, str]:
        """Headers that go with every load as they were given."""
        known = (*_OWN, *_REFUSED, "format", "compression", "timeout", "partial_update")
        return {k.lower(): v for k, v in self.with_prefix(_HEADERS).items() if k.lower() not in known}

    def check(self, faults: list[Fault]) -> None:
        for name, value in self.with_prefix(_HEADERS).items():
            if name.lower() in _REFUSED and value.strip().lower() not in ("", "false"):
                faults.append(Fault(
                    _HEADERS + name, "is not supported: rows are mapped by column name, and all of them are loaded. Use a transform", value
                ))  # fmt: skip
        if self.multi_table and self.partial_update:
            faults.append(Fault("sink.transaction.multi-table.enabled", "cannot be used with sink.properties.partial_update=true"))

        if self.exactly_once and self.multi_table:
            faults.append(Fault("sink.transaction.multi-table.enabled", "cannot be used with exactly.once.enabled=true"))
        if self.exactly_once and self.truncates:
            # a batch that is formed again would empty the table of what others have loaded meanwhile
            faults.append(Fault("truncate.enabled", "cannot be used with exactly.once.enabled=true"))

    def warnings(self) -> Iterator[str]:
        given = self.with_prefix(_HEADERS)
        defaults = {"strict_mode": "true", "max_filter_ratio": "0", "strip_outer_array": "true", "ignore_json_size": "true"}
        for name, value in given.items():
            why = _OWN.get(name.lower())
            if why is not None and value.strip().lower() != defaults.get(name.lower()):
                yield f"{_HEADERS}{name} has no effect: {why}"
        strangers = self.headers.keys() - set(_PASSED)
        for name in sorted(strangers):
            nearest = nearest_name(name, (*_PASSED, *_OWN, "format", "compression", "timeout", "partial_update"))
            yield f"{_HEADERS}{name} is passed on to StarRocks, but is no header of a load that is known here" + (
                f"; did you mean {_HEADERS}{nearest}?" if nearest else ""
            )
        if self.interval_ms > LONGEST_INTERVAL_MS:
            yield f"bufferflush.intervalms={self.interval_ms} acts as {LONGEST_INTERVAL_MS}: a write must end before its partitions are given away"
        if self.timeout > 30:
            yield "sink.properties.timeout is longer than a write may take by Kafka's defaults (30 s); raise consumer.override.session.timeout.ms with it"
