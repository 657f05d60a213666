"""`pycdc demo` as a user types it: both ways end with equal copies and leave nothing behind."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("chdb")


@pytest.fixture
def folder():
    """Not pytest's own, into which the server's user may not look."""
    path = Path(tempfile.mkdtemp(prefix="pycdc-test-demo-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.mark.parametrize("options", [(), ("--kafka",)], ids=["without a broker", "through Kafka"])
@pytest.mark.xdist_group("private")
def test_both_copies_are_equal_after_a_kill(options, folder):
    done = subprocess.run(
        [sys.executable, "-m", "pycdc.cli", "demo", "--seconds", "6", *options], capture_output=True, text=True, timeout=110, check=False,
        env={**os.environ, "TMPDIR": str(folder), "COLUMNS": "140"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("equal") == 4, done.stdout
    assert "kill -9" in done.stdout
    assert list(folder.iterdir()) == []
    left = subprocess.run(["ps", "-e", "-o", "args"], capture_output=True, text=True, check=True).stdout
    assert str(folder) not in left
