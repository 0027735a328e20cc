"""Raw records of all symbols in, clean queues of one instrument and stream each out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from raw_world import World, delta, instrument, number, quote, snapshot, trade

from libchronicle.protocol import Instrument


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_each_stream_holds_its_symbols_records_in_order_with_their_raw_reference(world: World) -> None:
    world.put(instrument("AA"), instrument("BB"), snapshot("AA", 10), snapshot("BB", 20))
    for n in range(100):
        world.put(delta("AA", 11 + n), trade("BB", n), quote("AA", n), delta("BB", 21 + n), trade("AA", n))
    world.refine()
    for symbol, first in (("AA", 10), ("BB", 20)):
        head, *book = world.messages(symbol, "book")
        assert isinstance(head, Instrument)
        assert head.symbol == symbol
        assert [m.last_update_id for m in book] == list(range(first, first + 101))
        assert {m.instrument_id for m in book} == {number(symbol)}
        trades = world.messages(symbol, "trade")[1:]
        assert [m.trade_id for m in trades] == list(range(100))
    seqs = [m.raw_seq for m in world.messages("AA", "book")[1:]]
    assert seqs == [2, *range(4, 504, 5)]
    assert [m.raw_seq for m in world.messages("BB", "trade")[1:]] == list(range(5, 505, 5))
    assert len(world.messages("AA", "quote")) == 101
    assert not world.messages("BB", "quote")


def test_frames_keep_the_time_of_the_raw_frame(world: World) -> None:
    world.put(instrument("AA"), trade("AA", 1), trade("AA", 2))
    world.refine()
    assert [ts for ts, _, _ in world.clean("AA", "trade")] == [world.now - 1000, world.now - 1000, world.now]
