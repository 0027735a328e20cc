"""A looped recording, through the feed, is one uninterrupted stream: what long runs of the suite stand on."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from libchronicle.book import L2Book
from libchronicle.protocol import BookDelta, BookSnapshot, Gap
from libchronicle.queue import Message
from libchronicle.testing.recordings import generated_lines


@pytest.mark.parametrize("market", ["binance-spot", "binance-usdm"])
def test_the_seam_of_a_loop_is_no_gap_to_the_feed(pipeline: Any, tmp_path: Path, market: str) -> None:
    lines = generated_lines(market)
    diffs = sum(b"@depth" in line[:60] for line in lines)
    path = tmp_path / "recording.gz"
    path.write_bytes(gzip.compress(b"".join(lines), 1))
    pipeline.start_exchange(market, "--recording", str(path), "--speed", "inf", "--at-end", "loop")
    pipeline.start_feed(market)
    book, seen = L2Book(), {BookDelta.TEMPLATE_ID: 0, BookSnapshot.TEMPLATE_ID: 0, Gap.TEMPLATE_ID: 0}

    def take(message: Message) -> bool:
        book.apply(message.type_id, message)
        assert not book.crossed
        if message.type_id in seen:
            seen[message.type_id] += 1
        return seen[BookDelta.TEMPLATE_ID] > 5 * diffs

    pipeline.read(pipeline.records(market), take)
    assert seen[BookSnapshot.TEMPLATE_ID] == 1, "one snapshot at the start, none for a resync"
    assert seen[Gap.TEMPLATE_ID] == 0
