"""The texts of Connect's own records: compact JSON as its converter writes it, keys as plain texts.

Source: Kafka Connect's KafkaConfigBackingStore and KafkaStatusBackingStore; captures of 4.1.1.
"""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

#: What Jackson writes as two escapes: UTF-16 has no single unit for it.
_BEYOND: Final = re.compile("[\U00010000-\U0010ffff]")


def dumps(value: Any) -> bytes:
    """Compact, members in the order given."""
    data = orjson.dumps(value)
    if max(data, default=0) < 0xF0:  # no character of four bytes
        return data
    return _BEYOND.sub(lambda m: "".join(f"\\u{int.from_bytes(m[0].encode('utf-16-be')[i:i + 2], 'big'):04X}" for i in (0, 2)), data.decode()).encode()


def loads(value: bytes) -> dict[str, Any]:
    """A record's object. Raises ValueError and TypeError for anything else."""
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"no JSON: {error}") from None
    if not isinstance(found, dict):
        raise TypeError("no JSON object")
    return found
