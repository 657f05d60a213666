"""`pycdc source` over polls of MariaDB, killed again and again while rows are committed out of order."""

import contextlib
import sys
from pathlib import Path

import pymysql
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from kills_of_polls import CONFIGS, Topic, killed_again_and_again
from processes import Process, write

from pycdc.servers.process import wait_for


def url(db):
    return {"connection.url": f"jdbc:mysql://{db.host}:{db.port}/{db.dbname}", "connection.user": db.user, "catalog.pattern": db.dbname}


class Writer:
    """What a writer needs of a connection."""

    def __init__(self, db):
        self.connection = pymysql.connect(host=db.host, port=db.port, user=db.user, database=db.dbname)
        self.commit, self.rollback = self.connection.commit, self.connection.rollback

    def execute(self, statement):
        with self.connection.cursor() as cursor:
            cursor.execute(statement)

    def close(self):
        self.connection.close()


@pytest.mark.parametrize("mode", CONFIGS)
def test_every_committed_row_arrives(mode, mysql, mysql_db, kafka, names, tmp_path):
    mysql.execute("CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, x text, at timestamp(6) NOT NULL DEFAULT now(6), KEY (at))")

    def ids():
        return {i for (i,) in mysql.execute("SELECT id FROM t")}

    killed_again_and_again(mode, lambda: contextlib.closing(Writer(mysql_db)), ids, kafka, names, tmp_path, **url(mysql_db))


def test_a_process_killed_in_a_large_table_goes_on(mysql, mysql_db, kafka, names, tmp_path):
    """In the middle of its rows, which are more than what it may hold at once."""
    mysql.execute("CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, x varchar(200)); INSERT INTO t SELECT seq, REPEAT('x', 200) FROM seq_1_to_150000")
    file = write(tmp_path / "source.json", {
        "name": names.base, "connector.class": "jdbc-source", "topic.prefix": names.prefix + "_", "mode": "incrementing", "bootstrap.servers": kafka,
        "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false", **url(mysql_db),
    })  # fmt: skip
    offsets = tmp_path / "offsets"
    process = Process(["source", "--config", file, "--offsets-file", str(offsets)], tmp_path / "log")
    process.start()
    with Topic(kafka, f"{names.prefix}_t") as topic:
        wait_for(lambda: len(topic.read()) > 10_000, 40, "no rows come", process.log)
        process.kill()
        process.start()
        wait_for(lambda: len(set(topic.read())) == 150_000, 60, "rows are missing", process.log)
    process.stop()
    assert "150000" in offsets.read_text()
