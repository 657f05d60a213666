"""Words of JSON Schema under which the JsonSchemaConverter keeps Connect's side, and Connect's parameters for JSON's.

Source: io.confluent.connect.json.JsonSchemaData 7.9.
"""

from __future__ import annotations

from typing import Final

from pycdc.model.schema import Schema

NAMESPACE: Final = "io.confluent.connect.json"
TYPE, VERSION, PARAMETERS, INDEX = "connect.type", "connect.version", "connect.parameters", "connect.index"
#: Connect's parameters: the id of a schema that is referred to, an enum's symbols, and the struct that is a union.
ID, ENUM, ONE_OF = f"{NAMESPACE}.Id", f"{NAMESPACE}.Enum", f"{NAMESPACE}.OneOf"
#: The same with generalized.sum.type.support.
SUM_ENUM, SUM_UNION = "org.apache.kafka.connect.data.Enum", "org.apache.kafka.connect.data.Union"
UNION_PREFIX: Final = "connect_union_"
UNION_FIELD: Final = f"{UNION_PREFIX}field_"
#: A null among an enum's symbols.
NULL_SYMBOL: Final = "<NULL>"
KEY, VALUE = "key", "value"


def is_union(schema: Schema) -> bool:
    """A struct with a field per branch, of which one has a value."""
    return schema.type == "struct" and (schema.name == ONE_OF or schema.parameter(SUM_UNION) is not None)


def as_object(schema: Schema) -> bool:
    """Whether a map is a JSON object; others are arrays of objects with a key and a value."""
    keys = schema.keys
    return keys is not None and keys.type == "string" and not keys.optional
