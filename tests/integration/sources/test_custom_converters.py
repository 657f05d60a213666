"""The example of docs/custom-converters.md, run as it stands there."""

import re
import sys
from pathlib import Path

import pytest

from pycdc.sources.postgres.config import PostgresSourceConfig

PAGE = (Path(__file__).parents[3] / "docs/custom-converters.md").read_text()
CONFIG = {"converters": "isbn", "isbn.type": "isbn_converter:IsbnConverter", "isbn.schema.name": "com.acme.Isbn"}
BASE = {"topic.prefix": "p", "database.hostname": "h", "database.user": "u", "database.dbname": "d"}


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "isbn_converter.py").write_text(re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1])
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("isbn_converter", None)


async def test_the_pages_example_converts_snapshot_and_stream(sql, reader):
    sql.execute("CREATE EXTENSION isn; CREATE TABLE b (id int PRIMARY KEY, i isbn, t text)")
    sql.execute("INSERT INTO b VALUES (1, '978-0-393-04002-9', 'a-b'), (2, NULL, NULL)")
    r = reader(**CONFIG)
    await r.until(lambda r: len(r.events) >= 2)
    sql.execute("INSERT INTO b VALUES (3, '978-0-393-04002-9', 'c-d')")
    await r.until(lambda r: len(r.events) >= 3)
    assert [(e[3]["i"], e[3]["t"]) for e in r.events] == [("039304002X", "a-b"), (None, None), ("039304002X", "c-d")]
    assert all(name in PAGE for name in CONFIG.values())


@pytest.mark.parametrize(
    ("type_name", "said"),
    [("com.acme.IsbnConverter", "docs/custom-converters.md"), ("nowhere:Thing", "cannot be loaded"), ("isbn_converter:Nothing", "cannot be loaded")],
)
def test_what_cannot_be_loaded_is_told(type_name, said):
    faults = []
    PostgresSourceConfig.parse(BASE | CONFIG | {"isbn.type": type_name}, faults)
    assert [f.key for f in faults] == ["isbn.type"]
    assert said in faults[0].message
