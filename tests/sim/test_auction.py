"""The call auction against the definition, tried out price by price."""

from __future__ import annotations

from random import Random

import pytest

from libchronicle.sim.auction import BUY, SELL, CallOrder, clear, match


def made(rng: Random) -> list[CallOrder]:
    return [
        CallOrder(
            n,
            rng.choice((BUY, SELL)),
            None if rng.random() < 0.2 else rng.randint(95, 105),
            rng.randint(1, 9),
        )
        for n in range(rng.randint(0, 14))
    ]


def traded_at(orders: list[CallOrder], price: int) -> tuple[int, int]:
    bought = sum(o.remaining for o in orders if o.side == BUY and (o.price is None or o.price >= price))
    sold = sum(o.remaining for o in orders if o.side == SELL and (o.price is None or o.price <= price))
    return min(bought, sold), bought - sold


@pytest.mark.parametrize("seed", range(300))
def test_no_price_trades_more_and_what_trades_is_fair(seed):
    rng = Random(seed)
    orders = made(rng)
    before = {o.order_id: o.remaining for o in orders}
    clearing = clear(orders, 100)
    volumes = {price: traded_at(orders, price)[0] for price in range(90, 111)}
    if clearing is None:
        assert max(volumes.values()) == 0
        return
    assert (clearing.qty, clearing.surplus) == traded_at(orders, clearing.price)
    assert clearing.qty == max(volumes.values())
    limits = [o.price for o in orders if o.price is not None] or [100]
    rivals = [p for p in limits if volumes[p] == clearing.qty]
    assert abs(clearing.surplus) == min(abs(traded_at(orders, p)[1]) for p in rivals)

    matches = match(orders, clearing)
    assert sum(m.qty for m in matches) == clearing.qty
    filled = {o.order_id: before[o.order_id] - o.remaining for o in orders}
    assert sum(filled[o.order_id] for o in orders if o.side == BUY) == clearing.qty
    assert sum(filled[o.order_id] for o in orders if o.side == SELL) == clearing.qty
    for o in orders:
        assert o.remaining >= 0
        if filled[o.order_id] and o.price is not None:
            assert (clearing.price - o.price) * o.side <= 0
    for ahead in orders:
        for behind in orders:
            first = ahead.order_id < behind.order_id
            if (
                ahead.side == behind.side
                and ahead.price == behind.price
                and first
                and filled[behind.order_id]
            ):
                assert ahead.remaining == 0


def test_orders_without_a_price_alone_trade_at_the_reference():
    clearing = clear([CallOrder(1, BUY, None, 5), CallOrder(2, SELL, None, 3)], 77)
    assert clearing == (77, 3, 2)


def test_nothing_trades_when_nobody_meets():
    assert clear([CallOrder(1, BUY, 99, 5), CallOrder(2, SELL, 100, 3)], 100) is None
    assert clear([], 100) is None
