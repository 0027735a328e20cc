"""A made-up market of single orders: as records for a backtest, as events for the reference, and as price levels."""

from __future__ import annotations

import random
from collections.abc import Iterable

from made_market import NAME, START, TICK, Timed, definition
from orders_reference import Event, Queues

from libchronicle.protocol import (
    BookDelta,
    BookMode,
    BookSnapshot,
    Instrument,
    OrderAdd,
    OrderDelete,
    OrderExecute,
    OrderModify,
    SbeMessage,
    Side,
    Trade,
    instrument_id,
)

SIDES = {1: Side.BUY, -1: Side.SELL}


def definition_of_orders(name: str = NAME) -> Instrument:
    plain = definition(name)
    return Instrument(
        **{field: getattr(plain, field) for field in plain.__struct_fields__} | {"book_mode": BookMode.L3}
    )


def events(count: int, seed: int = 1) -> list[tuple[int, Event]]:
    """Orders that come, shrink, move and go; executions from the front, seldom out of turn; hidden prints."""
    rng = random.Random(f"orders:{seed}")
    queues, ts, names, centre = Queues(), START, 0, 100_000
    found: list[tuple[int, Event]] = []

    def put(event: Event) -> None:
        queues.see(event)
        found.append((ts, event))

    def price(side: int) -> int:
        """Never through the other side."""
        wanted = centre - side * TICK * rng.randint(1, 6)
        other = queues.levels(-side, 1)
        return min(wanted, other[0][0] - side * TICK, key=lambda one: side * one) if other else wanted

    for _ in range(60):
        names += 1
        side = rng.choice((1, -1))
        put(("add", names, side, price(side), rng.randint(1, 40)))
    while len(found) < count:
        ts += rng.choice((0, rng.randint(1, 2_000_000)))
        if rng.random() < 0.02:
            centre += rng.choice((-TICK, TICK))
        side = rng.choice((1, -1))
        standing = sorted(name for name, (s, _) in queues.where.items() if s == side)
        roll = rng.random()
        if roll < 0.4 or len(standing) < 12:
            names += 1
            put(("add", names, side, price(side), rng.randint(1, 40)))
        elif roll < 0.6:
            name = rng.choice(standing)
            level = queues.where[name]
            qty = next(one[1] for one in queues.at[level] if one[0] == name)
            gone = rng.randint(1, qty)
            put(("gone", name) if gone == qty else ("less", name, gone))
        elif roll < 0.7:
            name = rng.choice(standing)
            names += 1
            put(("moved", name, rng.choice((name, names)), price(side), rng.randint(1, 40)))
        elif roll < 0.97:
            best = queues.levels(side, 1)[0][0]
            queue = queues.at[side, best]
            name, qty = queue[0 if rng.random() < 0.95 else -1]
            put(("exec", name, rng.randint(1, qty), best))
        else:
            best = queues.levels(side, 1)[0][0]
            put(("print", best, rng.randint(1, 30), side))
    return found


def records(of: Iterable[tuple[int, Event]], name: str = NAME) -> list[Timed]:
    """As a feed of single orders tells it: an execution is told once more as a trade."""
    number, queues, made = instrument_id(name), Queues(), definition_of_orders(name)
    found: list[Timed] = [(START, made)]
    for seq, (ts, event) in enumerate(of, start=1):
        side = queues.where[event[1]][0] if event[0] in ("less", "gone", "moved", "exec") else 0  # type: ignore[index]
        found += [(ts, one) for one in _told(event, side, {"instrument_id": number}, seq)]
        queues.see(event)
    return found


def _told(event: Event, side: int, common: dict[str, int], seq: int) -> list[SbeMessage]:
    kind, *rest = event
    what: list[int] = rest  # type: ignore[assignment]
    order = {**common, "venue_seq": seq}
    match kind:
        case "add":
            name, side, price, qty = what
            return [OrderAdd(order_id=name, side=SIDES[side], price=price, qty=qty, **order)]
        case "less":
            return [OrderDelete(order_id=what[0], side=SIDES[side], qty=what[1], **order)]
        case "gone":
            return [OrderDelete(order_id=what[0], side=SIDES[side], **order)]
        case "moved":
            name, renamed, price, qty = what
            return [
                OrderModify(
                    order_id=name, new_order_id=renamed, side=SIDES[side], price=price, qty=qty, **order
                )
            ]
        case "exec":
            name, qty, price = what
            trade = Trade(price=price, qty=qty, aggressor=SIDES[-side], trade_id=seq, **common)
            return [OrderExecute(order_id=name, side=SIDES[side], price=price, qty=qty, **order), trade]
    price, qty, hit = what
    return [Trade(price=price, qty=qty, aggressor=SIDES[-hit], trade_id=seq, **common)]


def levels(of: Iterable[tuple[int, Event]], name: str = NAME) -> list[Timed]:
    """The same market as a feed of price levels tells it: trades, and a delta for each change of the book."""
    number, queues, update = instrument_id(name), Queues(), 0
    found: list[Timed] = [
        (START, definition(name)),
        (START, BookSnapshot(instrument_id=number, last_update_id=0, bids=[], asks=[])),
    ]
    for seq, (ts, event) in enumerate(of, start=1):
        before = {(side, price): qty for side in (1, -1) for price, qty in queues.levels(side)}
        hit = queues.where[event[1]][0] if event[0] == "exec" else event[-1]  # type: ignore[index]
        if event[0] in ("exec", "print"):
            price, qty = (event[3], event[2]) if event[0] == "exec" else (event[1], event[2])
            found.append(
                (ts, Trade(instrument_id=number, price=price, qty=qty, aggressor=SIDES[-hit], trade_id=seq))
            )  # type: ignore[arg-type,index,operator]
        queues.see(event)
        after = {(side, price): qty for side in (1, -1) for price, qty in queues.levels(side)}
        changed = sorted(
            level for level in before.keys() | after.keys() if before.get(level) != after.get(level)
        )
        if event[0] != "print":
            update += 1
            sides = {side: [(p, after.get((s, p), 0)) for s, p in changed if s == side] for side in (1, -1)}
            found.append(
                (
                    ts,
                    BookDelta(
                        instrument_id=number,
                        first_update_id=update,
                        last_update_id=update,
                        bids=sides[1],
                        asks=sides[-1],
                    ),
                )
            )
    return found
