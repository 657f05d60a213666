"""The one place that touches aiokafka's private names; pinned by the version range in pyproject.toml."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiokafka.record import default_records

from pycdc.errors import PycdcError


def require_extension() -> None:
    """aiokafka without its C extension is fifty times slower: refuse instead of crawling."""
    if default_records.DefaultRecordBatchBuilder is default_records._DefaultRecordBatchBuilderPy:
        raise PycdcError(
            "aiokafka runs without its C extension",
            cause="it was installed without a wheel, or AIOKAFKA_NO_EXTENSIONS is set",
            hint="pip install --force-reinstall --only-binary :all: aiokafka",
        )


def fill(
    batch: Any,
    start: int,
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
    headers: Sequence[Any],
    timestamps: Sequence[int | None] | None,
    now_ms: int,
) -> int:
    """Append records from `start` on to an open aiokafka BatchBuilder; returns the first index that did not fit.

    The builder's own `append` costs as much again as the C function below it, which takes the same arguments.
    """
    append = batch._builder.append
    offset = batch._relative_offset
    index = start
    for index in range(start, len(values)):
        stamp = now_ms if timestamps is None else timestamps[index] or now_ms
        if append(offset, stamp, keys[index], values[index], headers[index]) is None:
            break
        offset += 1
    else:
        index = len(values)
    batch._relative_offset = offset
    return index
