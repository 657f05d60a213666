"""What signals ask for, and what is no signal."""

import pytest

from pycdc.debezium.signals import (
    SignalError,
    SnapshotRequest,
    expand,
    log_message,
    snapshot_request,
    stopped_collections,
)
from pycdc.plugins.contracts import Signal


def execute(data):
    return Signal("1", "execute-snapshot", data)


def test_a_request_with_everything():
    request = snapshot_request(execute(
        '{"data-collections": [" public.a ", "public.b.*"], "type": "Blocking", "surrogate-key": "n", '
        '"additional-conditions": [{"data-collection": "PUBLIC.A", "filter": "x = 1"}]}'
    ))  # fmt: skip
    assert request == SnapshotRequest("1", True, ("public.a", "public.b.*"), (("PUBLIC.A", "x = 1"),), "n")
    assert request.condition("public.a") == "x = 1"
    assert request.condition("public.b") is None


def test_the_old_single_condition_holds_for_every_table():
    request = snapshot_request(execute('{"data-collections": ["public.a", "public.b"], "additional-condition": "x = 1"}'))
    assert request.condition("public.b") == "x = 1"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "data-collections is missing"), ("[]", "not a JSON object"), ("{", "not JSON"),
        ('{"data-collections": "public.a"}', "not a list"), ('{"data-collections": [1]}', "not a list of strings"),
        ('{"data-collections": ["a"], "type": "other"}', "neither incremental nor blocking"),
        ('{"data-collections": ["("]}', "no valid regular expression"),
        ('{"data-collections": ["a"], "additional-conditions": [{"filter": "x"}]}', "additional-conditions"),
        ('{"data-collections": ["a"], "additional-conditions": 3}', "additional-conditions"),
    ],
)  # fmt: skip
def test_malformed_requests_say_what_is_wrong(data, said):
    with pytest.raises(SignalError) as error:
        snapshot_request(execute(data))
    assert said in error.value.cause


def test_patterns_become_tables_once_each():
    tables = ["public.a", "public.b", "public.c"]
    assert sorted(expand((r"public\.[ab]",), tables)) == ["public.a", "public.b"]
    assert expand(("public.c", "public.*", "other.x"), tables)[0] == "public.c"
    assert sorted(expand(("public.c", "public.*", "other.x"), tables)) == ["other.x", *tables]


def test_the_order_of_a_pattern_is_the_java_maps():
    assert expand((r"public\.c_.*",), ["public.c_one", "public.c_two", "public.sig"]) == ["public.c_two", "public.c_one"]


def test_stop_without_tables_means_all():
    assert stopped_collections(Signal("1", "stop-snapshot", None)) == ()
    assert stopped_collections(Signal("1", "stop-snapshot", '{"data-collections": ["a"]}')) == ("a",)
    with pytest.raises(SignalError):
        stopped_collections(Signal("1", "stop-snapshot", '{"type": "blocking"}'))


def test_a_log_signal_needs_a_message():
    assert log_message(Signal("1", "log", '{"message": "at {}"}')) == "at {}"
    with pytest.raises(SignalError):
        log_message(Signal("1", "log", None))
