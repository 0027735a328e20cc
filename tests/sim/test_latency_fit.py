"""Latencies learnt from a recorded session."""

from __future__ import annotations

from pathlib import Path

import pytest

from libchronicle.bus.paths import BusPaths
from libchronicle.errors import NoData, UnknownSession
from libchronicle.protocol import ExecType, ExecutionReport, ReportFlags, RunMode, SessionStart, SessionStop
from libchronicle.queue import Queue, QueueConfig
from libchronicle.sim.latency_fit import fit_latency, fit_session
from libchronicle.storage.archive import Archive

SMALL = QueueConfig(segment_size=1 << 16)
T0 = 1_700_000_000_000_000_000
US = 1_000


class Session:
    """A strategy's session and its orders_in, on a bus."""

    def __init__(self, root: Path) -> None:
        self.paths = BusPaths(root)
        with Queue.open_publisher(self.paths.session("alpha"), SMALL) as journal:
            start = SessionStart(session_id=5, realtime_ns=T0, name="alpha", mode=RunMode.PAPER)
            journal.append(start.TEMPLATE_ID, start.encode(), T0)
            stop = SessionStop(now_ns=T0 + 10**9)
            journal.append(stop.TEMPLATE_ID, stop.encode(), T0 + 10**9)
        self.reports = Queue.open_publisher(self.paths.orders_in("alpha"), SMALL)

    def answer(self, sent: int, at_venue: int, back: int, kind: ExecType = ExecType.ACK, **more) -> None:
        report = ExecutionReport(order_ts=sent, venue_ts=at_venue, exec_type=kind, **more)
        self.reports.append(report.TEMPLATE_ID, report.encode(), back)

    def fit(self, name: str = "alpha"):
        with Archive(self.paths) as archive:
            return fit_session(archive, name)


@pytest.fixture
def session(tmp_path: Path):
    session = Session(tmp_path)
    yield session
    session.reports.close()


def test_a_session_gives_its_latencies_again(session: Session) -> None:
    for i, (entry, response) in enumerate([(50, 40), (70, 60), (300, 20)]):
        sent = T0 + i * 1_000_000
        session.answer(sent, sent + entry * US, sent + (entry + response) * US)
    session.answer(T0 + 2_000_000, T0 + 2_100_000, T0 + 2_400_000, ExecType.FILL)  # no answer to a request
    session.answer(T0 + 5, T0 + 9, T0 + 10**8, flags=ReportFlags.RECOVERED)  # its times say nothing
    model = session.fit()
    assert model.table == [
        (T0, 50 * US, 40 * US), (T0 + 1_000_000, 70 * US, 60 * US), (T0 + 2_000_000, 300 * US, 20 * US),
    ]  # fmt: skip
    assert model.sample(T0 + 500_000)[:2] == (60 * US, 50 * US)


def test_a_venue_clock_that_is_ahead_is_set_right_by_the_fastest_ways() -> None:
    ahead = 1_000 * US  # so every response seems to come before the venue answered
    rows = [(T0 + i, (50 + 10 * i) * US + ahead, (50 + 5 * i) * US - ahead) for i in range(4)]
    model = fit_latency(rows)
    assert model.table == [(T0 + i, (50 + 10 * i) * US, (50 + 5 * i) * US) for i in range(4)]


def test_requests_of_one_time_count_with_their_mean() -> None:
    assert fit_latency([(1, 10, 20), (1, 30, 40)]).table == [(1, 20, 30)]


def test_a_session_without_an_answer_is_named(session: Session) -> None:
    with pytest.raises(NoData, match="session 5 of alpha: no order was answered"):
        session.fit()
    with pytest.raises(UnknownSession):
        session.fit("beta")
