"""What the embedded exchange costs before a socket is touched: order flow, and playing a recording.

`ns_per_event` is one event of the generator with all frames it causes; `frame_ns` is one frame of a recording that the
generator wrote (no recordings are needed), read, routed and applied to the player's book. `hash` is of all bytes made.
"""

from __future__ import annotations

from hashlib import blake2b
from random import Random
from time import perf_counter_ns
from typing import Any

from libchronicle.cli.bench.harness import BenchOptions, medians
from libchronicle.sim.frames import Frame
from libchronicle.sim.generator import Generator
from libchronicle.sim.instruments import MARKETS, generated_instrument
from libchronicle.sim.player import Player, Tape
from libchronicle.sim.recording import describe

RATE = 2000.0
START_NS = 1_700_000_000_000_000_000
FAR_FUTURE_NS = 1 << 62


def run(options: BenchOptions) -> dict[str, Any]:
    seconds = 1 if options.tiny else 20
    digest = blake2b(digest_size=8)
    rows = [_round(seconds, digest if first else None) for first in (True, *[False] * (options.repeats - 1))]
    return {**medians(rows), "n": int(seconds * RATE * len(MARKETS)), "hash": digest.hexdigest()}


def _round(seconds: int, digest: Any) -> dict[str, float]:
    events_ns = frames_ns = frames = 0
    for market in MARKETS:
        source = Generator(
            market,
            [generated_instrument(market, "BTCUSDT")],
            rate=RATE,
            start_ns=START_NS,
            rng=lambda name: Random(f"1:{name}"),
        )
        opening = source.depth("BTCUSDT", 1000)
        began = perf_counter_ns()
        made = source.take(START_NS + seconds * 1_000_000_000, 1 << 40)
        events_ns += perf_counter_ns() - began
        if digest is not None:
            for frame in made:
                digest.update(frame.data)
        lines = _recorded(made, opening)
        player = Player([Tape(describe(lines), lambda lines=lines: lines)])  # type: ignore[misc]
        began = perf_counter_ns()
        while not player.ended:
            frames += len(player.take(FAR_FUTURE_NS, 512))
        frames_ns += perf_counter_ns() - began
    events = seconds * RATE * len(MARKETS)
    return {
        "ns_per_event": round(events_ns / events),
        "frame_ns": round(frames_ns / frames),
        "frames_per_event": round(frames / events, 2),
    }


def _recorded(frames: list[Frame], opening: Any) -> list[bytes]:
    snapshot = f'{{"lastUpdateId":{opening.last_update_id},"bids":{opening.bids},"asks":{opening.asks}}}'
    head = b"%d %b\n" % (START_NS, snapshot.encode())
    return [head, *(b"%d %b\n" % (frame.time_ns, frame.in_envelope(frame.stream)) for frame in frames)]
