"""The vector of 13 features, kept up to date and computed after every message of a recording's book and trades.

`us_per_message` is what features cost: one native loop over all messages, less the same loop over the book alone. `update_us`
of it is remembering, the rest is computing all values. `python_us_per_message`: a Python loop that feeds a message and reads
the vector, book and call included.
"""

from __future__ import annotations

import hashlib
from statistics import median
from time import perf_counter_ns
from typing import Any

from libchronicle.book import L2Book
from libchronicle.cli.bench._day import RECORDING
from libchronicle.cli.bench._market import definition, made_up, recorded
from libchronicle.cli.bench.harness import BenchOptions, undisturbed
from libchronicle.errors import ConfigError
from libchronicle.protocol import BestBidAsk
from libchronicle.signals import FeatureSet

START_NS = 1_723_161_240_000_000_000

Records = list[tuple[int, bytes, int]]


def run(options: BenchOptions) -> dict[str, Any]:
    records = _records(options)
    hashes: set[str] = set()
    with undisturbed(options.pair()[0]):
        rounds = range(max(1, options.repeats))
        book, update, each, python = (
            median(one(records, hashes) for _ in rounds) / len(records) / 1000
            for one in (_book, _update, _each, _python)
        )
    if len(hashes) != 1:
        raise RuntimeError("features of the same messages differ")
    return {
        "us_per_message": round(each - book, 3),
        "update_us": round(update - book, 3),
        "book_us": round(book, 3),
        "python_us_per_message": round(python, 3),
        "features": len(FeatureSet()),
        "n": len(records),
        "hash": hashes.pop(),
    }


def _records(options: BenchOptions) -> Records:
    limit = 3_000 if options.tiny else 100_000
    try:
        first, events = recorded(options.recording(RECORDING), limit)
    except ConfigError:
        first, events = made_up(limit)
    chosen = [definition(), first, *(event for event in events if event.type_id != BestBidAsk.TEMPLATE_ID)]
    return [(event.type_id, event.payload, START_NS + event.at_ns) for event in chosen]


def _book(records: Records, hashes: set[str]) -> int:
    book = L2Book()
    pairs = [(type_id, payload) for type_id, payload, _ in records]
    start = perf_counter_ns()
    book.apply_all(pairs)
    return perf_counter_ns() - start


def _update(records: Records, hashes: set[str]) -> int:
    return _native(records, hashes, each=False)


def _each(records: Records, hashes: set[str]) -> int:
    return _native(records, hashes, each=True)


def _native(records: Records, hashes: set[str], *, each: bool) -> int:
    features = FeatureSet()
    start = perf_counter_ns()
    features.feed_all(records, each=each)
    taken = perf_counter_ns() - start
    hashes.add(_hash(features))
    return taken


def _python(records: Records, hashes: set[str]) -> int:
    features = FeatureSet()
    start = perf_counter_ns()
    for type_id, payload, ts_ns in records:
        features.feed(type_id, payload, ts_ns)
        features.vector()
    taken = perf_counter_ns() - start
    hashes.add(_hash(features))
    return taken


def _hash(features: FeatureSet) -> str:
    return hashlib.sha256(features.vector().tobytes()).hexdigest()[:16]
