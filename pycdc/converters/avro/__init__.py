"""io.confluent.connect.avro.AvroConverter: Avro with its schemas in a registry.

`types` is Avro's schemas and their text, `declare` makes them of Connect's and `understand` Connect's of them;
`places` is the walk that writes values and templates, with `encoding` for the bytes; `converter` joins them
with a registry.
"""

from pycdc.converters.avro.config import AvroConverterConfig
from pycdc.converters.avro.converter import AvroConverter

__all__ = ["AvroConverter", "AvroConverterConfig"]
