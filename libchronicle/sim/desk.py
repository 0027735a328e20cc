"""The order desk of the embedded venue: accounts of its clients, their orders, and the matcher between them and its market.

Pure: requests and frames go in, events come out. Rules:

- Orders meet the venue's own stream, frame by frame, by the matcher that paper and backtests use (matcher.h). They are not in
  the published book, and orders of two clients do not meet each other.
- A symbol's book is kept from the first order in it on; until somebody trades, the desk costs nothing.
- Money is `portfolio.Account`: spot is paid in full, USD-M is cross margin with leverage. What an order may not be is its
  code; fees are taken in the settle currency, on spot the quote asset.
- Ids are higher than those of the run before: they begin with the market's time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from libchronicle.book import L2Book
from libchronicle.portfolio import Account, InstrumentTerms, MakerTaker
from libchronicle.protocol import (
    BookDelta,
    BookSnapshot,
    ContractKind,
    ExecType,
    Liquidity,
    OrderType,
    RejectCode,
    Side,
    StpMode,
    TimeInForce,
    instrument_id,
)
from libchronicle.protocol.fixed import parse_decimal
from libchronicle.sim.frames import DEPTH, TRADE, Frame
from libchronicle.sim.instruments import SPOT, Instrument
from libchronicle.sim.matcher import Matcher, MatchEvent
from libchronicle.sim.source import MarketSource
from libchronicle.sim.textbook import DepthEvent, TextLevel

__all__ = ["Credentials", "Desk", "DeskEvent", "DeskFill", "DeskOrder", "Refused", "Trader", "Wanted"]

DEPTH_LEVELS = 5000
KEPT_ORDERS = 1000
"""Of a client, that are over and can still be asked for; as many of its trades."""
MAX_OPEN_ORDERS = 200
"""Of a client and symbol, as exchangeInfo says."""
FEES_BPS = {SPOT: (10.0, 10.0), "binance-usdm": (2.0, 5.0)}
LEVERAGE = 20

_FILTERS = (RejectCode.BAD_PRICE, RejectCode.BAD_QTY, RejectCode.NOTIONAL_LIMIT, RejectCode.NO_MARKET)
_ENDS = (ExecType.FILL, ExecType.CANCELLED, ExecType.EXPIRED, ExecType.REJECT)
_depth = msgspec.json.Decoder(DepthEvent)
_levels = msgspec.json.Decoder(list[TextLevel])


class _Print(msgspec.Struct):
    price: str = msgspec.field(name="p")
    qty: str = msgspec.field(name="q")
    buyer_is_maker: bool = msgspec.field(name="m")


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Who may trade, and what with: amounts by asset, a "*" for every asset not named."""

    key: str = "chronicle"
    secret: str = "chronicle"
    balances: Mapping[str, str] = msgspec.field(default_factory=lambda: {"USDT": "1000000", "*": "100"})


class Refused(Exception):
    """Why a request is not carried out. It never leaves the venue's REST half."""

    def __init__(self, code: RejectCode) -> None:
        super().__init__(code.name)
        self.code = code


class Wanted(NamedTuple):
    """An order as a client asks for it. Mantissas at the instrument's decimals."""

    side: Side
    type: OrderType
    qty: int
    price: int = 0
    tif: TimeInForce = TimeInForce.GTC
    stop_price: int = 0
    post_only: bool = False
    reduce_only: bool = False
    expire_ns: int = 0
    stp: StpMode = StpMode.NONE
    client_id: str = ""


class DeskFill(NamedTuple):
    trade_id: int
    price: int
    qty: int
    value: int  # money
    fee: int  # money
    maker: bool
    time_ms: int
    realized: int  # money


@dataclass(slots=True, eq=False)
class DeskOrder:
    """An order and what became of it."""

    order_id: int
    trader: Trader
    symbol: str
    wanted: Wanted
    time_ms: int
    status: str = "NEW"
    update_ms: int = 0
    cum: int = 0
    value: int = 0  # of its fills, money
    held: int = 0  # quantity for which the account holds money or margin back
    fills: list[DeskFill] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return self.status in ("NEW", "PARTIALLY_FILLED")

    @property
    def reserve_price(self) -> int:
        return self.wanted.price or self.wanted.stop_price


