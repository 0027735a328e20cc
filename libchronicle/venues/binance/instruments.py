"""Instrument definitions from a venue's exchangeInfo ("Exchange information", "Filters" of the API documentation).

Exponents are frozen for an instrument's whole life, so they are those of the venue's maximum precision (8 decimals),
not of the present tick: a finer tick later still fits. Only where 8 decimals could overflow an int64 (coins traded by
the billion, quotes in small currencies) are they coarser, by a rule that looks at the filters alone.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from libchronicle.errors import DecimalError, EncodeError, FixedPointOverflow, UnknownSymbol, VenueDataError
from libchronicle.protocol import BookMode, Instrument, instrument_id, parse_decimal
from libchronicle.venues.binance.profile import Profile

__all__ = ["parse_instruments"]

PRECISION = 8  # decimals: the most either market uses
HEADROOM = 1000  # a level may hold so many times the largest order
INT64_MAX = 2**63 - 1


class _Filter(msgspec.Struct):
    filterType: str
    minPrice: str = "0"
    maxPrice: str = "0"
    tickSize: str = "0"
    minQty: str = "0"
    maxQty: str = "0"
    stepSize: str = "0"
    minNotional: str = "0"
    notional: str = "0"  # futures' name of minNotional


class _Symbol(msgspec.Struct):
    symbol: str
    status: str = "TRADING"
    contractStatus: str | None = None
    baseAsset: str = ""
    quoteAsset: str = ""
    marginAsset: str = ""
    filters: list[_Filter] = []


class _ExchangeInfo(msgspec.Struct):
    symbols: list[_Symbol]


_PLAIN = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?")
"""As venues write amounts. Decimal takes more: NaN, infinities and exponents that no memory holds."""

_decoder = msgspec.json.Decoder(_ExchangeInfo)


def parse_instruments(
    body: bytes, profile: Profile, symbols: Iterable[str], known: Mapping[int, Instrument] | None = None
) -> list[Instrument]:
    """Definitions of `symbols`, in their order. `known` definitions (by id) keep their exponents.

    Raises UnknownSymbol for one the venue does not list, VenueDataError for an answer that cannot be read.
    """
    try:
        listed = {entry.symbol: entry for entry in _decoder.decode(body).symbols}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise VenueDataError(venue=profile.venue, what="exchangeInfo", reason=str(error)) from None
    if not listed:  # a venue out of order, not one without our symbols
        raise VenueDataError(venue=profile.venue, what="exchangeInfo", reason="lists no symbol at all")
    return [_definition(_look_up(listed, symbol, profile), profile, known or {}) for symbol in symbols]


def _definition(entry: _Symbol, profile: Profile, known: Mapping[int, Instrument]) -> Instrument:
    odd = [text for f in entry.filters for text in _figures(f) if not _PLAIN.fullmatch(text)]
    what = f"exchangeInfo of {entry.symbol}"
    if odd:
        raise VenueDataError(venue=profile.venue, what=what, reason=f"{odd[0][:40]!r} is no decimal")
    try:
        made = _instrument(entry, profile, known)
        made.encode()
        return made
    except (DecimalError, EncodeError, FixedPointOverflow) as error:
        raise VenueDataError(venue=profile.venue, what=what, reason=str(error)) from None


def _figures(f: _Filter) -> tuple[str, ...]:
    return (f.minPrice, f.maxPrice, f.tickSize, f.minQty, f.maxQty, f.stepSize, f.minNotional, f.notional)


def _look_up(listed: Mapping[str, _Symbol], symbol: str, profile: Profile) -> _Symbol:
    if symbol in listed:
        return listed[symbol]
    close = difflib.get_close_matches(symbol.upper(), listed, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else "correct it or take it out"
    raise UnknownSymbol(venue=profile.venue, symbol=symbol, hint=hint)


def _instrument(entry: _Symbol, profile: Profile, known: Mapping[int, Instrument]) -> Instrument:
    name = f"{profile.venue}:{entry.symbol}"
    number = instrument_id(name)
    filters = {f.filterType: f for f in entry.filters}
    price, lot = filters.get("PRICE_FILTER"), filters.get("LOT_SIZE")
    if price is None or lot is None:
        raise VenueDataError(
            venue=profile.venue, what=f"exchangeInfo of {entry.symbol}", reason="no PRICE_FILTER or LOT_SIZE"
        )
    floor = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL")
    notional = "0" if floor is None else floor.minNotional if Decimal(floor.minNotional) else floor.notional
    old = known.get(number)
    exponents = (old.price_exponent, old.qty_exponent) if old else _exponents(price, lot, Decimal(notional))
    price_exponent, qty_exponent = exponents
    status = entry.contractStatus or entry.status
    return Instrument(
        instrument_id=number,
        tick_size=parse_decimal(price.tickSize, price_exponent),
        lot_size=parse_decimal(lot.stepSize, qty_exponent),
        min_qty=parse_decimal(lot.minQty, qty_exponent),
        max_qty=parse_decimal(lot.maxQty, qty_exponent),
        min_notional=parse_decimal(notional, price_exponent + qty_exponent),
        contract_size=10**-qty_exponent,
        price_exponent=price_exponent,
        qty_exponent=qty_exponent,
        contract_kind=profile.contract,
        book_mode=BookMode.L2,
        trading=int(status == "TRADING"),
        venue=profile.venue,
        symbol=entry.symbol,
        base_currency=entry.baseAsset,
        quote_currency=entry.quoteAsset,
        settle_currency=entry.marginAsset or entry.quoteAsset,
    )


def _exponents(price: _Filter, lot: _Filter, notional: Decimal) -> tuple[int, int]:
    """(price, quantity): -8 each, coarser where that could overflow, never coarser than tick and lot need."""
    most_price, most_qty = Decimal(price.maxPrice), Decimal(lot.maxQty) * HEADROOM
    price_places = _places(most_price, _decimals(price.tickSize))
    qty_places = _places(most_qty, _decimals(lot.stepSize))
    while notional * 10 ** (price_places + qty_places) > INT64_MAX:
        if qty_places > _decimals(lot.stepSize):
            qty_places -= 1
        elif price_places > _decimals(price.tickSize):
            price_places -= 1
        else:
            break
    return -price_places, -qty_places


def _places(most: Decimal, least: int) -> int:
    places = PRECISION
    while places > least and most * 10**places > INT64_MAX:
        places -= 1
    return places


def _decimals(step: str) -> int:
    """Decimals a step needs: "0.00100000" needs 3."""
    _, _, fraction = step.partition(".")
    return len(fraction.rstrip("0"))
