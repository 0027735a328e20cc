"""Stories told line by line: what happens to each order, and why. Written by hand from the rules."""

from __future__ import annotations

from libchronicle.book import L2Book
from libchronicle.protocol import BookSnapshot, OrderType, Side, StpMode, TimeInForce
from libchronicle.sim.matcher import Matcher, MatchEvent
from libchronicle.sim.queues import ProbQueue, QueueModel, RiskAverseQueue

BUY, SELL = Side.BUY, Side.SELL
FOK, GTD, IOC = TimeInForce.FOK, TimeInForce.GTD, TimeInForce.IOC


class Story:
    """Each line is what one call brought."""

    def __init__(self, queue: QueueModel) -> None:
        self.book, self.matcher = L2Book(7), Matcher()
        self.slot = self.matcher.add(7, self.book, queue=queue)
        self.lines: list[str] = []

    def note(self, events: list[MatchEvent]) -> None:
        self.lines.append("; ".join(self.line(e) for e in events) or "-")

    @staticmethod
    def line(e: MatchEvent) -> str:
        if not e.last_qty:
            return f"{e.key} {e.kind.name}" + (f" {e.code.name}" if e.code else "")
        left = f" of {e.level_qty}@{e.level_price}, {e.ahead} ahead, {e.leaves} left"
        return f"{e.key} {e.rule.name} {e.last_qty}@{e.last_price}{left}"

    def show(self, bids: dict[int, int], asks: dict[int, int]) -> None:
        message = BookSnapshot(instrument_id=7, bids=list(bids.items()), asks=list(asks.items()))
        self.book.apply(message.TEMPLATE_ID, message.encode())
        self.note(self.matcher.book(self.slot))

    def order(self, key: int, side: Side, qty: int, price: int = 0, **more) -> None:
        kind = more.pop("type", OrderType.LIMIT if price else OrderType.MARKET)
        self.note(self.matcher.new(self.slot, key, side, qty, price, type=kind, **more))

    def trade(self, price: int, qty: int, aggressor: Side) -> None:
        self.note(self.matcher.trade(self.slot, price, qty, aggressor))


def test_the_story_of_a_day() -> None:
    s = Story(RiskAverseQueue())
    s.show({99: 10, 98: 20}, {101: 4, 102: 6})
    s.order(1, BUY, 5, 99)  # behind the ten
    s.order(2, BUY, 3, 100)  # alone
    s.order(3, SELL, 7, 101)  # behind the four
    s.trade(99, 12, SELL)  # through 100; at 99 ten, then two of ours
    s.order(4, BUY, 6)  # four at 101, two of the six at 102: not ours at 101
    s.show({99: 8}, {101: 6, 102: 6})  # 101 grew by two: those are on offer
    s.order(5, BUY, 5, 102, time_in_force=IOC)  # two, and three of the four left at 102
    s.order(6, SELL, 2, 98, time_in_force=FOK)
    s.order(7, BUY, 1, 101, post_only=True)
    s.order(8, SELL, 4, 100, stp=StpMode.EXPIRE_MAKER)  # the bid is at 99, ours too: nothing to meet at 100
    s.order(9, BUY, 4, type=OrderType.STOP_MARKET, stop_price=103)
    s.trade(103, 1, BUY)  # through 100 and 101, then the stop takes
    s.order(10, SELL, 9, 97, reduce_only=True)  # the position is 5 + 3 + 6 + 5 + 1 … see below
    s.order(11, BUY, 1, 90, time_in_force=GTD, expire_ns=50, now=40)
    s.note(s.matcher.replace(11, 91, 2, now=45))
    s.note(s.matcher.expire(50))
    s.note(s.matcher.cancel_all())
    assert s.lines == [
        "-",
        "1 ACK",
        "2 ACK",
        "3 ACK",
        "2 THROUGH 3@100 of 12@99, 0 ahead, 0 left; 1 QUEUE 2@99 of 12@99, 10 ahead, 3 left",
        "4 ACK; 4 TAKE 4@101 of 4@101, 0 ahead, 2 left; 4 TAKE 2@102 of 6@102, 0 ahead, 0 left",
        "-",
        "5 ACK; 5 TAKE 2@101 of 6@101, 0 ahead, 3 left; 5 TAKE 3@102 of 6@102, 0 ahead, 0 left",
        "6 ACK; 6 TAKE 2@99 of 8@99, 0 ahead, 0 left",
        "7 REJECT WOULD_CROSS",
        "8 ACK",
        "9 ACK",
        (
            "8 THROUGH 4@100 of 1@103, 0 ahead, 0 left; 3 THROUGH 7@101 of 1@103, 4 ahead, 0 left; "
            "9 STOP 1@102 of 6@102, 0 ahead, 3 left; 9 EXPIRED"
        ),
        # bought 2 + 3 + 6 + 5 + 1 = 17, sold 2 + 4 + 7 = 13: four to reduce, six of the eight at 99 are not taken yet
        "10 ACK; 10 TAKE 4@99 of 8@99, 0 ahead, 5 left; 10 EXPIRED REDUCE_ONLY",
        "11 ACK",
        "11 REPLACED",
        "11 EXPIRED",
        "1 CANCELLED",
    ]
    assert s.matcher.position(s.slot) == 0


def test_the_story_of_a_place_in_the_queue() -> None:
    s = Story(ProbQueue(power=1))
    s.show({99: 40}, {101: 5})
    s.order(1, BUY, 10, 99)
    places = [s.matcher.working()[0].ahead]
    for displayed in (
        60,
        50,
        30,
        12,
        90,
    ):  # +20 behind; then of what goes, p = back / (back + front) is behind us
        s.show({99: displayed}, {101: 5})
        places.append(s.matcher.working()[0].ahead)
    # 60: 40.  50: p = 20/60, 40 - 2/3 · 10 = 33.33.  30: p = 17/50, 33 - .66 · 20 = 19.8 (back 17 - 6.8 > 0).
    # 12: p = 10/30, 20 - 2/3 · 18 = 8.  90: as it was.
    assert places == [40, 40, 33, 20, 8, 8]
    s.trade(99, 11, SELL)
    assert s.lines[-1] == "1 QUEUE 3@99 of 11@99, 8 ahead, 7 left"
