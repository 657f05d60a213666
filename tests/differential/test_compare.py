"""The comparison itself: it must see what changes, and nothing else."""

import copy

import cases
import pytest

NAME = "ri_default"
TOPIC = "ri_default.public.orders"


def test_a_capture_equals_itself():
    assert cases.differences(NAME, cases.golden(NAME)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [('"op":"u"', '"op":"c"'), ('"qty":5', '"qty":6'), ('"note":"n1"', '"note":null'), ('"optional":false', '"optional":true')],
)
def test_a_changed_byte_is_seen(old, new):
    candidate = copy.deepcopy(cases.golden(NAME))
    for record in candidate["records"][TOPIC]:
        if old in (record["value_raw"] or ""):
            record["value_raw"] = record["value_raw"].replace(old, new, 1)
            break
    else:
        name, text = next((k, v) for k, v in candidate["schemas_raw"].items() if old in v)
        candidate["schemas_raw"][name] = text.replace(old, new, 1)
    assert cases.differences(NAME, candidate)


def test_a_missing_record_and_swapped_records_are_seen():
    missing = copy.deepcopy(cases.golden(NAME))
    missing["records"][TOPIC].pop()
    assert cases.differences(NAME, missing)
    swapped = copy.deepcopy(cases.golden(NAME))
    records = swapped["records"][TOPIC]
    records[2], records[3] = records[3], records[2]
    assert cases.differences(NAME, swapped)


def test_an_allowed_difference_is_only_allowed_where_it_is_listed():
    candidate = copy.deepcopy(cases.golden("txt_strings"))
    streamed = candidate["records"]["txt_strings.public.strs"][7]
    changed = streamed["value_raw"].replace('"n":null', '"n":"a_name"')
    assert changed != streamed["value_raw"]
    streamed["value_raw"] = changed
    assert cases.differences("txt_strings", candidate) == []
    streamed["value_raw"] = changed.replace('"n":"a_name"', '"n":"a_name","more":1')
    assert cases.differences("txt_strings", candidate)


def test_the_ratchet_names_real_cases_and_covers_the_promised_areas():
    required = set(cases.required())
    assert required <= set(cases.ALL)
    promised = {"numeric", "text_binary", "temporal", "identity", "ddl", "naming_filters", "envelope"}
    assert {n for n, c in cases.ALL.items() if c["area"] in promised} <= required


def test_a_case_owns_every_topic_that_it_captured_and_none_of_another_case():
    owns = {name: cases.capture.Owns(case, cases.golden(name)) for name, case in cases.ALL.items()}
    topics = {name: {t["name"] for t in cases.golden(name)["topics"]} for name in cases.ALL}
    for name, own in owns.items():
        assert all(map(own, topics[name])), name
        assert not [(other, t) for other in topics if other != name for t in topics[other] if own(t)], name
