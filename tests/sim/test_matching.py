"""The matching engine: priority, prices, conservation."""

from hypothesis import given
from hypothesis import strategies as st

from libchronicle.sim.matching import BUY, SELL, Order, OrderBook


def submit(book: OrderBook, order_id: int, side: int, price: int, qty: int) -> list[tuple[int, int, int]]:
    return [(fill.maker_id, fill.price, fill.qty) for fill in book.submit(Order(order_id, side, price, qty))]


def test_an_order_that_meets_nobody_rests_and_shows_at_its_price() -> None:
    book = OrderBook()
    assert submit(book, 1, BUY, 100, 5) == []
    assert (book.bids.best, book.bids.best_qty(), book.asks.best) == (100, 5, None)


def test_the_oldest_order_of_a_level_trades_first() -> None:
    book = OrderBook()
    submit(book, 1, SELL, 101, 3)
    submit(book, 2, SELL, 101, 3)
    assert submit(book, 3, BUY, 101, 4) == [(1, 101, 3), (2, 101, 1)]
    assert book.asks.best_qty() == 2


def test_the_taker_gets_the_better_resting_price() -> None:
    book = OrderBook()
    submit(book, 1, SELL, 101, 1)
    submit(book, 2, SELL, 99, 1)
    assert submit(book, 3, BUY, 105, 3) == [(2, 99, 1), (1, 101, 1)]
    assert (book.bids.best, book.bids.best_qty()) == (105, 1), "the rest of it rests at its own limit"


def test_an_immediate_order_leaves_nothing_behind() -> None:
    book = OrderBook()
    submit(book, 1, SELL, 101, 1)
    assert book.submit(Order(2, BUY, 101, 5), rest=False)[0].qty == 1
    assert book.bids.best is None
    assert not book.orders


def test_a_market_order_walks_the_levels_and_drops_what_is_left() -> None:
    book = OrderBook()
    submit(book, 1, BUY, 99, 1)
    submit(book, 2, BUY, 90, 1)
    order = Order(3, SELL, 0, 5)
    assert [fill.price for fill in book.submit_market(order)] == [99, 90]
    assert order.remaining == 3
    assert book.bids.best is None


def test_cancelling_twice_finds_nothing_the_second_time() -> None:
    book = OrderBook()
    submit(book, 1, BUY, 99, 4)
    cancelled = book.cancel(1)
    assert cancelled is not None
    assert cancelled.remaining == 4
    assert book.cancel(1) is None
    assert book.bids.best is None


def test_touched_levels_are_told_once_and_an_empty_one_as_zero() -> None:
    book = OrderBook()
    submit(book, 1, BUY, 99, 4)
    submit(book, 2, BUY, 98, 1)
    book.cancel(1)
    assert book.bids.drain_changed() == [(99, 0), (98, 1)]
    assert book.bids.drain_changed() == []


orders = st.lists(
    st.tuples(
        st.sampled_from(["limit", "market", "cancel"]),
        st.sampled_from([BUY, SELL]),
        st.integers(90, 110),
        st.integers(1, 9),
    ),
    max_size=80,
)


@given(orders)
def test_quantity_is_conserved_and_the_book_never_crosses(actions: list[tuple[str, int, int, int]]) -> None:
    book = OrderBook()
    accepted = traded = cancelled = dropped = 0
    for order_id, (kind, side, price, qty) in enumerate(actions):
        if kind == "cancel":
            gone = book.cancel(price % max(1, order_id))
            cancelled += gone.remaining if gone else 0
            continue
        accepted += qty
        order = Order(order_id, side, price, qty)
        fills = book.submit(order) if kind == "limit" else book.submit_market(order)
        traded += 2 * sum(fill.qty for fill in fills)
        dropped += order.remaining if kind == "market" else 0
        assert book.bids.best is None or book.asks.best is None or book.bids.best < book.asks.best
        assert book.bids.best == max(book.bids.levels, default=None)
        assert book.asks.best == min(book.asks.levels, default=None)
    resting = sum(order.remaining for order in book.orders.values())
    levels = sum(level.qty for side in (book.bids, book.asks) for level in side.levels.values())
    assert levels == resting
    assert accepted == traded + cancelled + dropped + resting
