"""`pycdc migrate` on the command line: what is wrong without any connection is exit 2, what a server says is exit 1."""

import pytest
from click.testing import CliRunner

from pycdc.cli.app import pycdc


def call(*arguments):
    result = CliRunner().invoke(pycdc, ["migrate", *arguments])
    assert "Traceback" not in result.output
    return result.exit_code, result.output


def test_the_three_commands():
    code, text = call("--help")
    assert code == 0
    assert [w for w in ("inspect", "plan", "apply") if w in text] == ["inspect", "plan", "apply"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("inspect",), "Missing argument 'URL'"),
        (("inspect", "ftp://x"), "must be the address"),
        (("inspect", "http://x", "--worker", "/no/such/file"), "no such file"),
        (("inspect", "http://x", "--user", "me"), "must be NAME:PASSWORD"),
        (("inspect", "http://x", "--user", "${env:NO_SUCH_VARIABLE}"), "NO_SUCH_VARIABLE is not set"),
        (("plan", "http://x"), "either --to URL or --in-place"),
        (("plan", "http://x", "--to", "http://y", "--in-place"), "either --to URL or --in-place"),
        (("plan", "http://x", "--to", "y:z"), "must be the address"),
        (("plan", "http://x", "--in-place"), "is required with --in-place"),
        (("apply", "http://x", "--all"), "Missing option '--to'"),
        (("apply", "http://x", "--to", "http://y"), "either --connector NAME or --all"),
        (("apply", "http://x", "--to", "http://y", "--all", "--connector", "n"), "either --connector NAME or --all"),
        (("apply", "http://x", "--to", "http://x/", "--all"), "is the same side as URL"),
        (("apply", "http://x", "--to", "http://y", "--all", "--timeout", "0"), "--timeout"),
    ],
)
def test_a_wrong_command_line(arguments, words):
    code, text = call(*arguments)
    assert (code, words in text) == (2, True), text


def test_nobody_there():
    code, text = call("inspect", "http://127.0.0.1:9", "--log-format", "text")
    assert code == 1
    assert "Kafka Connect cannot be reached" in text
    assert "hint: is URL the address" in text
