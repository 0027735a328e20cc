"""Decimal numbers as people write them; imports nothing else, so that commands start fast."""

from __future__ import annotations

from decimal import Decimal

__all__ = ["plain"]


def plain(value: Decimal | None) -> str:
    """Without an exponent or zeros that say nothing; `-` for what is not known."""
    if value is None:
        return "-"
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
