"""`pycdc source` over polls of MariaDB, killed again and again while rows are committed out of order."""

import contextlib
import re
import sys
from pathlib import Path

import pymysql
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from kills_of_polls import CONFIGS, Topic, killed_again_and_again
from processes import Process, write

from pycdc.servers.process import wait_for

#: They read INNODB_TRX, which only one should do at a time.
pytestmark = pytest.mark.xdist_group("mysql")


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


def peak(process):
    """The most memory that it has had, bytes."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.process.pid}/status").read_text())[1]) * 1024


@pytest.mark.parametrize("mode", CONFIGS)
def test_every_committed_row_arrives(mode, mysql, mysql_db, kafka, names, tmp_path):
    mysql.execute("CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, x text, at timestamp(6) NOT NULL DEFAULT now(6), KEY (at))")

    def ids():
        return {i for (i,) in mysql.execute("SELECT id FROM t")}

    killed_again_and_again(mode, lambda: contextlib.closing(Writer(mysql_db)), ids, kafka, names, tmp_path, **url(mysql_db))


def test_a_process_killed_in_a_large_table_goes_on(mysql, mysql_db, kafka, names, tmp_path):
    """In the middle of its rows, which take more memory than it may have."""
    mysql.execute("CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, x text); INSERT INTO t SELECT seq, REPEAT('x', 1000) FROM seq_1_to_150000")
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
    assert peak(process) < 120 << 20
    process.stop()
    assert "150000" in offsets.read_text()
