"""Settings of a registry's client, under the names of Confluent's serializers.

They stand under `key.converter.` and `value.converter.`; every converter that keeps its schemas in a registry
derives its own definition from this one.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from pycdc.config.definition import ConfigDef, Kind, Property, boolean, integer, one_of, parsed, password, text
from pycdc.errors import Fault
from pycdc.registry import tls

_SUBJECTS = "io.confluent.kafka.serializers.subject."
STRATEGIES = ("TopicNameStrategy", "RecordNameStrategy", "TopicRecordNameStrategy")


def _urls() -> Kind[tuple[str, ...]]:
    def parse(given: str) -> tuple[str, ...]:
        urls = tuple(u.strip().rstrip("/") for u in given.split(",") if u.strip())
        if not urls or any(urlsplit(u).scheme not in ("http", "https") or not urlsplit(u).hostname for u in urls):
            raise ValueError("must be http://HOST:PORT or https://HOST:PORT, several separated by commas")
        return urls

    return parsed("LIST", parse)


def _strategy() -> Kind[str]:
    """A class name, in full or its last part."""

    def parse(given: str) -> str:
        name = given.strip().rpartition(".")[2]
        if name not in STRATEGIES:
            raise ValueError(f"must be one of {', '.join(_SUBJECTS + s for s in STRATEGIES)}")
        return name

    return parsed("CLASS", parse, ", ".join(STRATEGIES))


class RegistryConfig(ConfigDef):
    """How the registry is reached, and how a schema's id is found there."""

    urls = Property[tuple[str, ...]](
        "schema.registry.url", _urls(), required=True, importance="HIGH",
        doc="Addresses of the schema registry, separated by commas; the next one is asked when one fails.",
    )  # fmt: skip
    auto_register = Property[bool]("auto.register.schemas", boolean(), default=True, doc="Register schemas on first use.")
    use_latest = Property[bool](
        "use.latest.version", boolean(), default=False,
        doc="With auto.register.schemas=false: write with the subject's latest schema, which must have the record's fields.",
    )  # fmt: skip
    normalize = Property[bool](
        "normalize.schemas", boolean(), default=False, doc="Let the registry ignore what makes no difference in schemas."
    )
    use_id = Property[int](
        "use.schema.id", integer(-1), default=-1, doc="With auto.register.schemas=false: write with the schema of this id."
    )
    key_strategy = Property[str](
        "key.subject.name.strategy", _strategy(), default="TopicNameStrategy", doc="Which subject a key's schema belongs to."
    )
    value_strategy = Property[str](
        "value.subject.name.strategy", _strategy(), default="TopicNameStrategy", doc="Which subject a value's schema belongs to."
    )
    max_schemas = Property[int](
        "max.schemas.per.subject", integer(1), default=1000, doc="Ids that are remembered; more begin anew."
    )
    latest_strict = Property[bool](
        "latest.compatibility.strict", boolean(), default=True, doc="",
        ignored="a schema that does not have the record's fields is always refused",
    )  # fmt: skip
    id_strict = Property[bool](
        "id.compatibility.strict", boolean(), default=True, doc="",
        ignored="a schema that does not have the record's fields is always refused",
    )  # fmt: skip
    connect_timeout = Property[int]("http.connect.timeout.ms", integer(1), default=60000, doc="Longest wait for a connection.")
    read_timeout = Property[int]("http.read.timeout.ms", integer(1), default=60000, doc="Longest wait for an answer.")
    basic_source = Property[str](
        "basic.auth.credentials.source", one_of("URL", "USER_INFO", "SASL_INHERIT"), default="URL",
        doc="Where user and password are: in the URL, in basic.auth.user.info, or in sasl.jaas.config.",
    )  # fmt: skip
    user_info = Property[str](
        "basic.auth.user.info", password(), default="", doc="USER:PASSWORD, for the source USER_INFO.",
        old_names=("schema.registry.basic.auth.user.info",),
    )  # fmt: skip
    jaas = Property[str]("sasl.jaas.config", password(), default="", doc="For the source SASL_INHERIT.")
    bearer_source = Property[str](
        "bearer.auth.credentials.source", one_of("STATIC_TOKEN"), doc="Where the bearer token is; default no token."
    )
    bearer_token = Property[str]("bearer.auth.token", password(), default="", doc="The token, for the source STATIC_TOKEN.")
    proxy_host = Property[str]("proxy.host", text(), default="", doc="HTTP proxy between here and the registry.")
    proxy_port = Property[int]("proxy.port", integer(-1, 65535), default=-1, doc="The proxy's port.")

    prefixes = (tls.PREFIX, "request.header.")

    def check(self, faults: list[Fault]) -> None:
        if self.basic_source == "USER_INFO" and ":" not in self.user_info:
            faults.append(Fault("basic.auth.user.info", "must be USER:PASSWORD"))
        if self.basic_source == "SASL_INHERIT" and tls.jaas_login(self.jaas) is None:
            faults.append(Fault("sasl.jaas.config", 'must give username="..." and password="..."'))
        if self.bearer_source and not self.bearer_token:
            faults.append(Fault("bearer.auth.token", "is required with bearer.auth.credentials.source=STATIC_TOKEN"))
        if self.proxy_host and self.proxy_port < 1:
            faults.append(Fault("proxy.port", "is required with proxy.host"))
        if any(u.startswith("https:") for u in self.urls):
            tls.context(self.raw, faults)

    def warnings(self) -> Iterator[str]:
        if self.auto_register and (self.use_latest or self.use_id >= 0):
            name = "use.latest.version" if self.use_latest else "use.schema.id"
            yield f"{name} has no effect while auto.register.schemas=true"

    # ---- what requests need

    def authorization(self, url: str) -> str | None:
        """The Authorization header of requests to `url`."""
        login: str | None = None
        if self.basic_source == "USER_INFO":
            login = self.user_info
        elif self.basic_source == "SASL_INHERIT":
            login = tls.jaas_login(self.jaas)
        else:
            parts = urlsplit(url)
            if parts.username is not None:
                login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        if login:
            return f"Basic {b64encode(login.encode()).decode()}"
        return f"Bearer {self.bearer_token}" if self.bearer_source else None

    @property
    def proxy(self) -> str | None:
        return f"http://{self.proxy_host}:{self.proxy_port}" if self.proxy_host else None

    def subject(self, topic: str, record_name: str | None, *, is_key: bool) -> str | None:
        """The subject of a schema; None when the strategy needs a record's name and there is none."""
        strategy: str = self.key_strategy if is_key else self.value_strategy
        if strategy == "TopicNameStrategy":
            return f"{topic}-{'key' if is_key else 'value'}"
        if record_name is None:
            return None
        return record_name if strategy == "RecordNameStrategy" else f"{topic}-{record_name}"

    def ssl_context(self) -> Any:
        """For https addresses."""
        return tls.context(self.raw, [])