class DeskEvent(NamedTuple):
    """One step of an order: what a user stream tells."""

    kind: ExecType
    order: DeskOrder
    status: str
    fill: DeskFill | None = None


class Trader:
    """One client: its account, its orders."""

    def __init__(self, number: int, credentials: Credentials, account: Account) -> None:
        self.number = number
        self.credentials = credentials
        self.account = account
        self.open: dict[int, DeskOrder] = {}
        self.over: deque[DeskOrder] = deque(maxlen=KEPT_ORDERS)
        self.trades: deque[tuple[DeskOrder, DeskFill]] = deque(maxlen=KEPT_ORDERS)

    def find(self, symbol: str, order_id: int | None, client_id: str | None) -> DeskOrder | None:
        """By id, or the newest of a client id; where both are given, the order has both."""
        for order in (*reversed(self.open.values()), *reversed(self.over)):
            if (
                order.symbol == symbol
                and order_id in (None, order.order_id)
                and client_id in (None, order.wanted.client_id)
            ):
                return order
        return None

    def working(self, symbol: str | None) -> list[DeskOrder]:
        return [order for order in self.open.values() if symbol in (None, order.symbol)]


class _Book(NamedTuple):
    slot: int  # of the matcher
    book: L2Book
    instrument: Instrument
    place: int  # of the accounts


