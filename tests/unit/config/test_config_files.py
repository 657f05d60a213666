"""Every format gives the same flat map of texts; a malformed file names file and line, never its content."""

from __future__ import annotations

from pathlib import Path

import pytest

from pycdc.config.files import flatten, read_file
from pycdc.errors import ConfigError

SAME = {
    "json": '{"name": "shop", "database.port": 5432, "schemas.enable": false, "lag": 1.50, "tables": ["a.b", "c.d"], "gone": null}',
    "properties": "# comment\nname=shop\ndatabase.port = 5432\nschemas.enable: false\nlag=1.50\ntables=a.b,\\\n  c.d\n",
    "yaml": "name: shop\ndatabase:\n  port: 5432\nschemas.enable: false\nlag: 1.50\ntables: [a.b, c.d]\ngone: ~\n",
    "toml": 'name = "shop"\nlag = 1.50\ntables = ["a.b", "c.d"]\n[database]\nport = 5432\n[schemas]\nenable = false\n',
}


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as error:
        read_file(path)
    assert error.value.exit_code == 2
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("suffix", SAME)
def test_every_format_gives_the_same_texts(tmp_path: Path, suffix: str) -> None:
    assert read_file(write(tmp_path, f"c.{suffix}", SAME[suffix])) == {
        "name": "shop",
        "database.port": "5432",
        "schemas.enable": "false",
        "lag": "1.50",
        "tables": "a.b,c.d",
    }


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("c.json", '{"name": "shop", "config": {"topic.prefix": "p"}}'),
        ("c.json", '{"name": "shop", "config": {"topic.prefix": "p", "name": "shop"}, "tasks": [{"task": 0}], "type": "source"}'),
        ("c.yml", "name: shop\nconfig:\n  topic.prefix: p\n"),
        ("c.toml", 'name = "shop"\n[config]\n"topic.prefix" = "p"\n'),
    ],
)
def test_connects_wrapped_form(tmp_path: Path, file: str, content: str) -> None:
    assert read_file(write(tmp_path, file, content)) == {"topic.prefix": "p", "name": "shop"}


def test_the_two_names_must_agree(tmp_path: Path) -> None:
    assert "differ" in refusal(write(tmp_path, "c.json", '{"name": "a", "config": {"name": "b"}}'))


def test_without_a_known_ending_a_brace_means_json(tmp_path: Path) -> None:
    assert read_file(write(tmp_path, "connector", ' {"a": 1}')) == {"a": "1"}
    assert read_file(write(tmp_path, "worker", "a=1\n")) == {"a": "1"}


def test_yaml_keeps_texts_that_look_like_dates_and_octals(tmp_path: Path) -> None:
    path = write(tmp_path, "c.yaml", "since: 2024-01-15\nmode: 0755\nbig: 1_000\nflag: yes\n")
    assert read_file(path) == {"since": "2024-01-15", "mode": "0755", "big": "1_000", "flag": "true"}


def test_properties_are_utf8_or_else_latin1(tmp_path: Path) -> None:
    assert read_file(write(tmp_path, "a.properties", "k=\u017elu\u0165\n")) == {"k": "\u017elu\u0165"}
    assert read_file(write(tmp_path, "b.properties", b"k=caf\xe9\n")) == {"k": "caf\xe9"}


@pytest.mark.parametrize(
    ("file", "content", "place"),
    [
        ("c.json", '{"a": 1,\n "b": }', "line 2, column 7: is not valid JSON"),
        ("c.json", '{"a": 1, "a": 2}', "the key a is given twice"),
        ("c.json", "[1]", "must hold a table"),
        ("c.json", b'{"a":\n "\xff"}', "line 2: is not UTF-8"),
        ("c.properties", "a=1\nb=\\u12\n", "line 2: is not a valid properties file"),
        ("c.yaml", "a: 1\nb: [1\nc: 2\n", "line 3, column 2: is not valid YAML"),
        ("c.yaml", "a: 1\na: 2\n", "line 2: the key a is given twice"),
        ("c.yaml", "a: {b: [{c: 1}]}\n", "the list a.b must hold plain values"),
        ("c.toml", 'a = 1\nb = = 2\n', "line 2, column 5: is not valid TOML"),
        ("c.toml", 'a = "x\n', "line 1"),
        ("c.toml", 'key.converter = "x"\nkey.converter.schemas.enable = false\n', "must be quoted"),
    ],
)
def test_a_malformed_file_names_the_place(tmp_path: Path, file: str, content: str | bytes, place: str) -> None:
    assert place in refusal(write(tmp_path, file, content))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("c.yaml", "password: *s3cret\n"),
        ("c.yaml", 'password: "s3cret\n'),
        ("c.json", '{"password": "s3cret" "x"}'),
        ("c.toml", 'password = s3cret\n'),
    ],
)
def test_a_malformed_file_is_not_quoted(tmp_path: Path, file: str, content: str) -> None:
    assert "s3cret" not in refusal(write(tmp_path, file, content))


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "absent.json")
    assert "directory" in refusal(tmp_path).lower()


def test_two_paths_to_one_key() -> None:
    with pytest.raises(ValueError, match=r"a\.b is given twice"):
        flatten({"a.b": 1, "a": {"b": 2}})
