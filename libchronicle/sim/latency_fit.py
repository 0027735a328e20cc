"""Latencies as they were: rows for InterpolatedLatency, from the reports of a recorded session.

A report that answers a new order says when the order was appended (`orderTs`) and when the venue dealt with it (`venueTs`);
the time of its own record is when it came back:

    entry = venueTs - orderTs        response = record's time - venueTs

Venue and host have clocks of their own. Where a latency comes out below zero the venue's clock is taken to be off by what makes
the shortest entry equal the shortest response (the assumption of NTP, RFC 5905: the fastest way takes as long there as back),
over all rows alike. Only the sum of both is free of that assumption.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from libchronicle.errors import NoData
from libchronicle.protocol import ExecType, ExecutionReport, ReportFlags
from libchronicle.replay.journal import find_session
from libchronicle.sim.latency import InterpolatedLatency
from libchronicle.storage.archive import Archive

__all__ = ["fit_latency", "fit_session", "measured_latencies"]

_ANSWERS = (ExecType.ACK, ExecType.REJECT)
_LATER = ReportFlags.CARRY_OVER | ReportFlags.RECOVERED
_LATE_NS = 10_000_000_000
"""Answers that came so long after a session's end are still looked for."""

Row = tuple[int, int, int]  # time of the request, entry, response; ns


class Record(Protocol):
    """A record of an orders_in: a queue's Message is one."""

    @property
    def type_id(self) -> int: ...
    @property
    def payload(self) -> bytes | memoryview: ...
    @property
    def ts_ns(self) -> int: ...


def measured_latencies(records: Iterable[Record]) -> Iterator[Row]:
    """(time of the request, entry, response) of every order that the venue answered, as stamped."""
    for record in records:
        if record.type_id != ExecutionReport.TEMPLATE_ID:
            continue
        report = ExecutionReport.decode(record.payload)
        stamped = report.order_ts > 0 and report.venue_ts > 0
        if report.exec_type in _ANSWERS and stamped and not report.flags & _LATER:
            yield report.order_ts, report.venue_ts - report.order_ts, record.ts_ns - report.venue_ts


def fit_latency(
    rows: Iterable[Row], *, feed_us: float = 0, where: str = "fit_latency"
) -> InterpolatedLatency:
    """A model that gives these latencies again; requests of one time count with their mean. Raises NoData without a row."""
    by_time: dict[int, list[tuple[int, int]]] = {}
    for ts_ns, entry, response in rows:
        by_time.setdefault(ts_ns, []).append((entry, response))
    if not by_time:
        raise NoData(where=where, reason="no order was answered, so there is no latency to learn from")
    mean = [
        (ts_ns, sum(e for e, _ in found) // len(found), sum(r for _, r in found) // len(found))
        for ts_ns, found in sorted(by_time.items())
    ]
    shift = _clock_error(mean)
    whole = [(ts_ns, max(0, entry - shift), max(0, response + shift)) for ts_ns, entry, response in mean]
    return InterpolatedLatency(whole, feed_us=feed_us)


def _clock_error(rows: list[Row]) -> int:
    """How far the venue's clock is ahead of ours, as far as the rows betray it."""
    entry, response = min(e for _, e, _ in rows), min(r for _, _, r in rows)
    return 0 if entry >= 0 and response >= 0 else (entry - response) // 2


def fit_session(
    archive: Archive, name: str, session_id: int | None = None, *, feed_us: float = 0
) -> InterpolatedLatency:
    """Of a strategy's recorded session; without an id, its last. Raises UnknownSession, NoData."""
    session = find_session(archive, name, session_id)
    end = None if session.stop is None else session.stop.now_ns + _LATE_NS
    reports = archive.read(
        "_orders", name, "orders_in", session.start.realtime_ns, end, types=[ExecutionReport]
    )
    return fit_latency(measured_latencies(reports), feed_us=feed_us, where=f"session {session.id} of {name}")
