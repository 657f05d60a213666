"""Options of the connector, of converters and transforms that generated cases try, a handful at once."""

from __future__ import annotations

from random import Random

from case import Table

_REGEX_TOPICS = {
    "topic.naming.strategy": "io.debezium.schema.SchemaRegexTopicNamingStrategy",
    "topic.regex": r"(.*)\.public\.(.*)", "topic.replacement": "$1.all_in_one",
}  # fmt: skip

_UNWRAP = "io.debezium.transforms.ExtractNewRecordState"

#: Nothing without a value goes on to the next transform: most of Kafka's fail there.
_ROWS = {"type": _UNWRAP, "delete.tombstone.handling.mode": ("drop", "rewrite")}

#: Chains of transforms: their aliases in order, and the options of each.
_CHAINS = (
    {"u": {"type": _UNWRAP, "delete.tombstone.handling.mode": ("drop", "tombstone", "rewrite", "rewrite-with-tombstone", "delete-to-tombstone"),
           "add.fields": ("", "op", "op,table,before.rn:was", "db,source.schema"), "add.headers": ("", "op,source.table", "before.rn")}},
    {"u": _ROWS, "f": {"type": "org.apache.kafka.connect.transforms.Flatten$Value", "delimiter": ("_", ".")}},
    {"u": _ROWS, "c": {"type": "org.apache.kafka.connect.transforms.Cast$Value", "spec": ("rn:string", "rn:int64", "rn:float64")}},
    {"u": _ROWS, "k": {"type": "org.apache.kafka.connect.transforms.ValueToKey", "fields": "rn"}},
    {"u": _ROWS, "m": {"type": "org.apache.kafka.connect.transforms.MaskField$Value", "fields": "rn"}},
    {"u": _ROWS, "i": {"type": "org.apache.kafka.connect.transforms.InsertField$Value", "static.field": "from", "static.value": "here"}},
    {"u": _ROWS, "r": {"type": "org.apache.kafka.connect.transforms.ReplaceField$Value", "exclude": ("rn", "a,b"), "renames": ("", "rn:row_number")}},
    {"u": _ROWS, "h": {"type": "org.apache.kafka.connect.transforms.HeaderFrom$Value", "fields": "rn", "headers": "hrn", "operation": ("copy", "move")}},
    {"l": {"type": "io.debezium.transforms.ByLogicalTableRouter", "topic.regex": r"(.*)\.public\.(.*)", "topic.replacement": "$1.routed",
           "key.enforce.uniqueness": ("true", "false"), "key.field.name": ("", "shard")}},
    {"r": {"type": "org.apache.kafka.connect.transforms.RegexRouter", "regex": r"(.*)\.public\.(.*)", "replacement": "$1.p.$2"}},
    {"e": {"type": "io.debezium.transforms.ExtractChangedRecordState", "header.changed.name": "changed", "header.unchanged.name": "same"}},
    {"u": _ROWS, "h": {"type": "org.apache.kafka.connect.transforms.HoistField$Value", "field": "line"}},
    {"s": {"type": "org.apache.kafka.connect.transforms.SetSchemaMetadata$Value", "schema.name": "renamed", "schema.version": "3"}},
    {"h": {"type": "org.apache.kafka.connect.transforms.InsertHeader", "header": "h", "value.literal": ("text", "17", "1.5", "true", "[1,2]")}},
    {"x": {"type": "org.apache.kafka.connect.transforms.ReplaceField$Value", "exclude": ("ts_us,ts_ns", "before")}},
    {"p": {"type": "io.debezium.transforms.partitions.PartitionRouting", "partition.payload.fields": ("change.rn", "op"), "partition.topic.num": "1"}},
    {"v": {"type": "io.debezium.transforms.HeaderToValue", "headers": "h", "fields": "fh", "operation": ("copy", "move")}},
)  # fmt: skip

#: A predicate over the chain's last transform.
_PREDICATES = (
    {"type": "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone"},
    {"type": "org.apache.kafka.connect.transforms.predicates.TopicNameMatches", "pattern": r".*\.(t|täble|a_b)"},
    {"type": "org.apache.kafka.connect.transforms.predicates.HasHeaderKey", "name": "__debezium.context.task"},
)


def _pattern(text: str) -> str:
    """A regular expression for just this text."""
    return "".join(f"\\{ch}" if ch in "\\.[]{}()*+-?^$|" else ch for ch in text)


