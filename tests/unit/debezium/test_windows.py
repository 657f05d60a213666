"""Which rows of a chunk survive the changes that cross it."""

from pycdc.debezium.source import System
from pycdc.debezium.windows import Collection, IncrementalState, Visibility, Window, incremental_state
from pycdc.model.record import Record
from pycdc.model.schema import INT32, OPTIONAL_STRING, struct
from pycdc.model.table import Column, Table, TypeInfo
from pycdc.plugins.contracts import Run

INT4 = TypeInfo(oid=23, name="int4")
ROW = struct([("id", INT32), ("v", OPTIONAL_STRING)])
ENVELOPE = struct([("before", ROW), ("after", ROW)])
SEES_ALL = Visibility("100:100:")


def table(**changes):
    columns = (Column(name="id", type=INT4, nullable=False, identity=True), Column(name="v", type=INT4))
    return Table(oid=1, schema="public", name="t", columns=columns, primary_key=("id",), **changes)


def window(**changes):
    return Window(table(**changes), [0], ["id", "v"])


def run(op, *rows, old=False, where="public.t", schema=ENVELOPE, xid=b"7"):
    """Rows of two columns, or of four with an old image."""
    base = 4 if old else 2
    system = [None] * len(System)
    system[System.TX_ID] = xid
    template = Record(topic="t", key={"id": 1}, value={"op": op}, value_schema=schema)
    return Run((template,), [[*row, *system] for row in rows], where, base)


def left(w, visibility=SEES_ALL, ids=(b"1", b"2", b"3")):
    rows = w.close([[i, b"x"] for i in ids], visibility)
    return None if rows is None else [row[0] for row in rows]


def test_without_changes_all_rows_survive():
    assert left(window()) == [b"1", b"2", b"3"]


def test_a_change_inside_the_window_takes_its_row_even_when_it_was_seen():
    w = window()
    w.open = True
    w.observe(run("u", [b"2", b"y"]))
    assert left(w) == [b"1", b"3"]


def test_a_change_before_the_window_takes_its_row_only_when_it_was_not_seen():
    w = window()
    w.observe(run("u", [b"1", b"y"], xid=b"50"))
    w.observe(run("u", [b"2", b"y"], xid=b"60"))
    assert left(w, Visibility("50:70:60")) == [b"1", b"3"]


def test_both_keys_of_a_key_change_are_taken():
    w = window()
    w.open = True
    w.observe(run("c", [b"3", b"y", b"1", None], old=True))
    assert left(w) == [b"2"]


def test_rows_before_the_start_and_other_tables_do_not_count():
    w = window()
    w.open = True
    w.observe(run("u", [b"1", b"y"], [b"2", b"y"]), 1)
    w.observe(run("u", [b"3", b"y"], where="public.other"))
    assert left(w) == [b"1", b"3"]


def test_a_change_whose_key_is_not_told_has_the_chunk_read_again():
    for change in (
        run("d", [None, None]),  # an identity without the key
        run("u", [b"1", b"y"], schema=struct([("after", struct([("id", INT32)]))])),  # other columns than the chunk's
        Run((Record(topic="t", value={"op": "t"}, value_schema=ENVELOPE),), [[None] * len(System)], "public.t", 0),  # truncate
    ):
        w = window()
        w.open = True
        w.observe(change)
        assert left(w) is None


def test_a_null_in_a_whole_old_image_is_a_null():
    w = Window(table(replica_identity="f"), [1], ["id", "v"])
    w.open = True
    w.observe(run("d", [b"1", None]))
    assert [r[0] for r in w.close([[b"1", None], [b"2", b"x"]], SEES_ALL)] == [b"2"]


def test_visibility_follows_ids_around_their_end():
    v = Visibility(f"{(1 << 32) + 5}:{(1 << 32) + 10}:{(1 << 32) + 7}")
    assert v.saw(4294967290)
    assert v.saw(5)
    assert not v.saw(7)
    assert not v.saw(10)
    assert not v.saw(11)
    assert v.missed([5, 7])
    assert not v.missed([5, 6, 4294967290])


def test_the_state_goes_through_the_offset_and_back():
    state = IncrementalState(
        collections=[Collection("public.t", "a > 'x'", None, "s"), Collection("public.u")], correlation="s",
        last=["1", None], maximum=["9", "x"], rows=4, paused=True,
    )  # fmt: skip
    assert incremental_state(state.to_offset()) == state
    assert IncrementalState().to_offset() == {}


def test_an_offset_that_cannot_be_read_begins_anew():
    for offset in (None, {}, {"pycdc_incremental_snapshot": "{"}, {"incremental_snapshot_collections": "[{}]"}, {"incremental_snapshot_collections": 3}):
        assert incremental_state(offset) == IncrementalState()
