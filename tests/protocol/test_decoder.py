"""A multiplexed stream: unknown types are counted, filters agree with full decoding."""

from __future__ import annotations

import random

import pytest

from libchronicle.errors import DecodeError
from libchronicle.protocol import (
    BestBidAsk,
    BookDelta,
    Decoder,
    ExecType,
    ExecutionReport,
    Gap,
    GapReason,
    Heartbeat,
    MessageFilter,
    OpenOrder,
    OrderType,
    StateChange,
    Submitted,
    TimeInForce,
    Trade,
    VenueState,
    VenueStatus,
    decode,
    instrument_id,
    instrument_of,
)

BTC, ETH = instrument_id("binance-spot:BTCUSDT"), instrument_id("binance-spot:ETHUSDT")


def test_unknown_types_are_skipped_and_counted_by_type():
    decoder = Decoder()
    stream = [
        (5, Trade(price=1).encode()),
        (9_000, b"???"),
        (9_000, b""),
        (77, b"x"),
        (12, Heartbeat().encode()),
    ]
    found = [decoder.decode(*frame) for frame in stream]
    assert [type(message) for message in found if message] == [Trade, Heartbeat]
    assert decoder.unknown == {9_000: 2, 77: 1}
    assert decoder.skipped == 3
    assert decode(9_000, b"???") is None


def test_a_known_type_with_a_broken_payload_is_an_error():
    with pytest.raises(DecodeError):
        Decoder().decode(5, b"???")


@pytest.mark.parametrize(
    "message",
    [
        Trade(instrument_id=BTC),
        BookDelta(instrument_id=BTC),
        Submitted(instrument_id=BTC),
        ExecutionReport(instrument_id=BTC, exec_type=ExecType.ACK),
        StateChange(instrument_id=BTC),
        OpenOrder(instrument_id=BTC, order_type=OrderType.LIMIT, time_in_force=TimeInForce.GTC),
    ],
)
def test_the_instrument_is_found_wherever_its_type_keeps_it(message):
    assert instrument_of(message.TEMPLATE_ID, message.encode()) == BTC


def test_types_without_an_instrument_name_none():
    assert instrument_of(Heartbeat.TEMPLATE_ID, Heartbeat(count=BTC).encode()) is None
    assert instrument_of(9_999, b"") is None
    with pytest.raises(DecodeError, match="cut off"):
        instrument_of(Trade.TEMPLATE_ID, bytes(15))


def stream(seed: int) -> list[tuple[int, bytes]]:
    rng = random.Random(seed)
    makers = [
        lambda i: Trade(instrument_id=i, price=rng.randrange(99)),
        lambda i: BestBidAsk(instrument_id=i),
        lambda i: BookDelta(instrument_id=i, bids=[(1, 2)]),
        lambda i: Gap(instrument_id=rng.choice([i, 0]), reason=GapReason.SEQUENCE),
        lambda i: VenueStatus(instrument_id=rng.choice([i, 0]), state=VenueState.SYNCED),
        lambda i: Heartbeat(ts=i % 7),
    ]
    messages = [rng.choice(makers)(rng.choice([BTC, ETH, 5])) for _ in range(500)]
    return [(message.TEMPLATE_ID, message.encode()) for message in messages]


@pytest.mark.parametrize("instruments", [None, {BTC}, {BTC, ETH}, set()])
@pytest.mark.parametrize("types", [None, {Trade.TEMPLATE_ID}, {Trade.TEMPLATE_ID, Gap.TEMPLATE_ID, 12}])
@pytest.mark.parametrize("feed_wide", [True, False])
def test_a_filter_keeps_what_full_decoding_would_keep(instruments, types, feed_wide):
    wanted = MessageFilter(instruments=instruments, types=types, feed_wide=feed_wide)
    for type_id, payload in stream(seed=11):
        message = decode(type_id, payload)
        named = getattr(message, "instrument_id", 0)
        right_type = types is None or type_id in types
        right_instrument = instruments is None or (named in instruments if named else feed_wide)
        assert wanted.wants(type_id, payload) == (right_type and right_instrument)
