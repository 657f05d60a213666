"""Numbers of Debezium's temporal and decimal types -> texts, for every target that reads texts."""

from __future__ import annotations

import datetime
from binascii import a2b_base64
from collections.abc import Sequence
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


def unscaled_numbers(values: Sequence[Any]) -> list[int] | None:
    """Precise Decimals without schema: base64 of the unscaled numbers. None when one of them is something else."""
    number = int.from_bytes
    try:
        return [number(a2b_base64(v, strict_mode=True), "big", signed=True) for v in values]
    except (ValueError, TypeError):
        return None


def with_point(numbers: Sequence[int], scale: int) -> list[str]:
    """Unscaled numbers as texts with `scale` digits behind the point."""
    if not scale:
        return list(map(str, numbers))
    one, out = 10**scale, []
    for number in numbers:
        if number >= one:
            digits = str(number)
            out.append(f"{digits[:-scale]}.{digits[-scale:]}")
        else:
            whole, fraction = divmod(abs(number), one)
            out.append(f"{'-' if number < 0 else ''}{whole}.{fraction:0{scale}}")
    return out


def decimal_texts(values: Sequence[Any], scale: int) -> Sequence[Any]:
    """Precise Decimals of a column of this scale as texts; what is no base64 is the number itself
    (decimal.handling.mode=string always has a dot here).
    """
    numbers = unscaled_numbers(values)
    if numbers is not None:
        return with_point(numbers, scale)
    each = [unscaled_numbers((v,)) for v in values]
    return [v if n is None else with_point(n, scale)[0] for v, n in zip(values, each, strict=True)]
