"""Options of the AvroConverter, under the names of io.confluent.connect.avro."""

from __future__ import annotations

from pycdc.config.definition import Property, boolean, integer
from pycdc.registry.config import RegistryConfig


class AvroConverterConfig(RegistryConfig):
    """Options of the AvroConverter: the registry's, and how Connect's schemas become Avro's."""

    connect_meta_data = Property[bool](
        "connect.meta.data", boolean(), default=True, doc="Write Connect's names, versions and parameters into schemas."
    )
    enhanced = Property[bool](
        "enhanced.avro.schema.support", boolean(), default=False, doc="Keep Avro enums and packages that came in as such."
    )
    scrub = Property[bool]("scrub.invalid.names", boolean(), default=False, doc="Replace characters that Avro forbids in names.")
    cache_size = Property[int]("schemas.cache.config", integer(), default=1000, doc="Schemas kept when converting.")
    discard_docs = Property[bool](
        "discard.type.doc.default", boolean(), default=False, doc="Carry docs on fields, not on types."
    )
    optional_map_keys = Property[bool](
        "allow.optional.map.keys", boolean(), default=False, doc="Write maps whose string keys are optional as Avro maps."
    )
