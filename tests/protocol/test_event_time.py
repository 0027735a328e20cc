"""Which time of a record decides the date of its partition."""

from __future__ import annotations

import pytest

from libchronicle.protocol import (
    BestBidAsk,
    BookDelta,
    BookFlags,
    BookMode,
    BookReset,
    BookSnapshot,
    Gap,
    GapReason,
    Instrument,
    OrderAdd,
    SbeMessage,
    Trade,
)
from libchronicle.protocol.event_time import dating_ns, event_ns

NOW = 1_700_000_000_000_000_000
QUARTER_NS = 900_000_000_000


def times(message: SbeMessage, frame_ts: int = NOW) -> tuple[int, int]:
    payload = message.encode()
    return (
        event_ns(message.TEMPLATE_ID, payload, frame_ts),
        dating_ns(message.TEMPLATE_ID, payload, frame_ts),
    )


@pytest.mark.parametrize("kind", [BookSnapshot, BookDelta, BestBidAsk, Trade, OrderAdd])
def test_venue_time_comes_before_event_time_comes_before_receive_time(kind):
    assert times(kind(instrument_id=1, venue_ts=5, event_ts=6, recv_ts=7)) == (5, 5)
    assert times(kind(instrument_id=1, event_ts=6, recv_ts=7)) == (6, 6)
    assert times(kind(instrument_id=1, recv_ts=7)) == (7, 7)
    assert times(kind(instrument_id=1)) == (0, 0)


def test_a_gap_and_a_definition_have_no_date():
    assert times(Gap(instrument_id=1, recv_ts=7, reason=GapReason.SEQUENCE)) == (0, 0)
    assert times(Instrument(instrument_id=1, book_mode=BookMode.L2, venue="v", symbol="S")) == (0, 0)
    assert times(BookReset(instrument_id=1, recv_ts=7, reason=GapReason.CROSSED)) == (7, 0)


def test_an_injected_snapshot_shows_the_book_of_before_and_dates_nothing():
    assert times(BookSnapshot(instrument_id=1, venue_ts=5, flags=BookFlags.INJECTED)) == (5, 0)
    assert times(BookSnapshot(instrument_id=1, venue_ts=5, flags=BookFlags.RESYNC)) == (5, 5)


def test_a_time_that_lies_too_far_ahead_is_none():
    assert times(Trade(venue_ts=NOW + QUARTER_NS)) == (NOW + QUARTER_NS, NOW + QUARTER_NS)
    assert times(Trade(venue_ts=NOW + QUARTER_NS + 1)) == (0, 0)
    assert times(Trade(venue_ts=-1)) == (0, 0)
    assert times(Trade(venue_ts=2**63 - 1)) == (0, 0)


def test_what_is_cut_off_has_no_time():
    payload = Trade(venue_ts=5).encode()
    assert event_ns(Trade.TEMPLATE_ID, payload[:16], NOW) == 0
    assert event_ns(Trade.TEMPLATE_ID, b"", NOW) == 0
