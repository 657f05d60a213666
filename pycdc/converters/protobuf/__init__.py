"""io.confluent.connect.protobuf.ProtobufConverter: Protobuf with its schemas in a registry.

`types` is a .proto file and its text, `declare` makes one of Connect's schemas; `fields` and `encoding` write values.
For reading, `parse` makes descriptors of a registered text and `understand` Connect's schemas and values of those;
`converter` joins them with a registry. Google's library and the parser are imported when something is read.
"""

from pycdc.converters.protobuf.config import ProtobufConverterConfig
from pycdc.converters.protobuf.converter import ProtobufConverter

__all__ = ["ProtobufConverter", "ProtobufConverterConfig"]
