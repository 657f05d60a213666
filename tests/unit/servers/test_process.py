"""What every server has in common: ports, waiting, locks, and what a missing program says."""

import subprocess
import sys
import time

import pytest

from pycdc.servers import __main__ as needs
from pycdc.servers import kafka, mariadb, postgres
from pycdc.servers.process import ServerFailed, free_port, locked, require, run, wait_for


def test_a_free_port_is_not_one_of_outgoing_connections():
    ports = {free_port() for _ in range(20)}
    assert len(ports) > 1
    assert all(10_000 <= p < 20_000 for p in ports)


def test_waiting_ends_with_the_tail_of_the_log(tmp_path):
    log = tmp_path / "log"
    log.write_text("first\n" + "line\n" * 20 + "the reason\n")
    with pytest.raises(ServerFailed) as caught:
        wait_for(lambda: False, 0.01, "it does not start", log)
    assert "it does not start" in str(caught.value)
    assert "the reason" in str(caught.value)
    assert "first" not in str(caught.value)


def test_a_missing_program_is_named_with_the_command_that_installs_it():
    with pytest.raises(ServerFailed, match=r"no-such-program is not installed(.|\n)*apt-get install it"):
        require("no-such-program", "apt-get install it")


def test_a_missing_mariadb_is_an_error_of_make_servers(monkeypatch, capsys):
    monkeypatch.setattr(mariadb, "_PACKAGED", {"mariadbd": "/nowhere/mariadbd", "mariadb-install-db": "/nowhere/mariadb-install-db"})
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ServerFailed, match=r"MariaDB is not installed(.|\n)*there is no mariadbd(.|\n)*apt-get install mariadb-server"):
        mariadb.binaries()
    monkeypatch.setattr(postgres, "binaries", lambda: None)
    monkeypatch.setattr(needs, "jars", lambda **_: None)
    assert (needs.main(["--mariadb"]), needs.main([])) == (1, 0)
    assert "apt-get install mariadb-server" in capsys.readouterr().err


def test_what_a_failed_command_printed_is_in_the_error():
    with pytest.raises(ServerFailed, match="exit code 3") as caught:
        run([sys.executable, "-c", "print('told on the way'); raise SystemExit(3)"])
    assert "told on the way" in str(caught.value)


def test_a_lock_keeps_other_processes_out_and_is_free_when_its_holder_is_killed(tmp_path):
    file = tmp_path / "lock"
    code = f"""
import pathlib, time
from pycdc.servers.process import locked
with locked(pathlib.Path({str(file)!r})):
    print("held", flush=True)
    time.sleep(60)
"""
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        waiter = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        try:
            assert waiter.stdout is not None
            with pytest.raises(subprocess.TimeoutExpired):
                waiter.wait(0.5)
            holder.kill()
            assert waiter.stdout.readline() == "held\n"
        finally:
            waiter.kill()
            waiter.wait()
            waiter.stdout.close()
        begin = time.monotonic()
        with locked(file):
            assert time.monotonic() - begin < 5
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def test_without_java_the_broker_is_refused_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerFailed, match="java is not installed"):
        kafka.Kafka(tmp_path / "kafka").start()


def test_the_wheel_is_used_where_the_system_has_no_postgresql(monkeypatch, tmp_path):
    monkeypatch.setattr(postgres, "_PACKAGED", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres, "bundled", lambda: tmp_path / "wheel")
    assert postgres.binaries() == tmp_path / "wheel"
    monkeypatch.setattr(postgres, "bundled", lambda: None)
    with pytest.raises(ServerFailed, match="PostgreSQL is not installed"):
        postgres.binaries()
