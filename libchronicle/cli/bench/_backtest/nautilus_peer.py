"""nautilus_trader on the rows of a file; run by an interpreter that has the package: ROWS REPEATS.

Rows of one message are one OrderBookDeltas or a TradeTick. Risk engine, logging and analysis are off. Times of `engine.run()`.
"""

# mypy: ignore-errors
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

import json
import sys
from decimal import Decimal
from statistics import median
from time import perf_counter

import numpy as np
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.backtest.models import LatencyModel
from nautilus_trader.config import LoggingConfig, RiskEngineConfig, StrategyConfig
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import BookOrder, OrderBookDelta, OrderBookDeltas, TradeTick
from nautilus_trader.model.enums import AccountType, AggressorSide, BookAction, BookType, OmsType, OrderSide
from nautilus_trader.model.identifiers import TradeId, Venue
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

INSTRUMENT = TestInstrumentProvider.btcusdt_perp_binance()
QTY, MOST = Quantity(0.01, 3), 0.1
LATENCY_NS = 5_000_000
REPEATS = 3  # a run takes a second or more


def read_rows(path):
    with open(path, "rb") as file:
        head = json.loads(file.readline())
        count = head["count"]
        return {
            name: np.frombuffer(file.read(count * np.dtype(code).itemsize), code)
            for name, code in head["columns"].items()
        }


def messages_of(rows):
    """Deltas and trades, in order."""
    key, found = INSTRUMENT.id, []
    kind, message, ts, side, px, qty = (
        rows[name].tolist() for name in ("kind", "msg_id", "local_ns", "side", "px", "qty")
    )
    at, count = 0, len(kind)
    while at < count:
        end = at + 1
        if kind[at] == 3:
            taker = AggressorSide.BUYER if side[at] > 0 else AggressorSide.SELLER
            found.append(
                TradeTick(
                    key,
                    Price(px[at], 1),
                    Quantity(qty[at], 3),
                    taker,
                    TradeId(str(message[at])),
                    ts[at],
                    ts[at],
                )
            )
            at = end
            continue
        while end < count and message[end] == message[at] and kind[end] == kind[at]:
            end += 1
        deltas = [OrderBookDelta.clear(key, 0, ts[at], ts[at])] if kind[at] == 1 else []
        for row in range(at, end):
            action = BookAction.UPDATE if qty[row] else BookAction.DELETE
            order = BookOrder(
                OrderSide.BUY if side[row] > 0 else OrderSide.SELL,
                Price(px[row], 1),
                Quantity(qty[row], 3),
                0,
            )
            deltas.append(
                OrderBookDelta(key, action, order, 128 if row == end - 1 else 0, 0, ts[row], ts[row])
            )
        found.append(OrderBookDeltas(key, deltas))
        at = end
    return found


class Feed(Strategy):
    def on_start(self):
        self.messages = self.fills = 0
        self.subscribe_order_book_deltas(INSTRUMENT.id, book_type=BookType.L2_MBP)
        self.subscribe_trade_ticks(INSTRUMENT.id)

    def on_order_book_deltas(self, deltas):
        self.messages += 1

    def on_trade_tick(self, tick):
        self.messages += 1


class Quoter(Feed):
    def on_start(self):
        super().on_start()
        self.mine = {OrderSide.BUY: None, OrderSide.SELL: None}
        self.held = 0.0

    def quote(self):
        book = self.cache.order_book(INSTRUMENT.id)
        if book is None:
            return
        for side, price in ((OrderSide.BUY, book.best_bid_price()), (OrderSide.SELL, book.best_ask_price())):
            order = self.mine[side]
            may = self.held < MOST - 0.0005 if side == OrderSide.BUY else self.held > -MOST + 0.0005
            if order is not None and not order.is_closed:
                if order.price == price or not order.is_open or order.is_pending_cancel:
                    continue
                self.cancel_order(order)
            if may and price is not None:
                order = self.order_factory.limit(INSTRUMENT.id, side, QTY, price, post_only=True)
                self.mine[side] = order
                self.submit_order(order)

    def on_order_filled(self, event):
        self.fills += 1
        qty = event.last_qty.as_double()
        self.held += qty if event.order_side == OrderSide.BUY else -qty


class QuoteEveryMessage(Quoter):
    def on_order_book_deltas(self, deltas):
        self.quote()

    def on_trade_tick(self, tick):
        self.quote()


class QuoteOnTimer(Quoter):
    def on_start(self):
        super().on_start()
        self.clock.set_timer_ns("quote", 100_000_000, 0, 0, lambda event: self.quote())

    def on_order_book_deltas(self, deltas):
        pass

    def on_trade_tick(self, tick):
        pass


def run(strategy, messages):
    config = BacktestEngineConfig(
        logging=LoggingConfig(bypass_logging=True),
        risk_engine=RiskEngineConfig(bypass=True),
        run_analysis=False,
    )
    engine = BacktestEngine(config)
    engine.add_venue(
        Venue("BINANCE"),
        OmsType.NETTING,
        AccountType.MARGIN,
        [Money(1_000_000, USDT)],
        base_currency=USDT,
        default_leverage=Decimal(10),
        book_type=BookType.L2_MBP,
        latency_model=LatencyModel(LATENCY_NS),
    )
    engine.add_instrument(INSTRUMENT)
    engine.add_data(messages, validate=False, sort=False)
    made = strategy(StrategyConfig())
    engine.add_strategy(made)
    began = perf_counter()
    engine.run()
    spent = perf_counter() - began
    fills = made.fills
    engine.dispose()
    return spent, fills


def main(path, repeats):
    rows = read_rows(path)
    messages = messages_of(rows)
    found = {}
    for workload, strategy in {"feed": Feed, "mm100": QuoteOnTimer, "mmfeed": QuoteEveryMessage}.items():
        runs = [run(strategy, messages) for _ in range(min(repeats, REPEATS))]
        found[f"nautilus_{workload}_rows_per_s"] = round(
            len(rows["kind"]) / median(spent for spent, _ in runs)
        )
        found[f"nautilus_{workload}_fills"] = runs[0][1]
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
