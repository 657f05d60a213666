"""Bodies of loads taken apart: compression, CSV with enclose and escape, JSON documents and paths into them."""

from __future__ import annotations

import bz2
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import cramjam

from pycdc.testing.starrocks.errors import LoadError
from pycdc.testing.starrocks.types import DOCUMENT

_CODECS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": lambda b: bytes(cramjam.gzip.decompress(b)),
    "gz": lambda b: bytes(cramjam.gzip.decompress(b)),
    "bzip2": bz2.decompress,
    "bz2": bz2.decompress,
    "deflate": zlib.decompress,
    "zstd": lambda b: bytes(cramjam.zstd.decompress(b)),
    "lz4_frame": lambda b: bytes(cramjam.lz4.decompress(b)),
    "lz4": lambda b: bytes(cramjam.lz4.decompress(b)),
}


def decompress(data: bytes, how: str) -> bytes:
    """Raises LoadError."""
    codec = _CODECS.get(how.lower())
    if codec is None:
        raise LoadError(f"Unsupported compression type: {how}", "INVALID_ARGUMENT")
    try:
        return codec(data)
    except Exception as error:  # each codec has its own errors
        raise LoadError(f"decompress error: {how}: {error}") from error


def split_top(text: str, separator: str = ",") -> list[str]:
    """The parts of a list, with what stands in quotes or brackets kept together."""
    out, depth, quote, current = [], 0, "", ""
    for ch in text:
        if quote:
            quote = "" if ch == quote else quote
        elif ch in "'\"`":
            quote = ch
        elif ch in "(<[":
            depth += 1
        elif ch in ")>]":
            depth -= 1
        elif ch == separator and depth == 0:
            out.append(current.strip())
            current = ""
            continue
        current += ch
    return [*out, current.strip()] if current.strip() else out


def delimiter(value: str) -> str:
    """A separator as a header gives it: itself, with backslash letters, or in hexadecimal."""
    if value[:2].lower() in ("\\x", "0x"):
        return bytes.fromhex(value[2:].replace("\\x", "")).decode("utf-8")
    return value.replace("\\t", "\t").replace("\\n", "\n").replace("\\r", "\r")


def shown(text: str) -> str:
    """A separator as the BE's messages have it."""
    return "'" + "".join({"\n": "\\n", "\t": "\\t"}.get(c) or (c if " " <= c <= "~" else f"0x{ord(c):x}") for c in text) + "'"


# ---- CSV


class CsvForm:
    """Separators, and the characters that enclose and escape; empty = none."""

    def __init__(self, separator: str, row_delimiter: str, enclose: str, escape: str, *, trim: bool) -> None:
        self.separator, self.row_delimiter, self.enclose, self.escape, self.trim = separator, row_delimiter, enclose, escape, trim


#: The line, and its fields; None for a blank one; a text tells why it cannot be read.
CsvRecord = tuple[str, list[str] | str | None]


def csv_records(body: bytes, form: CsvForm) -> Iterator[CsvRecord]:
    if form.enclose or form.escape:
        yield from _Enclosed(body.decode("utf-8", "replace"), form)
        return
    for record in body.split(form.row_delimiter.encode()):
        try:
            line = record.decode("utf-8")
        except UnicodeDecodeError:
            yield record.decode("utf-8", "replace"), "Invalid UTF-8 row"
            continue
        fields = line.split(form.separator) if line else None
        yield line, [f.strip(" ") for f in fields] if form.trim and fields else fields


class _Enclosed:
    """CSV in which fields may be enclosed or characters escaped."""

    def __init__(self, text: str, form: CsvForm) -> None:
        self._text, self._form = text, form
        self._fields: list[str] = []
        self._current = ""
        self._inside = self._quoted = False

    def __iter__(self) -> Iterator[CsvRecord]:
        form, text = self._form, self._text
        i = start = 0
        while i < len(text):
            if form.escape and text[i] == form.escape and i + 1 < len(text):
                self._current, i = self._current + text[i + 1], i + 2
            elif form.enclose and text[i] == form.enclose and (self._inside or not self._current.strip(" ")):
                i = self._at_enclose(i)
            elif not self._inside and text.startswith(form.separator, i):
                self._close()
                i += len(form.separator)
            elif not self._inside and text.startswith(form.row_delimiter, i):
                if self._fields or self._current or self._quoted:
                    self._close()
                    yield text[start:i], self._fields
                self._fields, self._current, self._quoted = [], "", False
                i += len(form.row_delimiter)
                start = i
            else:
                self._current, i = self._current + text[i], i + 1
        if self._fields or self._current or self._quoted:
            self._close()
            yield text[start:], self._fields

    def _at_enclose(self, i: int) -> int:
        enclose = self._form.enclose
        if self._inside and self._text[i + 1 : i + 2] == enclose:
            self._current += enclose
            return i + 2
        self._current = self._current if self._inside else ""
        self._inside, self._quoted = not self._inside, True
        return i + 1

    def _close(self) -> None:
        self._fields.append(self._current if self._quoted or not self._form.trim else self._current.strip(" "))
        self._current, self._quoted = "", False


# ---- JSON


def json_documents(body: bytes, *, strip_outer_array: bool) -> list[Any]:
    """Raises LoadError, as the scanner that stops."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LoadError(f"Failed to parse json as UTF-8: {error}", "DATA_QUALITY_ERROR") from error
    head = text.lstrip()[:1]
    if not head:
        return []
    if head not in "[{":
        raise LoadError(f"illegal json started with {head}", "DATA_QUALITY_ERROR")
    if strip_outer_array and head != "[":
        raise LoadError(f"the value should be array type with strip_outer_array=true, value: {text[:64]}", "DATA_QUALITY_ERROR")
    if not strip_outer_array and head == "[":
        raise LoadError(
            "The value is array type in json document stream, you can set strip_outer_array=true to "
            "parse each element of the array as individual rows", "DATA_QUALITY_ERROR"
        )  # fmt: skip
    try:
        return list(DOCUMENT.decode(text)) if strip_outer_array else _stream(text)
    except ValueError as error:
        what = "json as array" if strip_outer_array else "document stream as object"
        raise LoadError(f"Failed to iterate {what}. error: {error}", "DATA_QUALITY_ERROR") from error


def _stream(text: str) -> list[Any]:
    try:
        lines = [line for line in text.split("\n") if line.strip()]
        return list(DOCUMENT.decode("[" + ",".join(lines) + "]"))
    except ValueError:
        pass  # documents that are not one per line
    i = 0
    out: list[Any] = []
    while True:
        while i < len(text) and text[i] in " \t\r\n,":
            i += 1
        if i >= len(text):
            return out
        document, i = DOCUMENT.raw_decode(text, i)
        out.append(document)


def parse_path(path: str) -> list[str | int]:
    """Raises ValueError."""
    if not path.startswith("$"):
        raise ValueError(path)
    return [int(i) if i else k.strip('"') for k, i in re.findall(r"\.(\"[^\"]+\"|[^.\[\]]+)|\[(\d+)\]", path)]


def dig(document: Any, path: list[str | int]) -> Any:
    """What stands there; None when nothing does."""
    for step in path:
        if isinstance(step, int) and isinstance(document, list):
            document = document[step] if step < len(document) else None
        else:
            document = document.get(step) if isinstance(document, dict) else None
    return document
