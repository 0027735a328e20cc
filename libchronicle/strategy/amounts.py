"""Exact conversion between what a person writes and a mantissa."""

from __future__ import annotations

from operator import index
from typing import Any

from libchronicle.errors import DecimalError, FloatAmount, OrderError
from libchronicle.protocol import format_decimal, parse_decimal

__all__ = ["format_amount", "shortest_amount", "to_mantissa"]

_SHOWN = 40  # characters of what cannot be read


def to_mantissa(value: Any, exponent: int, instrument: str, error: type[OrderError], what: str) -> int:
    """Mantissa of a str, Decimal or integer-like value; `error` when it is not exact at `exponent`."""
    if isinstance(value, float):
        raise FloatAmount(instrument=instrument, what=what, value=value)
    if isinstance(value, bool):
        raise error(instrument=instrument, value=value, reason="is no amount")
    if hasattr(value, "__index__"):
        return index(value)
    text = value if isinstance(value, str) else format(value, "f")
    try:
        return parse_decimal(text.encode("utf-8", "replace"), exponent)
    except DecimalError as refused:
        raise error(
            instrument=instrument, value=text[:_SHOWN], reason=f"is not exact: {refused.fields['reason']}"
        ) from None


def format_amount(mantissa: int, exponent: int) -> str:
    return format_decimal(mantissa, exponent)


def shortest_amount(mantissa: int, exponent: int) -> str:
    """Without the zeros at its end."""
    text = format_decimal(mantissa, exponent)
    return text.rstrip("0").rstrip(".") if "." in text else text
