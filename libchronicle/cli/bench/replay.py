"""Replay of an archived book stream: books kept natively, and a Python callback for every message.

The archive is the recorded binance-usdm:BTCUSDT, 20 times over, in warm files. `levels_per_s`: all levels of the book stream
over the time of a replay of it without a callback. The other figures are of book, trades and quotes merged: `records_per_s`
without a callback, `messages_per_s` with one that does nothing, `peek_per_s` with one that reads time, type and best bid.
`rss_mb`: most memory resident while it replayed, mapped files among it; `rss_tenth_mb`: the same of a tenth of the archive.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter_ns
from typing import Any

from libchronicle.cli.bench._day import SYMBOL, VENUE, Day, fill_day, forget_peak, peak_rss_mb
from libchronicle.cli.bench.harness import BenchOptions, undisturbed
from libchronicle.replay import ReadingSource, Replay, ReplayEvent, ReplayReport
from libchronicle.replay.replayer import Callback
from libchronicle.storage.archive import Archive

ROUNDS = 20
STREAMS = ("book", "trade", "quote")


def run(options: BenchOptions) -> dict[str, Any]:
    with options.scratch() as root:
        tenth = fill_day(root / "tenth", options, 1 if options.tiny else ROUNDS // 10, streams=STREAMS)
        day = fill_day(root / "whole", options, 1 if options.tiny else ROUNDS, streams=STREAMS)
        rss_tenth, rss = _peak_rss(tenth), _peak_rss(day)
        with undisturbed(options.pair()[0]):
            books = [_timed(day, STREAMS[:1], None) for _ in range(options.repeats)]
            silent, called, peeked = (
                [_timed(day, STREAMS, callback) for _ in range(options.repeats)]
                for callback in (None, _nothing, _peek)
            )
    report = silent[0][1]
    if len({told.state_hash for _, told in (*silent, *called, *peeked)}) != 1:
        raise RuntimeError("two replays of the same archive had different state hashes")

    def per_second(count: int, runs: list[tuple[int, ReplayReport]]) -> int:
        return round(count / median(ns for ns, _ in runs) * 1e9)

    return {
        "levels_per_s": per_second(report.levels, books),
        "records_per_s": per_second(report.records, silent),
        "messages_per_s": per_second(report.records, called),
        "peek_per_s": per_second(report.records, peeked),
        "rss_mb": rss,
        "rss_tenth_mb": rss_tenth,
        "n": report.records,
        "levels": report.levels,
        "hash": f"{report.state_hash:016x}",
    }


def _nothing(event: ReplayEvent) -> None:
    pass


def _peek(event: ReplayEvent) -> None:
    book = event.book
    _ = event.ts_ns, event.type_id, None if book is None else book.best_bid


def _peak_rss(day: Day) -> float:
    forget_peak()
    _timed(day, STREAMS, None)
    return peak_rss_mb()


def _timed(day: Day, streams: tuple[str, ...], callback: Callback | None) -> tuple[int, ReplayReport]:
    with Archive(day.paths) as archive:
        replay = Replay([ReadingSource(archive.read(VENUE, SYMBOL, stream)) for stream in streams])
        start = perf_counter_ns()
        report = replay.run(callback)
        return perf_counter_ns() - start, report
