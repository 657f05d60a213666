"""Topic and schema names, after the captures names_*, topic_* ."""

import pytest

from pycdc.debezium.topics import TableTopic, Topics, TopicSettings
from pycdc.model.names import FIELD_ADJUSTERS, SCHEMA_ADJUSTERS, topic_name


@pytest.mark.parametrize(
    ("mode", "name", "adjusted"),
    [
        ("avro", "names_avro.my-schema.my_table.Key", "names_avro.my_schema.my_table.Key"),
        ("avro_unicode", "names_avro.public.tab-le.Key", "names_u005favro.public.tab_u002dle.Key"),
        ("none", "a-b.ñ", "a-b.ñ"),
    ],
)
def test_schema_names(mode, name, adjusted):
    assert SCHEMA_ADJUSTERS[mode](name) == adjusted


@pytest.mark.parametrize(
    ("mode", "name", "adjusted"),
    [
        ("avro", "1st", "_1st"), ("avro", "key-col", "key_col"), ("avro", "ñ", "_"), ("avro", "a.b", "a_b"),
        ("avro_unicode", "ñ 1", "_u00f1_u00201"), ("avro_unicode", "a_b", "a_u005fb"),
    ],
)  # fmt: skip
def test_field_names(mode, name, adjusted):
    assert FIELD_ADJUSTERS[mode](name) == adjusted


def test_a_topic_keeps_only_what_kafka_allows_and_counts_utf16_units():
    assert topic_name("données.表") == "donn_es._"
    assert topic_name("x𝄞y") == "x__y"


def test_delimiter_and_transaction_topic():
    topics = Topics(TopicSettings(prefix="pre-fix.one", delimiter="_", transaction="tx.meta"))
    assert topics.table("public", "dl") == TableTopic("pre-fix.one_public_dl")
    assert topics.transaction == "pre-fix.one_tx.meta"
    assert topics.heartbeat == "__debezium-heartbeat.pre-fix.one"


def test_the_default_regex_strategy_leaves_the_schema_out_and_adds_the_table_to_every_key():
    topics = Topics(
        TopicSettings(
            prefix="p", strategy="io.debezium.schema.DefaultRegexTopicNamingStrategy",
            regex="(.*)cust_s[0-9]+", replacement="$1cust_all",
        )
    )  # fmt: skip
    field = "__dbz__physicalTableIdentifier"
    assert topics.table("public", "cust_s1") == TableTopic("p.cust_all", field, "p.cust_s1")
    assert topics.table("oracle_mark", "m") == TableTopic("p.m", field, "p.m")


def test_a_heartbeat_topic_may_be_named_whole():
    assert Topics(TopicSettings(prefix="p", heartbeat_name="beats")).heartbeat == "beats"
