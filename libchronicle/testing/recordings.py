"""Small recordings made on the spot, in the format of the recorder: for tests that must run without real ones."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from libchronicle.sim.generator import Generator
from libchronicle.sim.instruments import generated_instrument

START_NS = 1_700_000_000_000_000_000


def generated_lines(
    market: str, seconds: float = 3.0, seed: int = 3, snapshot_after: int = 40
) -> list[bytes]:
    """What a recorder would have written of the generator: the snapshot comes after some frames, its id straddled by a diff."""
    source = Generator(
        market,
        [generated_instrument(market, "BTCUSDT")],
        rate=400.0,
        start_ns=START_NS,
        rng=lambda name: Random(f"{seed}:{name}"),
    )
    lines: list[bytes] = []
    for count in range(1_000_000):
        frames = source.take(START_NS + int(seconds * 1e9), 1)
        if not frames:
            break
        for frame in frames:
            lines.append(b"%d %b\n" % (frame.time_ns, frame.in_envelope(frame.stream)))
        if count == snapshot_after:
            lines.append(_snapshot_line(source, frames[-1].time_ns, market))
    return lines


def _snapshot_line(source: Generator, time_ns: int, market: str) -> bytes:
    view = source.depth("BTCUSDT", 1000)
    assert view is not None
    body: dict[str, Any] = {"lastUpdateId": view.last_update_id}
    if market == "binance-usdm":
        body |= {"E": view.event_ms, "T": view.event_ms}
    body |= {"bids": json.loads(view.bids), "asks": json.loads(view.asks)}
    return b"%d %b\n" % (time_ns, json.dumps(body, separators=(",", ":")).encode())
