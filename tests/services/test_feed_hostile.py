"""chronicle-feed against venues that attack it, over real sockets: it neither ends nor grows, counts what it gets, beats all
the while, and is live again as soon as the real venue is back.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from feed_process import LISTENING, FeedProcess, Process
from gate import Behaviour, Gate
from hostile_requests import ANYWHERE, DEPTHS, INSTRUMENTS, SLOW
from hostile_streams import ENDING, LASTING

from libchronicle.book import L2Book
from libchronicle.queue import Queue
from libchronicle.runtime.daemon import ExitCode

CLIENTS = ("websockets", "picows")
GROWTH_BYTES = 150 << 20
LONG = os.environ.get("CHRONICLE_PROOF") == "long"
LASTS_S = 0.5 if LONG else 0.2
ODD = next(behaviour for behaviour in LASTING if behaviour.__name__ == "odd_texts")


@pytest.fixture(scope="module")
def venue() -> Iterator[int]:
    flags = ("--market", "binance-usdm", "--port", "0", "--symbols", "BTCUSDT", "--rate", "400")
    process = Process("services.exchange", *flags)
    yield int(process.until(LISTENING).group(1))
    process.kill()


@pytest.fixture
def gate(venue: int) -> Iterator[Gate]:
    with Gate(venue) as gate:
        yield gate


@pytest.fixture
def start(tmp_path: Path, gate: Gate) -> Iterator[Callable[[str], FeedProcess]]:
    started: list[FeedProcess] = []

    def run(client: str) -> FeedProcess:
        started.append(FeedProcess(tmp_path, gate.port, client))
        return started[-1]

    yield run
    for feed in started:
        feed.kill()


def chosen(behaviours: Sequence[Behaviour], one_of: int) -> list[Behaviour]:
    """All of them in a long run, else one of so many, another one each time."""
    seed = int(os.environ.get("CHRONICLE_PROOF_SEED") or random.randrange(1, 1 << 30))
    print("seed", seed)
    count = len(behaviours) if LONG else -(-len(behaviours) // one_of)
    return random.Random(seed).sample(list(behaviours), count)


def attack(feed: FeedProcess, gate: Gate, kind: str, behaviour: Behaviour, times: int) -> None:
    """Ends what is connected; from now on the feed meets `behaviour`, and comes back to it for more."""
    name = behaviour.__name__
    setattr(gate, kind, behaviour)
    before = gate.attacks[name]
    gate.cut()
    feed.wait_for(lambda: gate.attacks[name] >= before + times, f"the feed tries {name} again")
    feed.check_well(GROWTH_BYTES, name)


def peace(feed: FeedProcess, gate: Gate, *, cut: bool) -> None:
    """The real venue is back."""
    gate.rest = gate.stream = None
    if cut:
        gate.cut()
    frames = feed.frames()
    feed.wait_for(lambda: feed.state() == "live" and feed.frames() > frames, "live again")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("client", CLIENTS)
def test_whatever_a_stream_does_to_it_a_feed_lives_on_and_recovers(
    gate: Gate, start: Callable[[str], FeedProcess], client: str
) -> None:
    feed = start(client)
    peace(feed, gate, cut=False)
    for behaviour in chosen(ENDING, 4):
        attack(feed, gate, "stream", behaviour, 2)
    peace(feed, gate, cut=False)
    for number, behaviour in enumerate(chosen(LASTING, 2)):
        attack(feed, gate, "stream", behaviour, 1)
        time.sleep(LASTS_S)
        feed.check_well(GROWTH_BYTES, behaviour.__name__)
        if LONG or number % 4 == 3:
            peace(feed, gate, cut=True)
    attack(feed, gate, "stream", ODD, 1)
    time.sleep(LASTS_S)
    peace(feed, gate, cut=True)
    print(f"grew by {(feed.rss() - feed.base_rss) >> 20} MiB")
    assert feed.end(signal.SIGTERM) == ExitCode.OK
    reasons = feed.rejected()
    print(reasons)
    assert reasons["malformed"] > 0
    assert reasons["unknown_stream"] > 0
    assert feed.counted() == feed.messages()
    check_book(feed.queue)


@pytest.mark.timeout(300)
def test_whatever_is_answered_to_its_requests_a_feed_waits_and_syncs_once_it_can(
    gate: Gate, start: Callable[[str], FeedProcess]
) -> None:
    gate.rest = ANYWHERE[0]
    feed = start("websockets")
    for behaviour in [*chosen(ANYWHERE, 3), *INSTRUMENTS]:
        attack(feed, gate, "rest", behaviour, 2)
        assert feed.state() == "waiting for the venue"
    peace(feed, gate, cut=False)
    for behaviour in [*chosen(ANYWHERE, 4), *DEPTHS]:
        attack(feed, gate, "rest", behaviour, 1)
    peace(feed, gate, cut=False)
    for behaviour in SLOW:
        attack(feed, gate, "rest", behaviour, 1)
        time.sleep(LASTS_S)
        feed.check_well(GROWTH_BYTES, behaviour.__name__)
    peace(feed, gate, cut=True)
    assert feed.end(signal.SIGTERM) == ExitCode.OK
    assert "Traceback" not in feed.log
    check_book(feed.queue)


STOPPED_AT: list[tuple[str, Behaviour]] = [
    *(("stream", behaviour) for behaviour in LASTING if "odd" not in behaviour.__name__),
    ("rest", SLOW[0]),
    ("rest", SLOW[1]),
    ("rest", next(b for b in ANYWHERE if b.__name__ == "endless_body")),
    ("rest", next(b for b in ANYWHERE if b.__name__ == "429")),
]


@pytest.mark.timeout(300)
def test_sigterm_ends_it_in_the_middle_of_any_attack(gate: Gate, start: Callable[[str], FeedProcess]) -> None:
    for number, (kind, behaviour) in enumerate(STOPPED_AT if LONG else random.sample(STOPPED_AT, 6)):
        gate.rest = gate.stream = None
        setattr(gate, kind, behaviour)
        before = gate.attacks[behaviour.__name__]
        feed = start(CLIENTS[number % 2])
        feed.wait_for(lambda: gate.attacks[behaviour.__name__] > before, "the attack")  # noqa: B023
        time.sleep(0.1)
        began = time.monotonic()
        assert feed.end(signal.SIGTERM) == ExitCode.OK, behaviour.__name__
        print(f"{behaviour.__name__}: ended after {time.monotonic() - began:.2f} s")
        gate.cut()


def check_book(queue: Path) -> None:
    """The queue is whole, and its book is never crossed while it is valid."""
    book, seqs = L2Book(), []
    with Queue.open_subscriber(queue, None, start="earliest") as reader:
        for message in reader:
            seqs.append(message.seq)
            book.apply(message.type_id, message)
            assert not (book.valid and book.crossed), message.seq
    assert seqs == list(range(len(seqs)))
    assert book.last_update_id > 0
