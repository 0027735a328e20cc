"""A small venue that is right by construction, and a pipeline into a real queue."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from libchronicle.book import L2Book
from libchronicle.protocol import BookMode, Instrument, decode, instrument_id
from libchronicle.queue import Queue, QueueConfig
from libchronicle.venues.binance.pipeline import Pipeline
from libchronicle.venues.binance.profile import PROFILES, Profile


def make_instrument(venue: str = "binance-spot", symbol: str = "BTCUSDT") -> Instrument:
    return Instrument(
        instrument_id=instrument_id(f"{venue}:{symbol}"),
        tick_size=10**6,
        lot_size=10**5,
        price_exponent=-8,
        qty_exponent=-8,
        book_mode=BookMode.L2,
        trading=1,
        venue=venue,
        symbol=symbol,
    )


class Market:
    """One symbol's true book; emits depth diffs, tickers and snapshots as the venue does. Never crossed."""

    def __init__(self, profile: Profile, random: Random, symbol: str = "BTCUSDT") -> None:
        self.profile = profile
        self.symbol = symbol
        self._random = random
        self._update = 1000
        self._previous = 1000
        self._trade = 1
        self._mid = 10_000
        self.bids = {self._mid - i: 5 for i in range(1, 20)}
        self.asks = {self._mid + i: 5 for i in range(1, 20)}

    @staticmethod
    def _text(levels: dict[int, int]) -> list[list[str]]:
        return [[f"{price / 100:.8f}", f"{qty:.8f}"] for price, qty in levels.items()]

    def frame(self, kind: str, data: dict[str, object]) -> bytes:
        stream = f"{self.symbol.lower()}@{kind}"
        return json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode()

    def depth(self) -> bytes:
        """Moves the market and tells how."""
        random = self._random
        self._mid += random.randint(-3, 3)
        changes: tuple[dict[int, int], dict[int, int]] = ({}, {})
        for own, side, sign in ((self.bids, changes[0], -1), (self.asks, changes[1], 1)):
            for price in [p for p in own if (p - self._mid) * sign <= 0]:
                side[price] = 0
            for _ in range(random.randint(1, 4)):
                side[self._mid + sign * random.randint(1, 25)] = random.randint(0, 9)
            for price, qty in side.items():
                own[price] = qty
                if qty == 0:
                    del own[price]
        first, self._update = self._update + 1, self._update + random.randint(1, 5)
        data: dict[str, object] = {"e": "depthUpdate", "E": 1723161255208, "s": self.symbol}
        if self.profile.futures:
            data |= {"T": 1723161255200, "U": first, "u": self._update, "pu": self._previous}
        else:
            data |= {"U": first, "u": self._update}
        self._previous = self._update
        data |= {"b": self._text(changes[0]), "a": self._text(changes[1])}
        return self.frame(self.profile.depth_stream, data)

    def trade(self) -> bytes:
        self._trade += 1
        data = {
            "e": "trade",
            "E": 1723161255343,
            "s": self.symbol,
            "t": self._trade,
            "p": "100.5",
            "q": "0.25",
        }
        return self.frame("trade", data | {"T": 1723161255342, "m": True, "M": True})

    def snapshot(self) -> bytes:
        answer = {"lastUpdateId": self._update, "bids": self._text(self.bids), "asks": self._text(self.asks)}
        return json.dumps(answer, separators=(",", ":")).encode()


class Rig:
    """A pipeline, its queue, and what it asked for."""

    def __init__(self, profile: Profile, path: Path, *symbols: str, segment_size: int = 4 << 20) -> None:
        self.profile = profile
        self.path = path
        self.publisher = Queue.open_publisher(path, QueueConfig(segment_size=segment_size, prepare=False))
        self.asked: list[int] = []
        self.controls: list[object] = []
        self.instruments = [make_instrument(profile.venue, symbol) for symbol in symbols or ("BTCUSDT",)]
        self.pipeline = Pipeline(
            profile,
            self.instruments,
            self.publisher,
            on_ask=self.asked.append,
            on_control=self.controls.append,
        )

    def records(self) -> list[object]:
        with Queue.open_subscriber(self.path, None, start="earliest") as reader:
            return [decode(message.type_id, bytes(message)) for message in reader]

    def kinds(self) -> list[str]:
        return [type(record).__name__ for record in self.records()]

    def of(self, kind: type) -> list:
        return [record for record in self.records() if isinstance(record, kind)]

    def book(self, each: Callable[[L2Book, object], None] = lambda book, message: None) -> L2Book:
        """The book after all records; `each` looks at it after every one."""
        book = L2Book(self.instruments[0].instrument_id)
        with Queue.open_subscriber(self.path, None, start="earliest") as reader:
            for message in reader:
                book.apply(message.type_id, message)
                each(book, message)
        return book

    def close(self) -> None:
        self.pipeline.decoder.detach()
        self.publisher.close()


@pytest.fixture(scope="session", params=sorted(PROFILES))
def profile(request: pytest.FixtureRequest) -> Profile:
    return PROFILES[request.param]


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    rigs: list[Rig] = []

    def make(profile: Profile, *symbols: str, **options: int) -> Rig:
        rigs.append(Rig(profile, tmp_path / f"queue{len(rigs)}", *symbols, **options))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()


@pytest.fixture
def rig(make_rig: Callable[..., Rig], profile: Profile) -> Rig:
    return make_rig(profile)


@pytest.fixture(scope="session")
def make_market() -> type[Market]:
    return Market


@pytest.fixture(scope="session")
def rig_class() -> type[Rig]:
    return Rig
