"""Options of the JsonSchemaConverter, under the names of io.confluent.connect.json and its serializers."""

from __future__ import annotations

from typing import Final

from pycdc.config.definition import Property, boolean, integer, one_of, text
from pycdc.registry.config import RegistryConfig

_OF_OBJECTS: Final = "it is about schemas of Java's objects, and Connect's values are none"


class JsonSchemaConverterConfig(RegistryConfig):
    """Options of the JsonSchemaConverter: the registry's, and how Connect's schemas and values become JSON's."""

    decimal_format = Property[str](
        "decimal.format", one_of("BASE64", "NUMERIC"), default="BASE64", doc="How Decimal values are written."
    )
    additional_properties = Property[bool](
        "object.additional.properties", boolean(), default=True,
        doc="Let objects of the schema have properties that it does not name.",
    )  # fmt: skip
    optional_for_nonrequired = Property[bool](
        "use.optional.for.nonrequired", boolean(), default=False,
        doc="When reading: a property that the schema does not require may be null.",
    )  # fmt: skip
    ignore_default = Property[bool](
        "ignore.default.for.nullables", boolean(), default=False, doc="Write a null as null where the field has a default."
    )
    sum_types = Property[bool](
        "generalized.sum.type.support", boolean(), default=False, doc="Enums and unions as Confluent's other converters have them."
    )
    flatten_unions = Property[bool](
        "flatten.singleton.unions", boolean(), default=True, doc="When reading: a oneOf with one schema is that schema."
    )
    fail_invalid = Property[bool](
        "json.fail.invalid.schema", boolean(), default=False,
        doc="Refuse messages that do not fit their schema, when writing and when reading.",
    )  # fmt: skip
    cache_size = Property[int]("schemas.cache.config", integer(), default=1000, doc="Schemas kept when converting.")
    latest_strict = Property[bool](
        "latest.compatibility.strict", boolean(), default=True,
        doc="With use.latest.version: refuse a record whose fields the latest schema does not have.",
    )  # fmt: skip
    id_strict = Property[bool](
        "id.compatibility.strict", boolean(), default=True,
        doc="With use.schema.id: refuse a record whose fields that schema does not have.",
    )  # fmt: skip
    indent = Property[bool](
        "json.indent.output", boolean(), default=False, doc="Write messages over many lines, which takes longer.",
    )  # fmt: skip
    spec_version = Property[str](
        "json.schema.spec.version", one_of("draft_4", "draft_6", "draft_7", "draft_2019_09", "draft_2020_12"), default="draft_7",
        doc="", ignored=_OF_OBJECTS,
    )  # fmt: skip
    oneof_for_nullables = Property[bool]("json.oneof.for.nullables", boolean(), default=True, doc="", ignored=_OF_OBJECTS)
    fail_unknown = Property[bool]("json.fail.unknown.properties", boolean(), default=True, doc="", ignored=_OF_OBJECTS)
    dates_iso8601 = Property[bool]("json.write.dates.iso8601", boolean(), default=False, doc="", ignored=_OF_OBJECTS)
    inclusion = Property[str]("json.default.property.inclusion", text(), default="", doc="", ignored=_OF_OBJECTS)
    modern_dialects = Property[bool](
        "ignore.modern.dialects", boolean(), default=False, doc="", ignored="schemas are read alike in every draft"
    )
