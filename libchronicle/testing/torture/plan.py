"""What is done to the queue, and when: a pure function of the seed.

Each kind of fault has an endless stream of rounds of its own, so how far one of them gets in its time does not alter another.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterator

import msgspec

__all__ = [
    "FAULTS",
    "FLIPPED",
    "READERS",
    "CrashRound",
    "DiskRound",
    "FlipRound",
    "StopRound",
    "crash_rounds",
    "digest",
    "disk_rounds",
    "flip_rounds",
    "stop_rounds",
]

FAULTS = ("crash", "stop", "disk", "flip")
READERS = ("steady", "guest")
"""A durable reader, which holds back retention, and an ephemeral one."""

FLIPPED = ("segment", "control", "notify", "reader", "index")


class CrashRound(msgspec.Struct, frozen=True, kw_only=True):
    """Kill -9 of `victims`, `after_s` from when all were at work.

    Their successors are killed in turn, `again_s` after they were started, which is while they recover; not if that is 0.
    """

    victims: tuple[str, ...]
    after_s: float
    again_s: float


class StopRound(msgspec.Struct, frozen=True, kw_only=True):
    """SIGSTOP, and SIGCONT after `for_s`."""

    victim: str
    after_s: float
    for_s: float


class DiskRound(msgspec.Struct, frozen=True, kw_only=True):
    """A disk with room for `segments` more and `bytes_left` beside; the writer is killed while it is full if `kill`."""

    segments: int
    bytes_left: int
    kill: bool


class FlipRound(msgspec.Struct, frozen=True, kw_only=True):
    """One bit of one file. `pick` says which of several of its kind, `place` where: both from 0 to 1 of what there is."""

    kind: str
    pick: float
    place: float
    bit: int


def _source(fault: str, seed: int) -> random.Random:
    return random.Random(f"{fault} {seed}")


def crash_rounds(seed: int) -> Iterator[CrashRound]:
    dice = _source("crash", seed)
    everyone = ("writer", *READERS)
    while True:
        count = dice.choices((1, 2, 3), (8, 2, 1))[0]
        victims = ("writer",) if dice.random() < 0.6 else tuple(sorted(dice.sample(everyone, count)))
        again_s = dice.uniform(0.0002, 0.02) if dice.random() < 0.3 else 0.0
        yield CrashRound(victims=victims, after_s=dice.uniform(0.0, 0.03), again_s=again_s)


def stop_rounds(seed: int) -> Iterator[StopRound]:
    dice = _source("stop", seed)
    while True:
        victim = dice.choice(("writer", "writer", *READERS))
        yield StopRound(victim=victim, after_s=dice.uniform(0.0, 0.03), for_s=dice.uniform(0.15, 0.4))


def disk_rounds(seed: int) -> Iterator[DiskRound]:
    dice = _source("disk", seed)
    while True:
        yield DiskRound(
            segments=dice.randrange(4), bytes_left=dice.randrange(1 << 16), kill=dice.random() < 0.5
        )


def flip_rounds(seed: int) -> Iterator[FlipRound]:
    dice = _source("flip", seed)
    while True:
        kind = dice.choices(FLIPPED, (10, 4, 1, 2, 3))[0]
        yield FlipRound(kind=kind, pick=dice.random(), place=dice.random(), bit=dice.randrange(8))


def digest(seed: int, rounds: int = 200) -> str:
    """Eight hexadecimal digits over the first rounds of every fault: equal for equal plans."""
    streams = (crash_rounds(seed), stop_rounds(seed), disk_rounds(seed), flip_rounds(seed))
    text = msgspec.json.encode([list(itertools.islice(stream, rounds)) for stream in streams])
    return hashlib.blake2b(text, digest_size=4).hexdigest()