def choose(rng: Random, tables: list[Table]) -> dict[str, str]:
    """Defaults but for a few."""
    first = tables[0]
    table = _pattern(f"public.{first.name}")
    column = rf".*\.{rng.choice(first.columns).name}"
    if not column[3:].isidentifier():
        column = r".*\.a"
    choices = {
        "decimal.handling.mode": ("double", "string"),
        "time.precision.mode": ("adaptive_time_microseconds", "connect", "isostring", "microseconds", "nanoseconds"),
        "interval.handling.mode": ("string",),
        "hstore.handling.mode": ("map",),
        "binary.handling.mode": ("base64", "base64-url-safe", "hex"),
        "money.fraction.digits": ("4", "0"),
        "include.unknown.datatypes": ("true",),
        "tombstones.on.delete": ("false",),
        "skipped.operations": ("none", "u", "d,t"),
        "skip.messages.without.change": ("true",),
        "provide.transaction.metadata": ("true",),
        "topic.transaction": ("tx",),
        "schema.name.adjustment.mode": ("avro", "avro_unicode"),
        "field.name.adjustment.mode": ("avro", "avro_unicode"),
        "column.propagate.source.type": (".*",),
        "datatype.propagate.source.type": (r".*\.(numeric|varchar|int4)",),
        "include.schema.comments": ("true",),
        "unavailable.value.placeholder": ("__gone__", "hex:00ff"),
        "column.truncate.to.3.chars": (".*",),
        # of two that fit a column Debezium takes the one that its hash table has first
        f"column.mask.with.{rng.choice((0, 4))}.chars": (column,),
        "column.mask.hash.SHA-256.with.salt.x": (column,),
        "column.mask.hash.v2.MD5.with.salt.ü": (column,),
        "column.exclude.list": (r"public\..*\.(b|value)",),
        "column.include.list": (r"public\..*\.(rn|id|a|value|tail|added),oracle_mark\..*",),
        "table.exclude.list": (_pattern(f"public.{tables[-1].name}"),) if len(tables) > 1 else (r"public\.nothing",),
        "message.key.columns": (f"{table}:rn", r"(.*)\.(t|a_b):rn,a"),
        "message.prefix.exclude.list": ("live",),
        "snapshot.mode": ("no_data", "when_needed"),
        "snapshot.select.statement.overrides": (f"public.{first.name}",),
        "extended.headers.enabled": ("false",),
        "topic.naming.strategy": ("io.debezium.schema.DefaultTopicNamingStrategy", "io.debezium.schema.SchemaUnicodeTopicNamingStrategy"),
        "publish.via.partition.root": ("true",),
        "replica.identity.autoset.values": (f"{table}:FULL".replace(" ", "."),),
        "value.converter.replace.null.with.default": ("false",),
        "value.converter.decimal.format": ("NUMERIC",),
        "publication.autocreate.mode": ("filtered",),
    }
    out = {name: rng.choice(values) for name, values in choices.items() if rng.random() < 0.08}
    if "column.include.list" in out:
        out.pop("column.exclude.list", None)  # they exclude each other
    if set(". ") & set(first.name):
        out.pop("snapshot.select.statement.overrides", None)  # Debezium cannot read such a name there
    if "snapshot.select.statement.overrides" in out:
        quoted = first.name.replace('"', '""')
        out[f"snapshot.select.statement.overrides.public.{first.name}"] = f'SELECT * FROM public."{quoted}" WHERE rn <> 2'
    if rng.random() < 0.04:
        out |= _REGEX_TOPICS
    if rng.random() < 0.5:
        out |= {"key.converter.schemas.enable": "false", "value.converter.schemas.enable": "false"}
    if rng.random() < 0.3:
        out |= _transforms(rng)
        if "," in out["transforms"]:
            # what is no row has none of the fields that the second transform wants
            out["message.prefix.exclude.list"] = "live"
            out.pop("provide.transaction.metadata", None)
    return out


def _transforms(rng: Random) -> dict[str, str]:
    chain = rng.choice(_CHAINS)
    out = {"transforms": ",".join(chain)}
    for alias, options in chain.items():
        for name, value in options.items():
            picked = rng.choice(value) if isinstance(value, tuple) else value
            if picked:
                out[f"transforms.{alias}.{name}"] = picked
    if rng.random() < 0.3:
        alias = list(chain)[-1]
        out |= {f"transforms.{alias}.predicate": "p", "predicates": "p"}
        out |= {f"predicates.p.{name}": value for name, value in rng.choice(_PREDICATES).items()}
        if rng.random() < 0.5:
            out[f"transforms.{alias}.negate"] = "true"
    return out
