"""Market data: instruments, books, trades, order-level events, gaps, venue status.

Generated from chronicle.xml by `python -m libchronicle.protocol.generate`; do not edit.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from libchronicle.protocol.codec import GroupLayout, Layout, Levels, SbeMessage
from libchronicle.protocol.enums import (
    AuctionFlags,
    BookFlags,
    BookMode,
    ContractKind,
    GapReason,
    OrderBookFlags,
    PhaseFlags,
    Side,
    TradingPhase,
    VenueState,
)

__all__ = [
    "AuctionInfo",
    "BestBidAsk",
    "BookDelta",
    "BookReset",
    "BookSnapshot",
    "Gap",
    "Heartbeat",
    "Instrument",
    "OrderAdd",
    "OrderDelete",
    "OrderExecute",
    "OrderModify",
    "PhaseChange",
    "Trade",
    "VenueStatus",
]


class Instrument(SbeMessage, kw_only=True, gc=False):
    """Definition of one instrument; repeated at the head of every raw and clean segment."""

    TEMPLATE_ID: ClassVar[int] = 1
    LAYOUT: ClassVar[Layout] = Layout(
        "Instrument",
        1,
        "Q6q2b3B3x16s32s16s16s16s",
        "instrument_id tick_size lot_size min_qty max_qty min_notional contract_size price_exponent "
        "qty_exponent contract_kind book_mode trading venue symbol base_currency quote_currency "
        "settle_currency",
        enums={"contract_kind": ContractKind, "book_mode": BookMode},
        texts={"venue": 16, "symbol": 32, "base_currency": 16, "quote_currency": 16, "settle_currency": 16},
    )

    instrument_id: int = 0
    tick_size: int = 0  # mantissa at priceExponent
    lot_size: int = 0  # mantissa at qtyExponent
    min_qty: int = 0
    max_qty: int = 0
    min_notional: int = 0  # mantissa at priceExponent + qtyExponent
    contract_size: int = 0  # mantissa at qtyExponent
    price_exponent: int = 0
    qty_exponent: int = 0
    contract_kind: ContractKind = ContractKind.SPOT
    book_mode: BookMode
    trading: int = 0  # 1 while the venue accepts orders
    venue: str = ""
    symbol: str = ""
    base_currency: str = ""
    quote_currency: str = ""
    settle_currency: str = ""


class BookSnapshot(SbeMessage, kw_only=True, gc=False):
    """All levels the venue gave at one update id, best first; the book starts anew from it."""

    TEMPLATE_ID: ClassVar[int] = 2
    LAYOUT: ClassVar[Layout] = Layout(
        "BookSnapshot",
        2,
        "Q3q2QH6x",
        "instrument_id venue_ts event_ts recv_ts last_update_id raw_seq flags",
        enums={"flags": BookFlags},
        groups=(
            GroupLayout("bids", "2q", since=0),
            GroupLayout("asks", "2q", since=0),
        ),
    )

    instrument_id: int = 0
    venue_ts: int = 0
    event_ts: int = 0
    recv_ts: int = 0
    last_update_id: int = 0
    raw_seq: int = 0  # clean records: seq of the raw record
    flags: BookFlags = BookFlags(0)
    bids: Levels = msgspec.field(default_factory=list)
    asks: Levels = msgspec.field(default_factory=list)


class BookDelta(SbeMessage, kw_only=True, gc=False):
    """Levels that changed between two update ids; quantity 0 removes a level."""

    TEMPLATE_ID: ClassVar[int] = 3
    LAYOUT: ClassVar[Layout] = Layout(
        "BookDelta",
        3,
        "Q3q4QH6x",
        "instrument_id venue_ts event_ts recv_ts first_update_id last_update_id prev_update_id raw_seq flags",
        enums={"flags": BookFlags},
        groups=(
            GroupLayout("bids", "2q", since=0),
            GroupLayout("asks", "2q", since=0),
        ),
    )

    instrument_id: int = 0
    venue_ts: int = 0
    event_ts: int = 0
    recv_ts: int = 0
    first_update_id: int = 0
    last_update_id: int = 0
    prev_update_id: int = 0  # 0 where the venue gives none
    raw_seq: int = 0
    flags: BookFlags = BookFlags(0)
    bids: Levels = msgspec.field(default_factory=list)
    asks: Levels = msgspec.field(default_factory=list)


class BestBidAsk(SbeMessage, kw_only=True, gc=False):
    """Best price and quantity of both sides."""

    TEMPLATE_ID: ClassVar[int] = 4
    LAYOUT: ClassVar[Layout] = Layout(
        "BestBidAsk",
        4,
        "Q3qQ4qQ",
        "instrument_id venue_ts event_ts recv_ts update_id bid_price bid_qty ask_price ask_qty raw_seq",
    )

    instrument_id: int = 0
    venue_ts: int = 0
    event_ts: int = 0
    recv_ts: int = 0
    update_id: int = 0
    bid_price: int = 0
    bid_qty: int = 0
    ask_price: int = 0
    ask_qty: int = 0
    raw_seq: int = 0


class Trade(SbeMessage, kw_only=True, gc=False):
    """One trade as the venue published it."""

    TEMPLATE_ID: ClassVar[int] = 5
    LAYOUT: ClassVar[Layout] = Layout(
        "Trade",
        5,
        "Q3qQ2qQB7x",
        "instrument_id venue_ts event_ts recv_ts trade_id price qty raw_seq aggressor",
        enums={"aggressor": Side},
    )

    instrument_id: int = 0
    venue_ts: int = 0
    event_ts: int = 0
    recv_ts: int = 0
    trade_id: int = 0
    price: int = 0
    qty: int = 0
    raw_seq: int = 0
    aggressor: Side = Side.NONE


class OrderAdd(SbeMessage, kw_only=True, gc=False):
    """Order-level (L3): an order entered the book."""

    TEMPLATE_ID: ClassVar[int] = 6
    LAYOUT: ClassVar[Layout] = Layout(
        "OrderAdd",
        6,
        "Q3q2Q2qQB7xH6x",
        "instrument_id venue_ts event_ts recv_ts venue_seq order_id price qty raw_seq side flags",
        enums={"side": Side, "flags": OrderBookFlags},
    )

    instrument_id: int = 0
    venue_ts: int = 0
    event_ts: int = 0
    recv_ts: int = 0
    venue_seq: int = 0
    order_id: int = 0
    price: int = 0
    qty: int = 0
    raw_seq: int = 0
    side: Side = Side.NONE
    flags: OrderBookFlags = OrderBookFlags(0)


class OrderModify(SbeMessage, kw_only=True, gc=False):
    """Order-level (L3): an order changed price or quantity."""

    TEMPLATE_ID: ClassVar[int] = 7
    LAYOUT: ClassVar[Layout] = Layout(
        "OrderModify",
        7,
        "Q3q3Q2qQB7xH6x",
        "instrument_id venue_ts event_ts recv_ts venue_seq order_id new_order_id price qty raw_seq side "
        "flags",
        enums={"side": Side, "flags": OrderBookFlags},
    )

    instrument_id: int = 0
    venue_ts: int = 0
    event_ts: int = 0
    recv_ts: int = 0
    venue_seq: int = 0
    order_id: int = 0
    new_order_id: int = 0  # same as orderId where the venue keeps it
    price: int = 0
    qty: int = 0
    raw_seq: int = 0
    side: Side = Side.NONE
    flags: OrderBookFlags = OrderBookFlags(0)


class OrderDelete(SbeMessage, kw_only=True, gc=False):
    """Order-level (L3): an order, or part of it, left the book unfilled."""

    TEMPLATE_ID: ClassVar[int] = 8
    LAYOUT: ClassVar[Layout] = Layout(
        "OrderDelete",
        8,
        "Q3q2QqQB7x",
        "instrument_id venue_ts event_ts recv_ts venue_seq order_id qty raw_seq side",
        enums={"side": Side},
    )

    instrument_id: int = 0
    venue_ts: int = 0
    event_ts: int = 0
    recv_ts: int = 0
    venue_seq: int = 0
    order_id: int = 0
    qty: int = 0  # quantity cancelled; 0 = all that is left
    raw_seq: int = 0
    side: Side = Side.NONE


class OrderExecute(SbeMessage, kw_only=True, gc=False):
    """Order-level (L3): an order in the book was filled, wholly or in part."""

    TEMPLATE_ID: ClassVar[int] = 9
    LAYOUT: ClassVar[Layout] = Layout(
        "OrderExecute",
        9,
        "Q3q3Q2qQB7x",
        "instrument_id venue_ts event_ts recv_ts venue_seq order_id trade_id price qty raw_seq side",
        enums={"side": Side},
    )

    instrument_id: int = 0
    venue_ts: int = 0
    event_ts: int = 0
    recv_ts: int = 0
    venue_seq: int = 0
    order_id: int = 0
    trade_id: int = 0
    price: int = 0
    qty: int = 0
    raw_seq: int = 0
    side: Side = Side.NONE


class BookReset(SbeMessage, kw_only=True, gc=False):
    """The book is empty from here on and invalid until a snapshot."""

    TEMPLATE_ID: ClassVar[int] = 10
    LAYOUT: ClassVar[Layout] = Layout(
        "BookReset",
        10,
        "Q2qQB7x",
        "instrument_id venue_ts recv_ts raw_seq reason",
        enums={"reason": GapReason},
    )

    instrument_id: int = 0
    venue_ts: int = 0
    recv_ts: int = 0
    raw_seq: int = 0
    reason: GapReason


class Gap(SbeMessage, kw_only=True, gc=False):
    """Records of this instrument are missing before this one; books are invalid until a snapshot."""

    TEMPLATE_ID: ClassVar[int] = 11
    LAYOUT: ClassVar[Layout] = Layout(
        "Gap",
        11,
        "Qq3QB7x",
        "instrument_id recv_ts expected_id received_id raw_seq reason",
        enums={"reason": GapReason},
    )

    instrument_id: int = 0  # 0 = all of the feed
    recv_ts: int = 0
    expected_id: int = 0
    received_id: int = 0
    raw_seq: int = 0
    reason: GapReason


class Heartbeat(SbeMessage, kw_only=True, gc=False):
    """Nothing happened; the writer lives."""

    TEMPLATE_ID: ClassVar[int] = 12
    LAYOUT: ClassVar[Layout] = Layout(
        "Heartbeat",
        12,
        "qQ",
        "ts count",
    )

    ts: int = 0
    count: int = 0


class VenueStatus(SbeMessage, kw_only=True, gc=False):
    """State of the venue connection, or of one instrument."""

    TEMPLATE_ID: ClassVar[int] = 13
    LAYOUT: ClassVar[Layout] = Layout(
        "VenueStatus",
        13,
        "QqB7x16s64s",
        "instrument_id recv_ts state venue reason",
        enums={"state": VenueState},
        texts={"venue": 16, "reason": 64},
    )

    instrument_id: int = 0  # 0 = the whole venue
    recv_ts: int = 0
    state: VenueState
    venue: str = ""
    reason: str = ""


class PhaseChange(SbeMessage, kw_only=True, gc=False):
    """The market of an instrument enters another trading phase."""

    TEMPLATE_ID: ClassVar[int] = 14
    LAYOUT: ClassVar[Layout] = Layout(
        "PhaseChange",
        14,
        "Q3q2QBxH4x",
        "instrument_id venue_ts event_ts recv_ts venue_seq raw_seq phase flags",
        enums={"phase": TradingPhase, "flags": PhaseFlags},
    )

    instrument_id: int = 0  # 0 = the whole venue
    venue_ts: int = 0
    event_ts: int = 0
    recv_ts: int = 0
    venue_seq: int = 0  # place in the venue's channel
    raw_seq: int = 0
    phase: TradingPhase = TradingPhase.UNKNOWN
    flags: PhaseFlags = PhaseFlags(0)


class AuctionInfo(SbeMessage, kw_only=True, gc=False):
    """At which price and volume an auction would clear, or did."""

    TEMPLATE_ID: ClassVar[int] = 15
    LAYOUT: ClassVar[Layout] = Layout(
        "AuctionInfo",
        15,
        "Q3qQ5qQ2BH4x",
        "instrument_id venue_ts event_ts recv_ts venue_seq price qty imbalance_qty reference_price "
        "far_price raw_seq imbalance_side phase flags",
        enums={"imbalance_side": Side, "phase": TradingPhase, "flags": AuctionFlags},
    )

    instrument_id: int = 0
    venue_ts: int = 0
    event_ts: int = 0
    recv_ts: int = 0
    venue_seq: int = 0
    price: int = 0  # at which most would trade
    qty: int = 0  # that would trade there
    imbalance_qty: int = 0  # that would find no counterpart at that price
    reference_price: int = 0  # of the venue, to choose among equals; 0 = not said
    far_price: int = 0  # at which the auction's own orders alone would clear; 0 = not said
    raw_seq: int = 0
    imbalance_side: Side = Side.NONE
    phase: TradingPhase = TradingPhase.UNKNOWN  # the auction meant
    flags: AuctionFlags = AuctionFlags(0)
