"""The checks as a table in Python: the reference that the native ones are held to, code for code and number for number."""

from __future__ import annotations

from collections.abc import Callable

from libchronicle.errors import FixedPointOverflow
from libchronicle.portfolio import MONEY_EXPONENT
from libchronicle.portfolio.fixed import rescale
from libchronicle.protocol import OrderType, RejectCode
from libchronicle.risk import Breach, Proposal, Situation
from libchronicle.risk.checks import MOST_OPEN_ORDERS
from libchronicle.risk.limits import BPS

__all__ = ["CHECKS", "check"]


def check(order: Proposal, now: Situation) -> Breach | None:
    """The first breach, or None. Never raises for an order's values: what does not fit 64 bits is a
    breach."""
    reducing = None
    for at_all, violated in CHECKS:
        if not at_all:
            reducing = only_reduces(order, now) if reducing is None else reducing
            if reducing:
                break
        try:
            breach = violated(order, now)
        except FixedPointOverflow:
            breach = Breach(RejectCode.NOTIONAL_LIMIT)
        if breach is not None:
            return breach
    if now.bucket is not None and not reducing and not now.bucket.take(now.now_ns):
        return Breach(RejectCode.RATE_LIMIT)
    return None


def only_reduces(order: Proposal, now: Situation) -> bool:
    """True when the position cannot grow or turn even if everything open on the order's side fills as
    well."""
    if now.holding is None:
        return False
    if order.reduce_only:
        return True  # the gateway lets it fill only against the position
    open_qty = now.holding.open_buy if order.is_buy else now.holding.open_sell
    return open_qty - order.replaces_leaves + order.qty <= now.holding.reducible(is_buy=order.is_buy)


# ---------------------------------------------------------------- validity: every order


def _killed(_order: Proposal, now: Situation) -> Breach | None:
    return Breach(RejectCode.KILLED) if now.killed else None


def _stale(order: Proposal, now: Situation) -> Breach | None:
    if order.valid_until_ns and order.valid_until_ns < now.now_ns:
        return Breach(RejectCode.STALE, order.valid_until_ns, now.now_ns)
    return None


def _unknown_instrument(_order: Proposal, now: Situation) -> Breach | None:
    if now.terms is None or now.holding is None:
        return Breach(RejectCode.UNKNOWN_INSTRUMENT)
    return None


def _bad_price(order: Proposal, now: Situation) -> Breach | None:
    if order.order_type == OrderType.MARKET:
        return None
    tick = now.terms.tick_size if now.terms else 0
    if order.price <= 0 or (tick and order.price % tick):
        return Breach(RejectCode.BAD_PRICE, tick, order.price)
    return None


def _bad_qty(order: Proposal, now: Situation) -> Breach | None:
    assert now.terms is not None
    lot, low, high = now.terms.lot_size, now.terms.min_qty, now.terms.max_qty
    if order.qty <= 0 or (lot and order.qty % lot):
        return Breach(RejectCode.BAD_QTY, lot, order.qty)
    if order.qty < low:
        return Breach(RejectCode.BAD_QTY, low, order.qty)
    if high and order.qty > high:
        return Breach(RejectCode.BAD_QTY, high, order.qty)
    return None


def _no_market(order: Proposal, now: Situation) -> Breach | None:
    if now.market is None or (now.terms is not None and not now.terms.trading):
        return Breach(RejectCode.NO_MARKET)
    if order.order_type == OrderType.MARKET and not _price_now(order, now):
        return Breach(RejectCode.NO_MARKET)
    return None


def _price_band(order: Proposal, now: Situation) -> Breach | None:
    band = now.limits.price_band_bps
    no_limit = order.order_type in (OrderType.MARKET, OrderType.STOP_MARKET)
    if band is None or no_limit or not now.market or not now.market.reference:
        return None
    reference = now.market.reference
    if abs(order.price - reference) * BPS > reference * band:
        return Breach(RejectCode.BAD_PRICE, reference, order.price)
    return None


def _reduce_only(order: Proposal, now: Situation) -> Breach | None:
    if not order.reduce_only:
        return None
    assert now.holding is not None
    reducible = now.holding.reducible(is_buy=order.is_buy)
    return Breach(RejectCode.REDUCE_ONLY, reducible, order.qty) if reducible == 0 else None


# ---------------------------------------------------------------- size: every order that may enlarge a
# position


