"""Servers survive what tests do to them."""

import psycopg
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from pycdc.servers.process import accepts, alive


def test_postgres_keeps_what_was_committed_over_a_kill_and_has_what_pycdc_needs(private_postgres):
    with psycopg.connect(private_postgres.dsn(), autocommit=True) as sql:
        sql.execute("CREATE TABLE kept(id int)")
        sql.execute("INSERT INTO kept VALUES (7)")
        assert sql.execute("SHOW wal_level").fetchone() == ("logical",)
        assert sql.execute("SHOW timezone").fetchone() == ("UTC",)
    before = private_postgres.pid
    private_postgres.kill()
    assert not private_postgres.running
    assert not alive(before)
    private_postgres.start()
    with psycopg.connect(private_postgres.dsn()) as sql:
        assert sql.execute("SELECT id FROM kept").fetchall() == [(7,)]
    private_postgres.restart()
    assert private_postgres.running
    private_postgres.stop()
    assert not accepts(private_postgres.port)


def test_kafka_keeps_acknowledged_records_over_a_kill_and_an_orderly_stop(private_kafka):
    admin = AdminClient({"bootstrap.servers": private_kafka.bootstrap, "log_level": 0})
    admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(30)
    for value, end in ((b"1", private_kafka.kill), (b"2", private_kafka.stop)):
        delivered = []
        producer = Producer({"bootstrap.servers": private_kafka.bootstrap, "acks": "all", "log_level": 0})
        producer.produce("kept", value, on_delivery=lambda error, message, to=delivered: to.append((error, message.offset())))
        assert producer.flush(30) == 0
        assert delivered == [(None, int(value) - 1)]
        end()
        assert not private_kafka.running
        assert not accepts(private_kafka.port)
        private_kafka.start()
