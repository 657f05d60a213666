"""io.debezium.transforms.partitions.PartitionRouting: the partition is a hash of chosen fields."""

from __future__ import annotations

from typing import Any, ClassVar

from pycdc.config.definition import ConfigDef, Property, integer, one_of
from pycdc.errors import RecordError
from pycdc.model.envelope import AFTER, BEFORE, DELETE, MESSAGE, OP, TRUNCATE
from pycdc.model.javahash import java_hash, murmur_hash
from pycdc.model.record import Record
from pycdc.model.schema import Schema
from pycdc.transforms.envelopes import envelope_of
from pycdc.transforms.operand import fields_or_null, known, or_default
from pycdc.transforms.options import names

_PURPOSE = "PartitionRouting"
_HASHES = {"java": java_hash, "murmur": murmur_hash}


class PartitionRoutingConfig(ConfigDef):
    """Options of PartitionRouting."""

    fields = Property[tuple[str, ...]](
        "partition.payload.fields", names(), required=True,
        doc="Fields to hash: after.x, before.x, source.x, or change.x, which is before.x of a delete and after.x else.",
    )  # fmt: skip
    partitions = Property[int]("partition.topic.num", integer(1), required=True, doc="How many partitions the topic has.")
    function = Property[str](
        "partition.hash.function", one_of("java", "murmur"), default="java", doc="hashCode, or MurmurHash3 of texts."
    )


class PartitionRouting:
    """Tombstones, truncates and records that hold none of the fields keep the partition of their key."""

    config = PartitionRoutingConfig
    moves_only: ClassVar[bool] = True

    def __init__(self, settings: ConfigDef) -> None:
        assert isinstance(settings, PartitionRoutingConfig)
        self._paths = [tuple(step.strip() for step in field.split(".")) for field in settings.fields]
        self._partitions = settings.partitions
        self._hash = _HASHES[settings.function]

    def apply(self, record: Record) -> Record:
        event = envelope_of(record)
        if event is None or event.get(OP) in (TRUNCATE, MESSAGE):
            return record
        assert record.value_schema is not None
        found = [self._hashed(record.value_schema, event, path) for path in self._paths]
        hashes = [h for h in found if h is not None]
        if not hashes:
            return record
        total = sum(hashes) & 0x7FFFFFFF
        return record.replace(partition=0 if total == 0x7FFFFFFF else total % self._partitions)

    def _hashed(self, schema: Schema | None, value: Any, path: tuple[str, ...]) -> int | None:
        """None when the field is null or not there."""
        changed = BEFORE if value.get(OP) == DELETE else AFTER
        for n, step in enumerate(path):
            fields = fields_or_null(value, _PURPOSE)
            name = changed if step == "change" and n < len(path) - 1 else step
            schema = schema and schema.field(name)
            if fields is None or schema is None:
                return None
            value = or_default(schema, fields.get(name))
        if known(value) is None:
            return None
        try:
            return self._hash(schema, value)
        except ValueError as error:
            raise RecordError("a value cannot be hashed", cause=f"{_PURPOSE}: field {'.'.join(path)}: {error}") from None
