"""A made-up market to try a strategy on: what the embedded exchange would stream, without a process and in no time."""

from __future__ import annotations

from random import Random
from typing import Final

from libchronicle.backtest import Tape
from libchronicle.errors import InvalidArgument
from libchronicle.protocol import (
    BestBidAsk,
    BookDelta,
    BookMode,
    BookSnapshot,
    ContractKind,
    Instrument,
    SbeMessage,
    Side,
    Trade,
    instrument_id,
)
from libchronicle.sim.flow import OrderFlow
from libchronicle.sim.instruments import MARKETS, SPOT, generated_instrument
from libchronicle.sim.matching import BUY

__all__ = ["sample_market"]

START_NS: Final = 1_704_067_200_000_000_000  # 2024-01-01T00:00Z
DIFF_NS: Final = 100_000_000
SNAPSHOT_LEVELS: Final = 1000


def sample_market(
    instrument: str = "binance-spot:BTCUSDT",
    *,
    seconds: float = 60.0,
    seed: int = 1,
    rate: float = 200.0,
    start_ns: int = START_NS,
) -> Tape:
    """A definition, a snapshot, then trades and best prices as they happen and a diff of the book every 100 ms.

    `rate`: events of the order flow per second (`libchronicle.sim.flow`). The same seed gives the same records for ever.
    Raises InvalidArgument for a venue that the generator does not know.
    """
    market, _, symbol = instrument.partition(":")
    if market not in MARKETS or not symbol:
        raise InvalidArgument(
            where="sample_market",
            field="instrument",
            value=instrument,
            allowed=f"SYMBOL of {', '.join(MARKETS)}",
        )
    made = _Sample(instrument, market, symbol, Random(f"{seed}:{instrument}"), rate, start_ns)
    made.play(round(seconds * 1e9))
    made.tape.seal()
    return made.tape


class _Sample:
    """One symbol while it is made."""

    def __init__(self, name: str, market: str, symbol: str, rng: Random, rate: float, start_ns: int) -> None:
        self.tape = Tape(market)
        self._id = instrument_id(name)
        self._spec = spec = generated_instrument(market, symbol)
        self._flow = OrderFlow(spec, rate, rng)
        self._start_ns = start_ns
        self._update_id = self._published = 1
        self._trade_id = 0
        self._best: tuple[int, int, int, int] | None = None
        book = self._flow.book
        book.bids.drain_changed()
        book.asks.drain_changed()
        self._put(0, _definition(name, market))
        self._put(
            0,
            BookSnapshot(
                instrument_id=self._id,
                last_update_id=self._update_id,
                bids=self._levels(book.bids.top(SNAPSHOT_LEVELS)),
                asks=self._levels(book.asks.top(SNAPSHOT_LEVELS)),
            ),
        )

    def play(self, until_ns: int) -> None:
        diff_ns = DIFF_NS
        while min(self._flow.next_ns, diff_ns) < until_ns:
            if diff_ns <= self._flow.next_ns:
                self._diff(diff_ns)
                diff_ns += DIFF_NS
            else:
                self._event()

    def _event(self) -> None:
        """The next event of the flow: its trades, and the best prices if they changed."""
        book, spec = self._flow.book, self._spec
        fills = self._flow.step()
        at_ns = self._flow.time_ns
        self._update_id += 1
        for fill in fills:
            self._trade_id += 1
            side = Side.BUY if fill.taker_side == BUY else Side.SELL
            price, qty = fill.price * spec.tick, fill.qty * spec.lot
            self._put(
                at_ns,
                Trade(instrument_id=self._id, price=price, qty=qty, aggressor=side, trade_id=self._trade_id),
            )
        if book.bids.best is None or book.asks.best is None:
            return
        best = (book.bids.best, book.bids.best_qty(), book.asks.best, book.asks.best_qty())
        if best != self._best:
            self._best = best
            bid, bid_qty, ask, ask_qty = best
            self._put(
                at_ns,
                BestBidAsk(
                    instrument_id=self._id,
                    bid_price=bid * spec.tick,
                    bid_qty=bid_qty * spec.lot,
                    ask_price=ask * spec.tick,
                    ask_qty=ask_qty * spec.lot,
                    update_id=self._update_id,
                ),
            )

    def _diff(self, at_ns: int) -> None:
        book = self._flow.book
        bids, asks = book.bids.drain_changed(), book.asks.drain_changed()
        if not (bids or asks):
            return
        first, self._published = self._published + 1, self._update_id
        self._put(
            at_ns,
            BookDelta(
                instrument_id=self._id,
                first_update_id=first,
                last_update_id=self._update_id,
                prev_update_id=first - 1,
                bids=self._levels(bids),
                asks=self._levels(asks),
            ),
        )

    def _levels(self, levels: list[tuple[int, int]]) -> list[tuple[int, int]]:
        return [(price * self._spec.tick, qty * self._spec.lot) for price, qty in levels]

    def _put(self, at_ns: int, record: SbeMessage) -> None:
        self.tape.append(record.TEMPLATE_ID, record.encode(), self._start_ns + at_ns)


def _definition(name: str, market: str) -> Instrument:
    symbol = name.partition(":")[2]
    spec = generated_instrument(market, symbol)
    return Instrument(
        instrument_id=instrument_id(name),
        venue=market,
        symbol=symbol,
        tick_size=spec.tick,
        lot_size=spec.lot,
        min_qty=spec.lot,
        price_exponent=-spec.price_decimals,
        qty_exponent=-spec.qty_decimals,
        contract_kind=ContractKind.SPOT if market == SPOT else ContractKind.LINEAR,
        base_currency=spec.base_asset,
        quote_currency=spec.quote_asset,
        settle_currency=spec.quote_asset,
        book_mode=BookMode.L2,
        trading=1,
    )
