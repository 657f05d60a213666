"""io.confluent.connect.json.JsonSchemaConverter: JSON whose schemas are JSON Schemas in a registry.

Not to be confused with org.apache.kafka.connect.json.JsonConverter (converters.json), which writes Connect's own form of
a schema into each message; converters.json_schema is about that form.
`declare` makes JSON Schemas of Connect's, `documents` reads registered ones, `understand` makes Connect's of them;
`writing` and `reading` are the values; `converter` joins them with a registry.
"""

from pycdc.converters.jsonschema.config import JsonSchemaConverterConfig
from pycdc.converters.jsonschema.converter import JsonSchemaConverter

__all__ = ["JsonSchemaConverter", "JsonSchemaConverterConfig"]
