"""This queue against others that a Python program could use instead: the same loops, the same two processes, the same run.

A peer is measured when its package is installed, here or for an interpreter named by --python; others are left out and
named. 64-byte payloads, Python on both sides, each side on its own core, spinning where the peer can. A message is received
when the program has an object with its 64 bytes that it may keep. One way is half a round trip, for all. The rounds go over all
peers in turn, so that a slow moment of the machine meets them alike; figures are medians over rounds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any

from libchronicle.cli.bench.harness import BenchOptions
from libchronicle.cli.bench.peers.measure import (
    ADAPTERS,
    LEFT,
    Peer,
    PeerFailed,
    find_peer,
    messages,
    round_trips,
    survivors,
)
from libchronicle.errors import ConfigError

OURS = "chronicle"
_TRIPS = 50_000
_MESSAGES_MAX = 5_000_000
_FIRST = 10_000


def names() -> list[str]:
    """All there is an adapter for, ours first."""
    found = sorted(path.stem for path in ADAPTERS.glob("*.py") if not path.stem.startswith("_"))
    return sorted(found, key=lambda name: name != OURS)


class Bench:
    """One comparison: which peers are in it, and what was measured so far."""

    def __init__(self, options: BenchOptions) -> None:
        self.options = options
        self.cores = options.pair()
        self.peers: list[Peer] = []
        self.left_out: dict[str, str] = {}
        self.taken: dict[str, dict[str, list[float]]] = {}
        self.began = time.monotonic()

    def say(self, text: str) -> None:
        """Progress for whoever waits."""
        if not self.options.tiny:
            print(f"{time.monotonic() - self.began:6.1f} s  {text}", file=sys.stderr, flush=True)

    def gather(self) -> None:
        chosen = (
            [OURS, *(name for name in self.options.peers if name != OURS)] if self.options.peers else names()
        )
        unknown = set(chosen) - set(names())
        if unknown:
            raise ConfigError(
                file="bench", key="--peer", reason=f"{sorted(unknown)[0]!r}: there are {', '.join(names())}"
            )
        for name in chosen:
            try:
                self.peers.append(find_peer(name, (sys.executable, *self.options.pythons)))
                self.taken[name] = {}
            except PeerFailed as failure:
                self._drop(name, failure)
        self.say(
            f"measuring {', '.join(peer.name for peer in self.peers)}; left out {', '.join(self.left_out) or 'none'}"
        )

    def _drop(self, name: str, failure: PeerFailed) -> None:
        if name == OURS:
            raise RuntimeError(str(failure)) from failure
        self.left_out[name] = str(failure)
        self.peers = [peer for peer in self.peers if peer.name != name]
        self.say(f"left out: {name}: {failure}")

    def each(self, what: str, measure: Callable[[Peer], None]) -> None:
        """One measurement of every peer still in. What fails is tried again; who fails twice is left out."""
        for peer in list(self.peers):
            self.say(f"{what}: {peer.name}")
            try:
                measure(peer)
            except PeerFailed as failure:
                self.say(f"once more: {peer.name}: {failure}")
                try:
                    measure(peer)
                except PeerFailed as again:
                    self._drop(peer.name, again)

    def note(self, peer: Peer, **figures: float) -> None:
        for key, value in figures.items():
            self.taken[peer.name].setdefault(key, []).append(value)

    def latency(self, peer: Peer) -> None:
        figures = round_trips(peer, self.cores, _TRIPS, self.options.seconds)
        self.note(peer, p50_ns=figures["p50_ns"], p99_ns=figures["p99_ns"], trips=figures["n"])

    def rate(self, peer: Peer, key: str) -> None:
        """As many messages as take about `seconds`, going by the run before; the first run only finds out how many."""
        many = key == "many"
        known = self.taken[peer.name].get(key)
        if known is None:
            first, _ = messages(peer, self.cores, _FIRST if not self.options.tiny else 1000, many=many)
            known = [first]
        count = max(1000, min(_MESSAGES_MAX, round(known[-1] * self.options.seconds)))
        rate, lost = messages(peer, self.cores, count // 1000 * 1000, many=many)
        self.note(peer, **{key: rate, f"{key}_lost": lost, "messages": count})

    def survival(self, peer: Peer) -> None:
        self.note(peer, survivors=survivors(peer))

    def row(self, peer: Peer) -> dict[str, Any]:
        """The medians of one peer."""
        got = {key: median(values) for key, values in self.taken[peer.name].items()}
        kept = round(got["survivors"])
        return {
            "peer": peer.name,
            "version": peer.facts["version"],
            "python": peer.facts["python"],
            "one_way_p50_ns": round(got["p50_ns"] / 2),
            "rtt_p50_ns": round(got["p50_ns"]),
            "rtt_p99_ns": round(got["p99_ns"]),
            "msgs_per_s": round(got["one"]),
            "batched_msgs_per_s": round(got["many"]) if "many" in got else None,
            "lost_percent": round(100 * max(got["one_lost"], got.get("many_lost", 0)), 2),
            "persisted": "yes" if kept == LEFT else "partly" if kept else "no",
        }


def _best(rows: Iterable[dict[str, Any]], *keys: str) -> float | None:
    """The highest figure under any of `keys` of any row."""
    return max((row[key] for row in rows for key in keys if row[key]), default=None)


def _ratio(ours: float, theirs: float | None) -> float | None:
    return None if theirs is None else round(ours / theirs, 3)


def ratios(rows: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Ours against the best of the others; None where there is none to compare with."""
    ours, others = rows[0], rows[1:]
    kept = [row for row in others if row["persisted"] == "yes"]
    fastest = min((row["one_way_p50_ns"] for row in others), default=None)
    return {
        "latency_ratio_best": _ratio(ours["one_way_p50_ns"], fastest),
        "throughput_ratio_best": _ratio(ours["msgs_per_s"], _best(others, "msgs_per_s")),
        "throughput_ratio_best_persisted": _ratio(ours["msgs_per_s"], _best(kept, "msgs_per_s")),
        "batched_ratio_best": _ratio(
            ours["batched_msgs_per_s"], _best(others, "msgs_per_s", "batched_msgs_per_s")
        ),
        "batched_ratio_best_persisted": _ratio(
            ours["batched_msgs_per_s"], _best(kept, "msgs_per_s", "batched_msgs_per_s")
        ),
    }


def run(options: BenchOptions) -> dict[str, Any]:
    bench = Bench(options)
    bench.gather()
    bench.each("survives kill -9", bench.survival)
    rounds = 1 if options.tiny else options.repeats
    for turn in range(1, rounds + 1):
        of = f"{turn}/{rounds}"
        bench.each(f"round trips {of}", bench.latency)
        bench.each(f"messages {of}", lambda peer: bench.rate(peer, "one"))
        bench.each(f"batches {of}", lambda peer: bench.rate(peer, "many") if peer.facts["batches"] else None)
    rows = [bench.row(peer) for peer in bench.peers]
    trips = sum(sum(taken.get("trips", ())) for taken in bench.taken.values())
    sent = sum(sum(taken.get("messages", ())) for taken in bench.taken.values())
    return {
        **ratios(rows),
        "left_out": bench.left_out,
        "rows": rows,
        "took_s": round(time.monotonic() - bench.began, 1),
        "n": round(trips),
        "hash": f"{round(sent):x}",
    }