def _tripped(_order: Proposal, now: Situation) -> Breach | None:
    return now.tripped


def _permit(_order: Proposal, now: Situation) -> Breach | None:
    return None if now.permitted else Breach(RejectCode.RISK_GATEWAY)


def _not_allowed(_order: Proposal, now: Situation) -> Breach | None:
    return None if now.limits.allowed else Breach(RejectCode.NOT_ALLOWED)


def _stale_market(_order: Proposal, now: Situation) -> Breach | None:
    limit = now.limits.max_data_age_ns
    if limit is None or not now.market or not now.market.ts_ns:
        return None
    age = now.now_ns - now.market.ts_ns
    return Breach(RejectCode.STALE_MARKET, limit, age) if age > limit else None


def _order_size(order: Proposal, now: Situation) -> Breach | None:
    limit = now.limits.max_order_qty
    return (
        Breach(RejectCode.ORDER_SIZE_LIMIT, limit, order.qty)
        if limit is not None and order.qty > limit
        else None
    )


def _order_notional(order: Proposal, now: Situation) -> Breach | None:
    assert now.terms is not None
    value = now.terms.notional(_price_now(order, now), order.qty)
    limit = now.limits.max_order_notional
    if limit is not None and value > limit:
        return Breach(RejectCode.NOTIONAL_LIMIT, limit, value)
    if now.terms.min_notional:
        least = rescale(
            now.terms.min_notional, now.terms.price_exponent + now.terms.qty_exponent, MONEY_EXPONENT
        )
        if value < least:
            return Breach(RejectCode.NOTIONAL_LIMIT, least, value)
    return None


def _position_after(order: Proposal, now: Situation) -> int:
    """The largest position the order's side can lead to, not negative."""
    assert now.holding is not None
    held, qty = now.holding, order.qty - order.replaces_leaves
    after = (
        held.position.qty + held.open_buy + qty if order.is_buy else -held.position.qty + held.open_sell + qty
    )
    return max(0, after)


def _position_qty(order: Proposal, now: Situation) -> Breach | None:
    limit = now.limits.max_position_qty
    if limit is None:
        return None
    after = _position_after(order, now)
    return Breach(RejectCode.POSITION_LIMIT, limit, after) if after > limit else None


def _position_notional(order: Proposal, now: Situation) -> Breach | None:
    limit = now.limits.max_position_notional
    if limit is None:
        return None
    assert now.terms is not None
    value = now.terms.notional(_price_now(order, now), _position_after(order, now))
    return Breach(RejectCode.NOTIONAL_LIMIT, limit, value) if value > limit else None


def _exposure(order: Proposal, now: Situation) -> Breach | None:
    limit = now.limits.max_exposure
    if limit is None:
        return None
    assert now.terms is not None
    total = now.terms.notional(_price_now(order, now), _position_after(order, now)) + now.exposure
    return Breach(RejectCode.EXPOSURE_LIMIT, limit, total) if total > limit else None


def _open_orders(order: Proposal, now: Situation) -> Breach | None:
    limit = now.limits.max_open_orders
    limit = MOST_OPEN_ORDERS if limit is None else limit
    if not order.is_replace and now.open_orders >= limit:
        return Breach(RejectCode.OPEN_ORDERS_LIMIT, limit, now.open_orders + 1)
    return None


def _price_now(order: Proposal, now: Situation) -> int:
    """The price the order would trade at at worst: its limit, the opposite best for a market order. 0 =
    unknown."""
    bid, ask = (now.market.best_bid, now.market.best_ask) if now.market else (0, 0)
    if order.order_type == OrderType.MARKET:
        return ask if order.is_buy else bid
    return order.price if order.is_buy else max(order.price, bid)


CHECKS: tuple[tuple[bool, Callable[[Proposal, Situation], Breach | None]], ...] = (
    # (holds for reducing orders too, the check)
    (True, _killed),
    (True, _stale),
    (True, _unknown_instrument),
    (True, _bad_price),
    (True, _bad_qty),
    (True, _no_market),
    (True, _price_band),
    (True, _reduce_only),
    (False, _permit),
    (False, _tripped),
    (False, _not_allowed),
    (False, _stale_market),
    (False, _order_size),
    (False, _order_notional),
    (False, _position_qty),
    (False, _position_notional),
    (False, _exposure),
    (False, _open_orders),
)
