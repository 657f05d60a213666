"""What is dealt out in a group, as texts: a connector is `-/NAME`, its task 2 is `2/NAME`."""

from __future__ import annotations

from collections.abc import Iterable


def connector_item(name: str) -> str:
    return f"-/{name}"


def task_item(name: str, number: int) -> str:
    return f"{number}/{name}"


def name_of_item(item: str) -> str:
    return item.partition("/")[2]


def number_of_item(item: str) -> int | None:
    """The task's number; None for a connector."""
    number = item.partition("/")[0]
    return None if number == "-" else int(number)


def connectors_of(items: Iterable[str]) -> list[str]:
    return [i for i in items if i.startswith("-/")]


def tasks_of(items: Iterable[str]) -> list[str]:
    return [i for i in items if not i.startswith("-/")]
