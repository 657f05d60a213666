from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from pathlib import Path

import pytest

from pycdc.errors import PycdcError
from pycdc.kafka.offsets import FileOffsetStore

SHOP = {"server": "shop"}


async def opened(path: Path) -> FileOffsetStore:
    store = FileOffsetStore(path)
    await store.start()
    return store


async def test_a_position_survives_the_process(tmp_path: Path) -> None:
    path = tmp_path / "offsets.json"
    store = await opened(path)
    assert await store.get("c", SHOP) is None
    await store.put("c", SHOP, {"lsn": 2**63 - 1, "snapshot": "INITIAL", "ünï": True})
    await store.put("d", SHOP, {"lsn": 2})
    await store.stop()
    again = await opened(path)
    assert await again.get("c", SHOP) == {"lsn": 2**63 - 1, "snapshot": "INITIAL", "ünï": True}
    assert await again.get("d", SHOP) == {"lsn": 2}
    assert await again.get("c", {"server": "other"}) is None


async def test_none_removes(tmp_path: Path) -> None:
    store = await opened(tmp_path / "o")
    await store.put("c", SHOP, {"lsn": 1})
    await store.put("c", SHOP, None)
    await store.put("never", SHOP, None)
    assert await (await opened(tmp_path / "o")).get("c", SHOP) is None


async def test_the_file_is_replaced_never_written_in_place(tmp_path: Path) -> None:
    """A crash in the middle of writing must leave the former file: its inode may not be the one written to."""
    path = tmp_path / "o"
    store = await opened(path)
    await store.put("c", SHOP, {"lsn": 1})
    with path.open() as before:
        await store.put("c", SHOP, {"lsn": 2})
        assert "1" in before.read()
    assert json.loads(path.read_text())['["c",{"server":"shop"}]'] == {"lsn": 2}
    assert os.listdir(tmp_path) == ["o"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 3}', "\udcff"])
async def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "o"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(PycdcError, match="cannot be read") as caught:
        await FileOffsetStore(path).start()
    assert caught.value.where == str(path)
    assert caught.value.hint
    assert path.read_bytes() == text.encode("utf-8", "surrogateescape")


async def test_a_folder_that_is_not_there_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(PycdcError, match="cannot be written") as caught:
        await FileOffsetStore(tmp_path / "gone" / "o").start()
    assert "gone" in caught.value.where


async def test_a_write_that_fails_is_not_remembered(tmp_path: Path) -> None:
    """What is not durable must not be what `get` answers."""
    folder = tmp_path / "f"
    folder.mkdir()
    store = await opened(folder / "o")
    await store.put("c", SHOP, {"lsn": 1})
    (folder / "o").unlink()
    folder.rmdir()
    with pytest.raises(PycdcError):
        await store.put("c", SHOP, {"lsn": 2})
    assert await store.get("c", SHOP) == {"lsn": 1}


async def test_a_write_that_is_cut_off_ends_before_the_next_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread goes on, and both would write aside in the same place."""
    path, began, replace = tmp_path / "offsets.json", threading.Event(), FileOffsetStore._replace
    store = await opened(path)
    first_ended = 0.0

    def slowly(self: FileOffsetStore, data: bytes) -> None:
        nonlocal first_ended
        if began.is_set():
            assert first_ended, "two write at once"
            return replace(self, data)
        began.set()
        time.sleep(0.2)
        replace(self, data)
        first_ended = time.monotonic()
        return None

    monkeypatch.setattr(FileOffsetStore, "_replace", slowly)
    first = asyncio.ensure_future(store.put("c", SHOP, {"lsn": 1}))
    await asyncio.to_thread(began.wait, 10)
    first.cancel()
    await store.put("c", SHOP, {"lsn": 2})
    assert first.cancelled()
    assert await (await opened(path)).get("c", SHOP) == {"lsn": 2}
