"""Enums and sets of the schema, every value as on the wire.

Generated from chronicle.xml by `python -m libchronicle.protocol.generate`; do not edit.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

SCHEMA_ID = 4347
SCHEMA_VERSION = 3

__all__ = [
    "SCHEMA_ID",
    "SCHEMA_VERSION",
    "AuctionFlags",
    "BookFlags",
    "BookMode",
    "Command",
    "ContractKind",
    "ExecType",
    "GapReason",
    "Liquidity",
    "OrderBookFlags",
    "OrderFlags",
    "OrderType",
    "PhaseFlags",
    "RejectCode",
    "ReportFlags",
    "RunMode",
    "Side",
    "StpMode",
    "TimeInForce",
    "TradingPhase",
    "VenueState",
]


class Side(IntEnum):
    """Side of an order, or the side that took liquidity in a trade."""

    NONE = 0
    BUY = 1
    SELL = 2


class ContractKind(IntEnum):
    """What a quantity of the instrument is: the asset itself, or a linear or inverse contract."""

    SPOT = 0
    LINEAR = 1
    INVERSE = 2


class BookMode(IntEnum):
    """Which book the venue publishes: price levels (L2) or single orders (L3)."""

    L2 = 2
    L3 = 3


class OrderType(IntEnum):
    """How an order is priced, and whether it waits for its stop price."""

    MARKET = 1
    LIMIT = 2
    STOP_MARKET = 3
    STOP_LIMIT = 4


class TimeInForce(IntEnum):
    """How long an order stands."""

    GTC = 1
    IOC = 2
    FOK = 3
    GTD = 4


class StpMode(IntEnum):
    """Self-trade prevention: which order goes when both sides are ours."""

    NONE = 0
    EXPIRE_TAKER = 1
    EXPIRE_MAKER = 2
    EXPIRE_BOTH = 3


class Liquidity(IntEnum):
    """Whether a fill made or took liquidity."""

    NONE = 0
    MAKER = 1
    TAKER = 2


class ExecType(IntEnum):
    """What an execution report says."""

    ACK = 1
    REJECT = 2
    PARTIAL_FILL = 3
    FILL = 4
    CANCELLED = 5
    EXPIRED = 6
    REPLACED = 7
    CANCEL_REJECT = 8
    REPLACE_REJECT = 9


class RejectCode(IntEnum):
    """Stable reason of a rejection; numbers are never given a new meaning."""

    NONE = 0
    STALE = 1
    KILLED = 2
    UNKNOWN_INSTRUMENT = 3
    BAD_PRICE = 4
    BAD_QTY = 5
    ORDER_SIZE_LIMIT = 6
    POSITION_LIMIT = 7
    NOTIONAL_LIMIT = 8
    RATE_LIMIT = 9
    WOULD_CROSS = 10
    NO_MARKET = 11
    UNKNOWN_ORDER = 12
    NOT_FILLABLE = 13
    VENUE = 14
    LOST = 15
    UNSUPPORTED = 16
    DUPLICATE = 17
    MALFORMED = 18
    OPEN_ORDERS_LIMIT = 19
    REDUCE_ONLY = 20
    INSUFFICIENT_BALANCE = 21
    NOT_ALLOWED = 22
    STALE_MARKET = 23
    EXPOSURE_LIMIT = 24
    DRAWDOWN_LIMIT = 25
    DAILY_LOSS_LIMIT = 26
    LOSS_STREAK = 27
    SELF_TRADE = 28
    LIQUIDATION = 29
    RISK_GATEWAY = 30


class GapReason(IntEnum):
    """Why records are missing or a book was reset."""

    SEQUENCE = 1
    RECONNECT = 2
    MALFORMED = 3
    OVERFLOW = 4
    EVICTED = 5
    LOST = 6
    CROSSED = 7


class VenueState(IntEnum):
    """State of the connection to a venue, or of one instrument of it."""

    CONNECTING = 1
    CONNECTED = 2
    DISCONNECTED = 3
    SYNCING = 4
    SYNCED = 5


class RunMode(IntEnum):
    """Whether orders are real, simulated on live data, or simulated on recorded data."""

    LIVE = 1
    PAPER = 2
    BACKTEST = 3


class Command(IntEnum):
    """What an operator asks of a daemon."""

    KILL = 1
    UNKILL = 2
    PAUSE = 3
    RESUME = 4
    SET_PARAMETER = 5
    RESYNC = 6
    STOP = 7
    CANCEL_ALL = 8


class BookFlags(IntFlag):
    """Of a book record: stale = older than the snapshot to come, injected = written from our own book, resync
    = first after a gap.
    """

    STALE = 1
    QUANTITY_IS_CHANGE = 2
    INJECTED = 4
    RESYNC = 8


class TradingPhase(IntEnum):
    """What the market of an instrument does now: collects orders for an auction, trades as they come, or
    rests.
    """

    UNKNOWN = 0
    PRE_OPEN = 1
    OPENING_AUCTION = 2
    CONTINUOUS = 3
    INTRADAY_AUCTION = 4
    CLOSING_AUCTION = 5
    POST_CLOSE = 6
    CLOSED = 7
    HALTED = 8


class PhaseFlags(IntFlag):
    """What a trading phase does not allow; uncrossing = the auction's executions follow."""

    NO_CANCEL = 1
    NO_MODIFY = 2
    NO_NEW_ORDERS = 4
    UNCROSSING = 8


class AuctionFlags(IntFlag):
    """Of an auction's price and volumes: final = the auction took place, noPrice = nothing would trade."""

    FINAL = 1
    NO_PRICE = 2


class OrderBookFlags(IntFlag):
    """Of an order-level record. noPrice = an order at any price, for the auction. injected = written from our
    own book; first = the book starts anew with this order, last = it is whole after this one.
    """

    NO_PRICE = 1
    INJECTED = 2
    FIRST = 4
    LAST = 8


class OrderFlags(IntFlag):
    """Conditions of an order."""

    REDUCE_ONLY = 1
    POST_ONLY = 2


class ReportFlags(IntFlag):
    """How a report came about: carried over from the last session, or recovered by a query."""

    CARRY_OVER = 1
    RECOVERED = 2
