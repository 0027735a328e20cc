"""Fixed-point arithmetic: int64 mantissas, products through 128 bits, overflow is an error and never a
wrapped number.

Python's integers do not overflow, which is the trap: a number that fits here must also fit the int64 field
it is written to and the 128-bit product of the native code that computes the same. So every result passes
one of the two guards.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from libchronicle.errors import BadAmount, FixedPointOverflow

__all__ = [
    "INT64_MAX",
    "INT128_MAX",
    "MONEY_EXPONENT",
    "ceil_div",
    "checked_i64",
    "checked_product",
    "half_even_div",
    "mantissa_of",
    "money",
    "rescale",
]

MONEY_EXPONENT = -8
"""Of every amount of money: eight decimals, up to ±92 billion."""

INT64_MAX = (1 << 63) - 1
INT128_MAX = (1 << 127) - 1


def checked_i64(value: int, what: str = "value") -> int:
    """`value`, if an int64 holds it. Raises FixedPointOverflow."""
    if -INT64_MAX <= value <= INT64_MAX:
        return value
    raise FixedPointOverflow(what=what, bits=64)


def checked_product(a: int, b: int, what: str = "product") -> int:
    """`a * b`, if an int128 holds it. Raises FixedPointOverflow."""
    value = a * b
    if -INT128_MAX <= value <= INT128_MAX:
        return value
    raise FixedPointOverflow(what=what, bits=128)


def half_even_div(numerator: int, denominator: int) -> int:
    """Nearest integer to numerator / denominator, ties to the even one; the denominator is positive."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        quotient += 1
    return quotient


def ceil_div(numerator: int, denominator: int) -> int:
    """Smallest integer that is at least numerator / denominator; the denominator is positive."""
    return -(-numerator // denominator)


def rescale(mantissa: int, exponent: int, to_exponent: int, what: str = "value") -> int:
    """The mantissa at `to_exponent` of mantissa × 10^exponent, half-even where digits are lost. Raises
    FixedPointOverflow."""
    shift = exponent - to_exponent
    if shift >= 0:
        return checked_i64(checked_product(mantissa, 10**shift, what), what)
    return checked_i64(half_even_div(mantissa, 10**-shift), what)


def mantissa_of(amount: object, exponent: int, what: str = "amount") -> int:
    """Mantissa of a number as a person writes it: an int, a Decimal, or a str or float by its digits. Raises BadAmount
    when it has more digits than the exponent, FixedPointOverflow."""
    try:
        value = Decimal(str(amount))
        scaled = value.scaleb(-exponent)
    except InvalidOperation:
        raise BadAmount(what=what, value=amount, reason="is no number") from None
    if not value.is_finite() or isinstance(amount, bool):
        raise BadAmount(what=what, value=amount, reason="is no number")
    if scaled != scaled.to_integral_value():
        raise BadAmount(what=what, value=amount, reason=f"has more than {max(0, -exponent)} decimals")
    return checked_i64(int(scaled), what)


def money(amount: object, what: str = "amount") -> int:
    """Mantissa at MONEY_EXPONENT of a number of units: money("0.5") = 50_000_000. Raises BadAmount, FixedPointOverflow."""
    return mantissa_of(amount, MONEY_EXPONENT, what)
