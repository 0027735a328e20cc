"""Funding of perpetual contracts: when a long pays a short, and how much.

    {"binance-usdm:BTCUSDT": 0.0001}                                        0.01 % every eight hours, at 00, 08 and 16 UTC
    {"binance-usdm:BTCUSDT": [("2024-08-08T16:00", "0.00012"), ...]}        as the venue has published it

A rate is a part of the position's value at the middle of the book then; a negative one is paid by the short. What counts is
what is held as the time comes: records, requests and fills of that very time come after it. The hours are those of Binance's
USD-M perpetuals ("Introduction to Binance Futures Funding Rates").
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any, Final

from libchronicle.errors import InvalidArgument
from libchronicle.portfolio.fees import RATE_EXPONENT
from libchronicle.storage.archive import to_ns

__all__ = ["EVERY_NS", "Payment", "held", "payments"]

EVERY_NS: Final = 8 * 3_600_000_000_000

Payment = tuple[int, str, int]  # time, instrument, rate at RATE_EXPONENT


def held(funding: Mapping[str, Any] | None) -> dict[str, Any]:
    """The same, to be read any number of times: pairs that come from a zip or a generator as a list. Raises InvalidArgument."""
    if funding is not None and not isinstance(funding, Mapping):
        raise InvalidArgument(
            where="BacktestRunner", field="funding", value=funding, allowed="rates by instrument"
        )
    return {
        name: list(told) if isinstance(told, Iterator) else told for name, told in (funding or {}).items()
    }


def payments(funding: Mapping[str, Any] | None, start_ns: int) -> Iterator[Payment]:
    """Payments after `start_ns` in order of time, without end where a rate is constant. Raises InvalidArgument."""
    return heapq.merge(*(_of(name, told, start_ns) for name, told in (funding or {}).items()))


def _of(name: str, told: Any, start_ns: int) -> Iterable[Payment]:
    venue, _, symbol = name.partition(":") if isinstance(name, str) else ("", "", "")
    if not (venue and symbol):
        raise InvalidArgument(where="funding", field="instrument", value=name, allowed="VENUE:SYMBOL")
    if isinstance(told, int | float | str | Decimal):
        return _constant(name, _rate(name, told), start_ns)
    try:
        known = sorted((to_ns(time), name, _rate(name, rate)) for time, rate in told)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(
            where="funding", field=name, value=told, allowed="a rate, or (time, rate) pairs"
        ) from error
    for (time, *_), (following, *_) in pairwise(known):
        if time == following:
            raise InvalidArgument(where="funding", field=name, value=time, allowed="each time once")
    if known and not 0 <= known[0][0] <= known[-1][0] < 1 << 63:
        raise InvalidArgument(
            where="funding", field=name, value=told, allowed="times from 1970 to the year 2262"
        )
    return [one for one in known if one[0] > start_ns]


def _constant(name: str, rate: int, start_ns: int) -> Iterator[Payment]:
    due = start_ns - start_ns % EVERY_NS + EVERY_NS
    while True:
        yield due, name, rate
        due += EVERY_NS


def _rate(name: str, value: Any) -> int:
    try:
        exact = Decimal(str(value))
        if abs(exact) < 1:
            return int(exact.scaleb(-RATE_EXPONENT).to_integral_value())
    except InvalidOperation:
        pass
    raise InvalidArgument(
        where="funding", field=name, value=value, allowed="a part of the position's value: 0.0001 is 0.01 %"
    )
