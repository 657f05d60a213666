"""pgoutput without a server: what an encoder wrote is read back, and outside bytes give DecodeError only."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pycdc.errors import DecodeError
from pycdc.postgres import pgoutput as p

# ---- an encoder, written from the protocol's page, that knows nothing of the decoder


def text(s: str) -> bytes:
    return s.encode() + b"\0"


def row(values: list[bytes | None]) -> bytes:
    out = struct.pack("!H", len(values))
    for v in values:
        if v is None:
            out += b"n"
        elif v is p.UNCHANGED:
            out += b"u"
        else:
            out += b"t" + struct.pack("!I", len(v)) + v
    return out


def encode(m: p.Message) -> bytes:
    match m:
        case p.Begin(lsn, ts, xid):
            return b"B" + struct.pack("!QqI", lsn, ts - p.EPOCH_US, xid)
        case p.Commit(flags, lsn, end, ts):
            return b"C" + struct.pack("!BQQq", flags, lsn, end, ts - p.EPOCH_US)
        case p.Origin(lsn, name):
            return b"O" + struct.pack("!Q", lsn) + text(name)
        case p.Relation(oid, schema, name, identity, columns):
            head = b"R" + struct.pack("!I", oid) + text("" if schema == "pg_catalog" else schema) + text(name)
            body = b"".join(
                struct.pack("!B", c.flags) + text(c.name) + struct.pack("!Ii", c.type_oid, c.typmod) for c in columns
            )
            return head + identity.encode() + struct.pack("!H", len(columns)) + body
        case p.Type(oid, schema, name):
            return b"Y" + struct.pack("!I", oid) + text("" if schema == "pg_catalog" else schema) + text(name)
        case p.Insert(oid, new):
            return b"I" + struct.pack("!I", oid) + b"N" + row(new)
        case p.Update(oid, kind, old, new):
            before = kind.encode() + row(old) if old is not None else b""
            return b"U" + struct.pack("!I", oid) + before + b"N" + row(new)
        case p.Delete(oid, kind, old):
            return b"D" + struct.pack("!I", oid) + kind.encode() + row(old)
        case p.Truncate(oids, cascade, restart):
            options = (1 if cascade else 0) | (2 if restart else 0)
            return b"T" + struct.pack("!IB", len(oids), options) + b"".join(struct.pack("!I", o) for o in oids)
        case p.LogicalMessage(transactional, lsn, prefix, content):
            head = struct.pack("!BQ", transactional, lsn) + text(prefix)
            return b"M" + head + struct.pack("!I", len(content)) + content
    raise AssertionError(m)


oids = st.integers(0, 2**32 - 1)
lsns = st.integers(0, 2**64 - 1)
times = st.integers(-(2**63), 2**63 - 1).map(lambda us: us + p.EPOCH_US)
names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
tuples = st.lists(st.one_of(st.none(), st.just(p.UNCHANGED), st.binary(max_size=300)), max_size=12)
columns = st.builds(p.RelationColumn, st.integers(0, 255), names, oids, st.integers(-(2**31), 2**31 - 1))
messages: st.SearchStrategy[Any] = st.one_of(
    st.builds(p.Begin, lsns, times, oids),
    st.builds(p.Commit, st.integers(0, 255), lsns, lsns, times),
    st.builds(p.Origin, lsns, names),
    st.builds(
        p.Relation, oids, names.filter(bool), names, st.sampled_from("dfin"), st.lists(columns, max_size=5).map(tuple)
    ),
    st.builds(p.Type, oids, names.filter(bool), names),
    st.builds(p.Insert, oids, tuples),
    st.builds(p.Update, oids, st.sampled_from("KO"), tuples, tuples),
    st.builds(p.Update, oids, st.just(""), st.none(), tuples),
    st.builds(p.Delete, oids, st.sampled_from("KO"), tuples),
    st.builds(p.Truncate, st.lists(oids, max_size=5).map(tuple), st.booleans(), st.booleans()),
    st.builds(p.LogicalMessage, st.booleans(), lsns, names, st.binary(max_size=50)),
)


@given(messages, st.binary(max_size=30))
def test_what_was_written_is_read_back_at_any_offset(message: p.Message, before: bytes) -> None:
    assert p.decode(before + encode(message), len(before)) == message


@given(messages, st.data())
def test_a_cut_message_is_an_error_never_a_shorter_value(message: p.Message, data: st.DataObject) -> None:
    whole = encode(message)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(DecodeError):
        p.decode(whole[:cut])


@given(messages, st.binary(min_size=1, max_size=4))
def test_bytes_behind_a_message_are_an_error(message: p.Message, more: bytes) -> None:
    with pytest.raises(DecodeError):
        p.decode(encode(message) + more)


@given(messages, st.data())
def test_a_mutated_message_gives_a_message_or_decode_error(message: p.Message, data: st.DataObject) -> None:
    raw = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    message_or_error(bytes(raw))


@given(st.sampled_from([bytes((c,)) for c in b"BCORYIUDTM\0x"]), st.binary(max_size=200))
@example(b"T", b"\xff\xff\xff\xff\0")
@example(b"R", b"\0\0\0\1" + b"\xff\xff" + b"\0t\0d\0\0")
@example(b"I", b"\0\0\0\1N\0\1t\xff\xff\xff\xff")
@example(b"I", b"\0\0\0\1N\0\1b\0\0\0\0")
@example(b"U", b"\0\0\0\1X\0\0")
def test_any_bytes_give_a_message_or_decode_error(kind: bytes, rest: bytes) -> None:
    message_or_error(kind + rest)


def message_or_error(raw: bytes) -> None:
    with contextlib.suppress(DecodeError):
        p.decode(raw)


@given(tuples, st.binary(max_size=40))
def test_split_tuple_appends_and_tells_where_it_ended(values: list[bytes | None], after: bytes) -> None:
    out: list[bytes | None] = [b"first"]
    raw = b"abc" + row(values)
    assert p.split_tuple(raw + after, 3, out) == len(raw)
    assert out == [b"first", *values]


def test_split_tuple_does_not_cut_the_last_value_short() -> None:
    raw = row([b"one", b"twelve"])
    with pytest.raises(DecodeError, match="malformed"):
        p.split_tuple(raw[:-1], 0, [])


def test_unchanged_is_no_value_of_postgresql() -> None:
    out: list[bytes | None] = []
    p.split_tuple(row([p.UNCHANGED, None, b"", b"u", b"unchanged"]), 0, out)
    assert out[0] is p.UNCHANGED
    assert b"\0" in p.UNCHANGED  # which no text of a server holds
    assert out[1:] == [None, b"", b"u", b"unchanged"]


def test_the_wires_empty_schema_is_pg_catalog() -> None:
    message = p.decode(b"Y" + struct.pack("!I", 25) + b"\0text\0")
    assert message == p.Type(25, "pg_catalog", "text")


def test_an_error_tells_where_and_shows_no_value() -> None:
    raw = encode(p.Insert(1, [b"secret value", b"x"]))
    with pytest.raises(DecodeError) as raised:
        p.decode(raw[:-3])
    assert "of 27" in str(raised.value) or "byte" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_binary_column_is_refused() -> None:
    with pytest.raises(DecodeError, match="malformed") as raised:
        p.decode(b"I\0\0\0\1N\0\1b\0\0\0\1x")
    assert "unknown kind b'b'" in raised.value.cause


@given(st.lists(st.binary(max_size=300).map(lambda b: b.replace(b"\0", b"t")) | st.none() | st.just(p.UNCHANGED), max_size=12))
def test_the_quick_cut_gives_what_the_walk_gives(values: list[bytes | None]) -> None:
    raw = row(values)
    quick: p.Tuple = []
    walked: p.Tuple = []
    assert p.split_tuple(raw, 0, quick) == p._split_any(raw, 0, walked) == len(raw)
    assert quick == walked == values
