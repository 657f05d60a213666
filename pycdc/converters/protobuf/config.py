"""Options of the ProtobufConverter, under the names of io.confluent.connect.protobuf."""

from __future__ import annotations

from typing import Final

from pycdc.config.definition import Property, boolean, integer, text
from pycdc.errors import Fault
from pycdc.registry.config import RegistryConfig

_ALONE: Final = "the schemas that are registered refer to nothing but what registries know by themselves"


class ProtobufConverterConfig(RegistryConfig):
    """Options of the ProtobufConverter: the registry's, and how Connect's schemas become Protobuf's."""

    sum_types = Property[bool](
        "generalized.sum.type.support", boolean(), default=False, doc="Name enums and unions as Confluent's other formats do."
    )
    ignore_default = Property[bool](
        "ignore.default.for.nullables", boolean(), default=False, doc="Leave a null that has a default out, instead of its default."
    )
    cache_size = Property[int]("schemas.cache.config", integer(), default=1000, doc="Schemas kept when converting.")
    enhanced = Property[bool](
        "enhanced.protobuf.schema.support", boolean(), default=False, doc="Read messages under their names with the package."
    )
    scrub = Property[bool]("scrub.invalid.names", boolean(), default=False, doc="Replace characters that Protobuf forbids in names.")
    int_enums = Property[bool]("int.for.enums", boolean(), default=False, doc="Read enums as their numbers.")
    optional_label = Property[bool](
        "optional.for.nullables", boolean(), default=False, doc="Give fields that may be null the label optional, which keeps nulls."
    )
    proto2_optional = Property[bool](
        "optional.for.proto2", boolean(), default=True, doc="Read fields of proto2 that were not set as null."
    )
    wrapper = Property[bool](
        "wrapper.for.nullables", boolean(), default=False, doc="Give fields that may be null a wrapper's type, which keeps nulls."
    )
    raw_wrapper = Property[bool](
        "wrapper.for.raw.primitives", boolean(), default=True, doc="Read a message that is a wrapper as the value in it."
    )
    struct_for_null = Property[bool](
        "generate.struct.for.nulls", boolean(), default=False, doc="Read a message that was not set as an empty one."
    )
    union_index = Property[bool](
        "generate.index.for.unions", boolean(), default=True, doc="Read a oneof under its name with its number behind."
    )
    flatten_unions = Property[bool]("flatten.unions", boolean(), default=False, doc="Read the fields of a oneof as fields of the message.")
    skip_known = Property[bool](
        "skip.known.types", boolean(), default=True, doc="Do not register the types that come with Protobuf; only true."
    )

    reference_lookup = Property[bool]("reference.lookup.only", boolean(), default=False, doc="", ignored=_ALONE)
    reference_strategy = Property[str]("reference.subject.name.strategy", text(), default="", doc="", ignored=_ALONE)

    def check(self, faults: list[Fault]) -> None:
        super().check(faults)
        if not self.skip_known:
            faults.append(Fault("skip.known.types", "must be true: registries know these types by themselves"))
