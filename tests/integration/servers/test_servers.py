"""Servers survive what tests do to them."""

from contextlib import closing

import psycopg
import pymysql
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


def test_mariadb_keeps_what_was_committed_over_a_kill(private_mariadb):
    def sql(statement):
        with closing(pymysql.connect(host=private_mariadb.host, port=private_mariadb.port, user=private_mariadb.user, autocommit=True)) as conn:
            with conn.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall()

    sql("CREATE DATABASE d")
    sql("CREATE TABLE d.kept (id int)")
    sql("INSERT INTO d.kept VALUES (7)")
    before = private_mariadb.pid
    private_mariadb.kill()
    assert not private_mariadb.running
    assert not alive(before)
    private_mariadb.start()
    assert sql("SELECT id FROM d.kept") == ((7,),)
    private_mariadb.stop()
    assert not accepts(private_mariadb.port)
