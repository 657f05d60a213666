"""Captured messages of Protobuf beside those of a candidate: byte for byte, but for what differs from run to run.

They are parsed by Google's library, and what it writes of them again has to be the same bytes: so they are compared after
times, positions and numbers of transactions that are there on both sides were made the same.
"""

import base64

from google.protobuf.message_factory import GetMessageClass

from pycdc.converters.protobuf.parse import Parsed

VOLATILE = {"ts_ms", "ts_us", "ts_ns", "txId", "lsn", "xmin", "sequence", "origin_lsn"}


def differences(golden, candidate):
    found = []
    for topic, records in golden["records"].items():
        others = candidate["records"].get(topic, [])
        for n, (ours, theirs) in enumerate(zip(others, records, strict=False)):
            for side in ("key_b64", "value_b64"):
                a, b = (masked(case, r[side]) for case, r in ((golden, theirs), (candidate, ours)))
                if a != b:
                    found.append(f"{topic}[{n}] {side}: golden {a}, candidate {b}")
    return found


def masked(case, coded):
    """Text and masked bytes of a message of Protobuf; nothing for others."""
    if coded is None:
        return None
    data = base64.b64decode(coded)
    names = case["registry"]["ids"].get(str(int.from_bytes(data[1:5], "big")), [])
    schema = case["schemas"][names[0]] if names else {"type": "none"}
    if schema["type"] != "PROTOBUF":
        return None
    assert data[5] == 0
    message = GetMessageClass(Parsed(schema["text"], {}).descriptor([0])).FromString(data[6:])
    assert message.SerializeToString() == data[6:]
    mask(message)
    return schema["text"], message.SerializeToString()


def mask(message):
    for field, value in message.ListFields():
        if field.name == "source":
            mask(value)
        elif field.name in VOLATILE:
            setattr(message, field.name, "x" if isinstance(value, str) else 1)
