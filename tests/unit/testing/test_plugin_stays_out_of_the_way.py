"""pytest loads our plugin wherever pycdc is installed: that may cost nothing and change nothing."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_it_imports_nothing_of_an_extra_and_nothing_heavy():
    code = "import sys, pycdc.testing.plugin; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    assert not {"filelock", "xdist", "psycopg", "aiokafka", "uvloop", "chdb"} & set(loaded)


def test_tests_of_others_run_as_they_are_without_a_server(tmp_path):
    (tmp_path / "test_theirs.py").write_text("def test_theirs(pytestconfig):\n    assert pytestconfig.pluginmanager.has_plugin('pycdc')\n")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PYCDC_"))} | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=tmp_path, env=env,
    )  # fmt: skip
    assert "1 passed" in result.stdout, result.stdout + result.stderr
    assert not list(tmp_path.glob("pycdc-stack-*"))