class Desk:
    """All clients of one market."""

    def __init__(self, source: MarketSource, credentials: Iterable[Credentials], *, seed: int = 0) -> None:
        self.source = source
        self.market = source.market
        self.matcher = Matcher(seed=seed)
        self.instruments = source.instruments
        self.terms = {symbol: terms_of(self.market, one) for symbol, one in self.instruments.items()}
        self._books: dict[str, _Book] = {}
        self._kinds: dict[str, tuple[_Book, str]] = {}  # by key of a frame
        self._orders: dict[int, DeskOrder] = {}  # open ones, by id
        self._next_id = source.start_ns // 1_000_000
        self._first_trade = source.start_ns // 1_000_000
        self._now_ns = source.start_ns
        maker, taker = FEES_BPS[self.market]
        self.traders: dict[str, Trader] = {}
        for number, one in enumerate(credentials):
            account = Account(
                self._balances(one),
                leverage=None if self.market == SPOT else LEVERAGE,
                fees=MakerTaker(maker, taker),
            )
            for terms in self.terms.values():
                account.add(terms)
            self.traders[one.key] = Trader(number, one, account)

    def _balances(self, credentials: Credentials) -> dict[str, str]:
        assets = {one.quote_asset for one in self.instruments.values()}
        if self.market == SPOT:
            assets |= {one.base_asset for one in self.instruments.values()}
        given, rest = credentials.balances, credentials.balances.get("*", "0")
        return {asset: given.get(asset, rest) for asset in sorted(assets)}

    # ------------------------------------------------------------ requests

    def place(self, trader: Trader, symbol: str, wanted: Wanted) -> tuple[DeskOrder, list[DeskEvent]]:
        """A new order and what became of it at once. Raises Refused; nothing has happened then."""
        book = self._book(symbol)
        if any(one.wanted.client_id == wanted.client_id for one in trader.open.values()):
            raise Refused(RejectCode.DUPLICATE)
        if len(trader.working(symbol)) >= MAX_OPEN_ORDERS:
            raise Refused(RejectCode.OPEN_ORDERS_LIMIT)
        self._check(trader, book, wanted)
        self._next_id += 1
        order = DeskOrder(self._next_id, trader, symbol, wanted, self.now_ms, update_ms=self.now_ms)
        self._orders[order.order_id] = order
        events = self.matcher.new(
            book.slot, order.order_id, wanted.side, wanted.qty, wanted.price, owner=trader.number, type=wanted.type,
            time_in_force=wanted.tif, post_only=wanted.post_only, reduce_only=wanted.reduce_only,
            stop_price=wanted.stop_price, expire_ns=wanted.expire_ns, stp=wanted.stp, now=self._now_ns,
        )  # fmt: skip
        if events[0].kind == ExecType.REJECT and events[0].code != RejectCode.NOT_FILLABLE:
            del self._orders[order.order_id]
            raise Refused(events[0].code)
        trader.open[order.order_id] = order
        return order, self._told(events)

    def _check(self, trader: Trader, book: _Book, wanted: Wanted) -> None:
        bid, ask = book.book.bid_price or 0, book.book.ask_price or 0
        price = wanted.price or wanted.stop_price
        kind = OrderType.LIMIT if price else OrderType.MARKET
        code = trader.account.check(
            book.place, wanted.side, kind, price, wanted.qty, bid, ask, wanted.reduce_only
        )
        if code:
            raise Refused(RejectCode(code))

    def check_filters(self, trader: Trader, symbol: str, wanted: Wanted) -> None:
        """What an order may not be whatever the account holds. Raises Refused."""
        try:
            self._check(trader, self._book(symbol), wanted)
        except Refused as refused:
            if refused.code in _FILTERS:
                raise

    def cancel(self, order: DeskOrder) -> list[DeskEvent]:
        return self._told(self.matcher.cancel(order.order_id, owner=order.trader.number))

    def cancel_all(self, trader: Trader, symbol: str) -> list[DeskEvent]:
        found = self._books.get(symbol)
        if found is None:
            return []
        return self._told(self.matcher.cancel_all(owner=trader.number, slot=found.slot))

    # ------------------------------------------------------------ the market

    @property
    def now_ms(self) -> int:
        return max(self._now_ns // 1_000_000, self.source.time_ms)

    def on_frames(self, frames: Iterable[Frame]) -> list[DeskEvent]:
        """The venue published these."""
        events: list[DeskEvent] = []
        if not self._kinds:
            return events
        for frame in frames:
            self._now_ns = max(self._now_ns, frame.time_ns)
            known = self._kinds.get(frame.key)
            if known is not None:
                events += self._told(self._moved(*known, frame))
        events += self._told(self.matcher.expire(self._now_ns))
        if self.market != SPOT:
            events += self._mark()
        return events

    def _moved(self, at: _Book, kind: str, frame: Frame) -> list[MatchEvent]:
        if kind == TRADE:
            seen = msgspec.json.decode(frame.data, type=_Print)
            price, qty = self._mantissas(at.instrument, (seen.price, seen.qty))
            return self.matcher.trade(at.slot, price, qty, Side.SELL if seen.buyer_is_maker else Side.BUY)
        event = _depth.decode(frame.data)
        delta = BookDelta(
            instrument_id=at.book.instrument_id,
            first_update_id=event.first,
            last_update_id=event.last,
            bids=[self._mantissas(at.instrument, level) for level in event.bids],
            asks=[self._mantissas(at.instrument, level) for level in event.asks],
        )
        at.book.apply(delta.TEMPLATE_ID, delta.encode())
        return self.matcher.book(at.slot)

    @staticmethod
    def _mantissas(instrument: Instrument, level: TextLevel) -> tuple[int, int]:
        return parse_decimal(level[0], -instrument.price_decimals), parse_decimal(
            level[1], -instrument.qty_decimals
        )

    def _book(self, symbol: str) -> _Book:
        """The symbol's book; the venue's own, as it stands, when it is first asked for. Raises Refused."""
        found = self._books.get(symbol)
        if found is not None:
            return found
        view = self.source.depth(symbol, DEPTH_LEVELS)
        if view is None:
            raise Refused(RejectCode.NO_MARKET)
        instrument, book = self.instruments[symbol], L2Book(self.terms[symbol].instrument_id)
        start = BookSnapshot(
            instrument_id=book.instrument_id,
            last_update_id=view.last_update_id,
            bids=[self._mantissas(instrument, level) for level in _levels.decode(view.bids)],
            asks=[self._mantissas(instrument, level) for level in _levels.decode(view.asks)],
        )
        book.apply(start.TEMPLATE_ID, start.encode())
        slot = self.matcher.add(book.instrument_id, book, tick=instrument.tick, lot=instrument.lot)
        found = self._books[symbol] = _Book(slot, book, instrument, list(self.instruments).index(symbol))
        for kind in (DEPTH, TRADE):
            self._kinds[f"{symbol.lower()}@{kind}"] = (found, kind)
        return found

    def _mark(self) -> list[DeskEvent]:
        """Contracts at the mid price; who is below the maintenance margin is closed out."""
        events: list[DeskEvent] = []
        for symbol, at in self._books.items():
            bid, ask = at.book.bid_price, at.book.ask_price
            if bid is None or ask is None:
                continue
            for trader in self.traders.values():
                held = self.matcher.position(at.slot, trader.number)
                if held and trader.account.mark(at.place, (bid + ask) // 2):
                    events += self.cancel_all(trader, symbol)
                    trader.account.close_out(at.place, bid if held > 0 else ask, ts_ns=self._now_ns)
                    self.matcher.set_position(at.slot, 0, owner=trader.number)
        return events

    # ------------------------------------------------------------ outcome

    def _told(self, events: Iterable[MatchEvent]) -> list[DeskEvent]:
        told = []
        for event in events:
            order = self._orders.get(event.key)
            if order is not None:
                told.append(self._step(order, event))
        return told

    def _step(self, order: DeskOrder, event: MatchEvent) -> DeskEvent:
        fill = self._book_fill(order, event) if event.last_qty else None
        order.update_ms = self.now_ms
        order.status = _status(event, order)
        left = order.wanted.qty - order.cum if order.is_open and not _immediate(order.wanted) else 0
        if left != order.held:
            place = self._books[order.symbol].place
            order.trader.account.opened(place, order.wanted.side, left - order.held, order.reserve_price)
            order.held = left
        if event.kind in _ENDS:
            del self._orders[order.order_id]
            order.trader.open.pop(order.order_id, None)
            order.trader.over.append(order)
        return DeskEvent(event.kind, order, order.status, fill)

    def _book_fill(self, order: DeskOrder, event: MatchEvent) -> DeskFill:
        place, account = self._books[order.symbol].place, order.trader.account
        before = account.position(place).realized
        maker = event.liquidity == Liquidity.MAKER
        fee = account.trade(
            place,
            order.wanted.side,
            event.last_price,
            event.last_qty,
            maker=maker,
            first=not order.fills,
            ts_ns=self._now_ns,
        )
        value = self.terms[order.symbol].notional(event.last_price, event.last_qty)
        realized = account.position(place).realized - before
        order.cum, order.value = event.cum, order.value + value
        trade_id = self._first_trade + event.trade_id
        fill = DeskFill(trade_id, event.last_price, event.last_qty, value, fee, maker, self.now_ms, realized)
        order.fills.append(fill)
        order.trader.trades.append((order, fill))
        return fill


def _immediate(wanted: Wanted) -> bool:
    return wanted.type == OrderType.MARKET or wanted.tif in (TimeInForce.IOC, TimeInForce.FOK)


def _status(event: MatchEvent, order: DeskOrder) -> str:
    if event.kind == ExecType.EXPIRED or event.kind == ExecType.REJECT:  # only fill-or-kill comes so far
        return "EXPIRED_IN_MATCH" if event.code == RejectCode.SELF_TRADE else "EXPIRED"
    if event.kind == ExecType.CANCELLED:
        return "CANCELED"
    if event.kind == ExecType.FILL:
        return "FILLED"
    return "PARTIALLY_FILLED" if order.cum else "NEW"


def terms_of(market: str, one: Instrument) -> InstrumentTerms:
    """What money depends on."""
    name = f"{market}:{one.symbol}"
    return InstrumentTerms(
        instrument_id=instrument_id(name),
        tick_size=one.tick,
        lot_size=one.lot,
        price_exponent=-one.price_decimals,
        qty_exponent=-one.qty_decimals,
        kind=ContractKind.SPOT if market == SPOT else ContractKind.LINEAR,
        min_qty=one.lot,
        name=name,
        settle_currency=one.quote_asset,
        quote_currency=one.quote_asset,
        base_currency=one.base_asset,
    )
