"""Names inside Debezium's envelope, written by debezium and read by sinks."""

from __future__ import annotations

from typing import Final

BEFORE: Final = "before"
AFTER: Final = "after"
SOURCE: Final = "source"
OP: Final = "op"

READ: Final = "r"
CREATE: Final = "c"
UPDATE: Final = "u"
DELETE: Final = "d"
TRUNCATE: Final = "t"
MESSAGE: Final = "m"

HEADER_NEW_KEY: Final = "__debezium.newkey"
HEADER_OLD_KEY: Final = "__debezium.oldkey"
#: Names, separated by commas, of columns whose unchanged TOAST value Debezium gives as plain null.
HEADER_UNAVAILABLE: Final = "pycdc.unavailable"
#: What Debezium writes for an unchanged TOAST value that is not in the WAL.
PLACEHOLDER: Final = "__debezium_unavailable_value"
