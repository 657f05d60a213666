"""ProtobufConverters with a registry in memory (avro_registry)."""

from avro_registry import Memory

from pycdc.converters.protobuf import ProtobufConverter, ProtobufConverterConfig
from pycdc.plugins.contracts import NotReady


class Files(Memory):
    """`files`: texts that others refer to, by the names of the imports."""

    def __init__(self, texts=(), files=()):
        super().__init__(texts)
        self.files = dict(files)

    def referred(self, id_):
        return self.files


def converter(memory, options=(), *, is_key=False):
    settings = ProtobufConverterConfig.parse({"schema.registry.url": "http://registry:8081", **dict(options)}, faults := [])
    assert not faults
    return ProtobufConverter(settings, is_key=is_key, schemas=memory)


def pieces(subject, memory, schema, value, topic="t"):
    """What is written, with the schema registered on the way; None for a null message."""
    while True:
        out = []
        try:
            return out if subject.write(topic, schema, value, out) else None
        except NotReady as waiting:
            [asked] = [cell.cell_contents for cell in waiting.fetch.__closure__ if isinstance(cell.cell_contents, tuple)]
            memory.know(*asked)


def message(subject, memory, schema, value, topic="t"):
    out = pieces(subject, memory, schema, value, topic)
    return None if out is None else b"".join(out)
