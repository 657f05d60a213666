"""A registry in memory, for converters: ids count up, or are those given."""

from pycdc.converters.avro import AvroConverter, AvroConverterConfig
from pycdc.registry import Written


class Memory:
    """`asked` holds what had to be fetched, in order."""

    def __init__(self, texts=()):
        self.texts = dict(texts)
        self.ids = {}
        self.asked = []
        #: Subject -> text to write with instead, as use.latest.version does.
        self.latest = {}

    def written(self, subject, text):
        return self.ids.get((subject, text))

    def text(self, id_):
        return self.texts.get(id_)

    def referred(self, id_):
        return {}

    async def fetch_written(self, subject, text):
        self.know(subject, text)

    async def fetch_text(self, id_, subject):
        self.asked.append((id_, subject))
        self.texts[id_] = '"string"'

    def know(self, subject, text, id_=None):
        self.asked.append((subject, text))
        chosen = self.latest.get(subject, text)
        known = [i for i, t in self.texts.items() if t == chosen]
        id_ = id_ or (known[0] if known else len(self.texts) + 1)
        self.texts[id_] = chosen
        self.ids[subject, text] = Written(id_, chosen)


def converter(memory, *, is_key=False, **options):
    """An AvroConverter with these options, names as in the configuration with dots as underscores."""
    faults = []
    raw = {"schema.registry.url": "http://registry:8081", **{k.replace("_", "."): v for k, v in options.items()}}
    settings = AvroConverterConfig.parse(raw, faults)
    assert not faults
    return AvroConverter(settings, is_key=is_key, schemas=memory)
