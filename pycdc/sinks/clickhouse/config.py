"""Properties of com.clickhouse.kafka.connect.ClickHouseSinkConnector, and a few of our own.

Source: the connector's reference (release 1.5). What it has and is without effect here stands in `moot`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from pycdc.config.definition import Property, boolean, integer, one_of, parsed, password, text
from pycdc.errors import Fault
from pycdc.sinks.clickhouse.moot import MootClickHouse
from pycdc.sinks.units import time_precision_mode

#: Parameters of a JDBC address that mean something here -> the client's own names.
_JDBC: Final = {
    "socket_timeout": "send_receive_timeout", "connect_timeout": "connect_timeout", "connection_timeout": "connect_timeout",
    "compress": "compress", "sslrootcert": "ca_cert", "sslcert": "client_cert", "sslkey": "client_cert_key", "client_name": "client_name",
}  # fmt: skip
#: Settings that must stay as `values.SETTINGS` has them.
_FIXED: Final = ("async_insert", "wait_for_async_insert", "date_time_input_format", "input_format_null_as_default", "insert_deduplication_token", "insert_deduplicate")
_ENGINE: Final = re.compile(r"(Replicated|Shared)?(Replacing|Collapsing|)MergeTree(?:\((.*)\))?$")


class NewTable(msgspec.Struct, frozen=True):
    """The engine of tables that are made: `Replicated` or `Shared` or nothing, what it does, arguments of the replication."""

    copies: str
    family: str
    arguments: str

    @property
    def keeps_rows(self) -> bool:
        """Whether a row stays one row however often it changes."""
        return self.family == "Replacing"


def _engine(value: str) -> NewTable:
    found = _ENGINE.match(value.strip())
    if found is None:
        raise ValueError("must be ReplacingMergeTree, CollapsingMergeTree or MergeTree, with Replicated before it and ('path', 'replica') behind")
    return NewTable(found[1] or "", found[2], (found[3] or "").strip())


def _pairs(value: str) -> dict[str, str]:
    pairs = [p.split("=", 1) for p in value.split(",") if p.strip()]
    if any(len(p) != 2 or not all(part.strip() for part in p) for p in pairs):
        raise ValueError("must be name=value,name=value")
    return {t.strip(): n.strip() for t, n in pairs}


def _query(value: str) -> dict[str, str]:
    return dict(parse_qsl(value.strip().lstrip("?"), keep_blank_values=True))


class ClickHouseSinkConfig(MootClickHouse):
    """com.clickhouse.kafka.connect.ClickHouseSinkConnector."""

    # ---- the server

    dsn = Property[str | None]("clickhouse.dsn", text(), doc="chdb:///PATH for the embedded engine, in place of hostname.")
    hostname = Property[str]("hostname", text(), default="localhost", importance="HIGH", doc="HTTP host.")
    port = Property[int]("port", integer(1, 65535), default=8443, doc="HTTP port.")
    ssl = Property[bool]("ssl", boolean(), default=False, doc="TLS.")
    sni = Property[str]("ssl_socket_sni", text(), default="", doc="The name that TLS asks for, where it is not the host's.")
    database = Property[str]("database", text(), default="default", doc="Database.")
    username = Property[str]("username", text(), default="default", doc="User.")
    login_password = Property[str]("password", password(), default="", doc="Password.")
    timeout = Property[int]("timeoutSeconds", integer(1), default=30, doc="Longest wait for the server's answer, seconds; an insert ends there at the server too.")
    retries = Property[int]("retryCount", integer(0), default=3, doc="Further tries of a call that failed for a while.")
    jdbc = Property[dict[str, str]](
        "jdbcConnectionProperties", parsed("STRING", _query), default={}, doc=f"?name=value&..., of which these have an effect: {', '.join(sorted(_JDBC))}."
    )
    proxy_type = Property[str]("proxyType", one_of("IGNORE", "HTTP", "SOCKS"), default="IGNORE", doc="HTTP goes through proxyHost:proxyPort.")
    proxy_host = Property[str]("proxyHost", text(), default="", doc="Proxy.")
    proxy_port = Property[int | None]("proxyPort", integer(1, 65535), doc="Its port.")
    insert_settings = Property[dict[str, str]]("clickhouseSettings", parsed("STRING", _pairs, "name=value,..."), default={}, doc="ClickHouse's settings of every insert.")
    writers = Property[int]("clickhouse.connections", integer(1, 64), default=4, doc="Tables written at the same time; the embedded engine takes one.")

    # ---- tables

    table_map = Property[dict[str, str]]("topic2TableMap", parsed("STRING", _pairs, "topic=table,..."), default={}, doc="topic=table, also topic=database.table.")
    splits_topic = Property[bool]("enableDbTopicSplit", boolean(), default=False, doc="A topic's name is database and table.")
    split_char = Property[str]("dbTopicSplitChar", text(), default="", doc="What stands between the two.")
    refresh = Property[int]("tableRefreshInterval", integer(0), default=0, doc="Tables are looked at again after so many seconds; 0 = when something does not fit.")
    skips_missing = Property[bool]("suppressTableExistenceException", boolean(), default=False, doc="Records without a table are counted and left out.")
    creates = Property[bool]("auto.create", boolean(), default=False, doc="Create missing tables.")
    evolves = Property[bool]("auto.evolve", boolean(), default=False, doc="Add missing columns, widen those that are too narrow.")
    ddl_retries = Property[int]("auto.evolve.ddl.refresh.retries", integer(0), default=3, doc="Looks at a table until a new column shows.")
    struct_to_json = Property[bool]("auto.evolve.struct.to.json", boolean(), default=False, doc="New columns of structs are JSON, else text.")
    cluster = Property[str]("clusterName", text(), default="", doc="ON CLUSTER of every CREATE, ALTER and TRUNCATE.")
    engine = Property[NewTable](
        "clickhouse.table.engine", parsed("STRING", _engine, "[Replicated]ReplacingMergeTree, CollapsingMergeTree, MergeTree"), default=NewTable("", "Replacing", ""),
        doc="Engine of new tables; empty = ReplacingMergeTree. CollapsingMergeTree and MergeTree, which keep every change, have to be named for tables that exist as well.",
    )  # fmt: skip
    order_by = Property[str]("clickhouse.table.order.by", text(), default="", doc="ORDER BY of new tables; empty = the key's columns.")
    partition_by = Property[str]("clickhouse.table.partition.by", text(), default="", doc="PARTITION BY of new tables: an expression of the key's columns.")
    table_settings = Property[str]("clickhouse.table.settings", text(), default="", doc="SETTINGS of new tables.")
    version_column = Property[str]("clickhouse.version.column", text(), default="_version", doc="The version's column in new tables, and in those whose engine names none.")
    deleted_column = Property[str](
        "clickhouse.deleted.column", text(), default="_is_deleted", doc="The delete mark's column in new tables; where an engine names none, _deleted and is_deleted are found too."
    )

    # ---- rows

    deletes = Property[str]("clickhouse.deletes", one_of("write", "skip"), default="write", doc="skip: deletes are counted and left out.")
    versions = Property[str](
        "clickhouse.version.source", one_of("stream", "record"), default="stream",
        doc="record: rows bring their version in a field of the version column's name; it has to grow with every change of a row.",
    )  # fmt: skip
    time_mode = time_precision_mode()
    exactly_once = Property[bool]("exactlyOnce", boolean(), default=False, doc="Keep positions in the table pycdc_positions; each block has a deduplication token.")
    own_cluster = Property[str]("keeperOnCluster", text(), default="", doc="ON CLUSTER of pycdc's own tables, which are replicated then; empty = clusterName.")

    def check(self, faults: list[Fault]) -> None:
        if self.splits_topic and not self.split_char:
            faults.append(Fault("dbTopicSplitChar", "is required with enableDbTopicSplit=true"))
        if self.proxy_type == "SOCKS":
            faults.append(Fault("proxyType", "must be HTTP or IGNORE: the client speaks to HTTP proxies only", "SOCKS"))
        if self.proxy_type == "HTTP" and not (self.proxy_host and self.proxy_port):
            faults.append(Fault("proxyHost", "is required with proxyType=HTTP, as is proxyPort"))
        for name in ("socket_timeout", "connect_timeout", "connection_timeout"):
            if not self.jdbc.get(name, "0").isdigit():
                faults.append(Fault("jdbcConnectionProperties", f"{name} must be a number of milliseconds", self.jdbc[name]))

    def warnings(self) -> Iterator[str]:
        for name in self.jdbc:
            if name not in _JDBC:
                yield f"jdbcConnectionProperties: {name} has no effect"
        for name in _FIXED:
            if name in self.insert_settings:
                yield f"clickhouseSettings: {name} has no effect, rows are written with their own"

    @property
    def where(self) -> str:
        """The server, for messages."""
        return self.dsn or f"{self.username}@{self.hostname}:{self.port}/{self.database}"

    @property
    def of_inserts(self) -> dict[str, str]:
        """The user's settings, without those that the rows' texts rest on."""
        return {k: v for k, v in self.insert_settings.items() if k not in _FIXED}

    def connection(self) -> dict[str, object]:
        """Arguments of the client."""
        if self.dsn:
            return {"dsn": self.dsn, "database": self.database}
        found: dict[str, object] = {
            "host": self.hostname, "port": self.port, "username": self.username, "password": self.login_password, "database": self.database,
            "secure": self.ssl, "send_receive_timeout": self.timeout, "connect_timeout": 10, "client_name": "pycdc",
            # sessions cannot be shared by calls that overlap, and nothing here needs one
            "autogenerate_session_id": False, "query_retries": 0,
        }  # fmt: skip
        for name, value in self.jdbc.items():
            if name in _JDBC:
                found[_JDBC[name]] = int(value) // 1000 or 1 if name.endswith("_timeout") else value == "true" if name == "compress" else value
        if self.sni:
            found["server_host_name"] = self.sni
        if self.proxy_type == "HTTP":
            found["https_proxy" if self.ssl else "http_proxy"] = f"{self.proxy_host}:{self.proxy_port}"
        return found
