"""Market records for benchmarks: a recording in its own rhythm, or made up where there is none."""

from __future__ import annotations

import gzip
import random
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from libchronicle.protocol import (
    BestBidAsk,
    BookDelta,
    BookMode,
    BookSnapshot,
    ContractKind,
    Instrument,
    Levels,
    Side,
    Trade,
    instrument_id,
    parse_decimal,
)

__all__ = ["NAME", "Event", "definition", "made_up", "recorded"]

NAME = "binance-usdm:BTCUSDT"
KEY = instrument_id(NAME)
EXPONENT = -8


class Event(NamedTuple):
    """`at_ns` counts from the first event."""

    at_ns: int
    type_id: int
    payload: bytes


def definition() -> Event:
    message = Instrument(
        instrument_id=KEY,
        tick_size=10_000_000,
        lot_size=100_000,
        min_qty=100_000,
        price_exponent=EXPONENT,
        qty_exponent=EXPONENT,
        contract_kind=ContractKind.LINEAR,
        book_mode=BookMode.L2,
        trading=1,
        venue="binance-usdm",
        symbol="BTCUSDT",
        base_currency="BTC",
        quote_currency="USDT",
        settle_currency="USDT",
    )
    return Event(0, Instrument.TEMPLATE_ID, message.encode())


def recorded(path: Path, limit: int) -> tuple[Event, list[Event]]:
    """The snapshot of a recording, and the `limit` events after it."""
    snapshot: Event | None = None
    events: list[Event] = []
    first_ns = 0
    with gzip.open(path) as lines:
        for line in lines:
            stamp, _, text = line.partition(b" ")
            data = msgspec.json.decode(text)
            if "lastUpdateId" in data:
                snapshot = _event(0, _snapshot(data))
                continue
            message = _message(data["data"]) if snapshot is not None else None
            if message is not None:
                first_ns = first_ns or int(stamp)
                events.append(_event(int(stamp) - first_ns, message))
            if len(events) == limit:
                break
    if snapshot is None:
        raise ValueError(f"{path}: no snapshot")
    return snapshot, events


def made_up(limit: int, seed: int = 1) -> tuple[Event, list[Event]]:
    """The same mix of kinds and sizes as a recording, at 250 events a second."""
    rng = random.Random(seed)
    bid = 6_000_000_000_000
    tick = 10_000_000
    snapshot = BookSnapshot(
        instrument_id=KEY,
        last_update_id=1,
        bids=[(bid - i * tick, 100_000_000) for i in range(1000)],
        asks=[(bid + (i + 1) * tick, 100_000_000) for i in range(1000)],
    )
    events = []
    for n in range(limit):
        kind = rng.random()
        message: Any
        if kind < 0.07:
            levels = [(bid - rng.randrange(500) * tick, rng.randrange(1, 10**8)) for _ in range(20)]
            message = BookDelta(instrument_id=KEY, first_update_id=n + 2, last_update_id=n + 2, bids=levels)
        elif kind < 0.3:
            message = Trade(instrument_id=KEY, price=bid, qty=100_000, aggressor=Side.BUY, trade_id=n)
        else:
            message = BestBidAsk(
                instrument_id=KEY, bid_price=bid, bid_qty=1, ask_price=bid + tick, ask_qty=1, update_id=n
            )
        events.append(_event(n * 4_000_000, message))
    return _event(0, snapshot), events


def _event(at_ns: int, message: Any) -> Event:
    return Event(at_ns, message.TEMPLATE_ID, message.encode())


def _message(event: dict[str, Any]) -> Any:
    match event.get("e", "bookTicker"):  # spot tickers name no kind
        case "bookTicker":
            return BestBidAsk(
                instrument_id=KEY,
                update_id=event["u"],
                bid_price=_number(event["b"]),
                bid_qty=_number(event["B"]),
                ask_price=_number(event["a"]),
                ask_qty=_number(event["A"]),
            )
        case "trade":
            price, qty = _number(event["p"]), _number(event["q"])
            side = Side.SELL if event["m"] else Side.BUY
            return Trade(instrument_id=KEY, trade_id=event["t"], price=price, qty=qty, aggressor=side)
        case "depthUpdate":
            return BookDelta(
                instrument_id=KEY,
                first_update_id=event["U"],
                last_update_id=event["u"],
                prev_update_id=event.get("pu", 0),
                bids=_levels(event["b"]),
                asks=_levels(event["a"]),
            )
    return None


def _snapshot(event: dict[str, Any]) -> BookSnapshot:
    return BookSnapshot(
        instrument_id=KEY,
        last_update_id=event["lastUpdateId"],
        bids=_levels(event["bids"]),
        asks=_levels(event["asks"]),
    )


def _levels(pairs: list[list[str]]) -> Levels:
    return [(_number(price), _number(qty)) for price, qty in pairs]


def _number(text: str) -> int:
    return parse_decimal(text, EXPONENT)
