"""Numbers of Debezium's temporal and decimal types -> texts, for every target that reads texts."""

from __future__ import annotations

import datetime
from binascii import a2b_base64
from collections.abc import Callable
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any, Final

_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
_ORDINAL = datetime.date(1970, 1, 1).toordinal()
#: What Debezium writes for infinity and -infinity.
_INFINITE_DAYS = {-2147472692: "infinity", -2147472691: "-infinity", -622191234: "infinity", -625821272: "-infinity"}


class _Days(dict[int, str]):
    """Days since 1970 -> their text; the rows of a batch often share them. Bounded.

    Years that ISO 8601 cannot write are Julian days, as PostgreSQL reads them.
    """

    def __missing__(self, days: int) -> str:
        if len(self) > 4096:
            self.clear()
        ordinal = days + _ORDINAL
        if days in _INFINITE_DAYS:
            text = _INFINITE_DAYS[days]
        elif 1 <= ordinal <= 3_652_059:
            text = datetime.date.fromordinal(ordinal).isoformat()
        else:
            text = f"J{days + 2_440_588}"
        self[days] = text
        return text


class _Seconds(dict[int, str]):
    """Seconds since 1970 -> their text, as above."""

    def __missing__(self, second: int) -> str:
        if len(self) > 4096:
            self.clear()
        days, rest = divmod(second, 86_400)
        text = self[second] = f"{DAYS[days]} {rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
        return text


DAYS: Final = _Days()
SECONDS: Final = _Seconds()


def variable_decimal(value: dict[str, Any]) -> str:
    """A VariableScaleDecimal's struct."""
    number = int.from_bytes(value["value"], "big", signed=True)
    return format(_EXACT.scaleb(Decimal(number), -value["scale"]), "f")


def unscaled(scale: int) -> Callable[[Any], str]:
    """A precise Decimal: base64 of the unscaled number, the scale is the column's. What is no base64 is the number
    itself (decimal.handling.mode=string always has a dot here).
    """
    one = 10**scale

    def text(value: str) -> str:
        try:
            unscaled = int.from_bytes(a2b_base64(value, strict_mode=True), "big", signed=True)
        except ValueError:
            return value
        digits = str(unscaled)
        if not scale:
            return digits
        if unscaled < one:
            whole, fraction = divmod(abs(unscaled), one)
            return f"{'-' if unscaled < 0 else ''}{whole}.{fraction:0{scale}}"
        return f"{digits[:-scale]}.{digits[-scale:]}"

    return text
