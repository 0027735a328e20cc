"""The native decoder: what it takes, how exactly, and what it refuses."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from libchronicle.protocol import BestBidAsk, BookDelta, BookFlags, BookSnapshot, Side, Trade, decode
from libchronicle.venues.binance import decoder as native
from libchronicle.venues.binance.decoder import BREAK, NEXT, SEEN, Decoder, follows, mark
from libchronicle.venues.binance.strict import FrameError, normalise

SPOT_DEPTH = (
    b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":10,"u":12,'
    b'"b":[["61737.63000000","0.00000000"],["61730.17","1.5"]],"a":[["61837.64000000","1.54698000"]]}}'
)
USDM_DEPTH = (
    b'{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":1723161256299,"T":1723161256298,"s":"BTCUSDT",'
    b'"U":10,"u":12,"pu":8,"b":[["58710.20","0.014"]],"a":[]}}'
)
TRADE = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000",'
    b'"q":"0.02000000","T":1723161255342,"m":true,"M":true}}'
)
TICKER = (
    b'{"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000",'
    b'"a":"61837.64000000","A":"1.54698000"}}'
)
USDM_TICKER = (
    b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5,"s":"BTCUSDT","b":"61800.20","B":"2.507",'
    b'"a":"61800.30","A":"2.510","T":1723161256313,"E":1723161256314}}'
)
FRAMES = [SPOT_DEPTH, USDM_DEPTH, TRADE, TICKER, USDM_TICKER]


def make(futures: bool = False) -> Decoder:
    made = Decoder(futures)
    made.add("ETHUSDT", 6, -8, -8)
    made.add("BTCUSDT", 7, -8, -8)
    return made


def record(frame: bytes, futures: bool = False) -> Any:
    kind, raw = make(futures).encode(frame, 99)
    assert raw is not None, kind
    template = {native.DEPTH: 3, native.TRADE: 5, native.TICKER: 4}[kind]
    return decode(template, bytes(raw))


def code(frame: bytes, futures: bool = False) -> int:
    kind, raw = make(futures).encode(frame, 99)
    assert raw is None
    return kind


def test_a_spot_diff_becomes_a_book_delta_with_exact_numbers() -> None:
    delta = record(SPOT_DEPTH)
    assert isinstance(delta, BookDelta)
    assert (delta.instrument_id, delta.recv_ts) == (7, 99)
    assert delta.event_ts == delta.venue_ts == 1723161255208_000_000
    assert (delta.first_update_id, delta.last_update_id, delta.prev_update_id) == (10, 12, 0)
    assert list(delta.bids) == [(6173763000000, 0), (6173017000000, 150000000)]
    assert list(delta.asks) == [(6183764000000, 154698000)]


def test_a_futures_diff_keeps_pu_and_the_transaction_time() -> None:
    delta = record(USDM_DEPTH, futures=True)
    assert (delta.venue_ts, delta.event_ts) == (1723161256298_000_000, 1723161256299_000_000)
    assert delta.prev_update_id == 8
    assert list(delta.asks) == []


def test_a_trade_names_the_side_that_took() -> None:
    trade = record(TRADE)
    assert isinstance(trade, Trade)
    assert (trade.trade_id, trade.price, trade.qty) == (3735683259, 6183763000000, 2000000)
    assert trade.aggressor is Side.SELL  # the buyer was the maker
    assert record(TRADE.replace(b'"m":true', b'"m":false')).aggressor is Side.BUY


def test_a_spot_ticker_has_no_times_and_a_futures_ticker_has_both() -> None:
    spot, usdm = record(TICKER), record(USDM_TICKER, futures=True)
    assert isinstance(spot, BestBidAsk)
    assert (spot.venue_ts, spot.event_ts, spot.update_id) == (0, 0, 50093239212)
    assert (usdm.venue_ts, usdm.event_ts) == (1723161256313_000_000, 1723161256314_000_000)


def test_microsecond_times_are_told_by_their_size() -> None:
    frame = TRADE.replace(b'"T":1723161255342', b'"T":1723161255342123')
    assert record(frame).venue_ts == 1723161255342123_000


def test_an_old_trade_with_order_ids_in_b_and_a_is_a_trade_all_the_same() -> None:
    frame = TRADE.replace(b'"m":true,', b'"b":88,"a":50,"m":true,')
    assert record(frame) == record(TRADE)


@pytest.mark.parametrize("frame", FRAMES)
def test_keys_in_any_order_unknown_keys_and_raw_streams_change_nothing(frame: bytes) -> None:
    futures = frame in (USDM_DEPTH, USDM_TICKER)
    expected = record(frame, futures)
    message = json.loads(frame)
    data = message["data"]
    turned = {"data": dict(reversed(data.items())), "stream": message["stream"]}
    extended = {"stream": message["stream"], "x": 1, "data": {"zz": "?", **data, "n": None, "Q": False}}
    variants = [turned, extended] if frame in (TICKER, USDM_TICKER) else [turned, extended, data]
    for variant in variants:
        text = json.dumps(variant, separators=(",", ":")).encode()
        assert record(text, futures) == expected


@pytest.mark.parametrize("frame", FRAMES)
def test_blanks_between_tokens_are_fine(frame: bytes) -> None:
    futures = frame in (USDM_DEPTH, USDM_TICKER)
    loose = json.dumps(json.loads(frame), indent=1).encode()
    made = make(futures)
    kind, raw = made.encode(loose, 99)
    if raw is None:  # blanks inside levels are for the strict decoder
        assert kind == native.UNUSUAL
        kind, raw = made.encode(normalise(loose), 99)
    assert raw == make(futures).encode(frame, 99)[1]


@pytest.mark.parametrize("frame", FRAMES)
def test_every_prefix_of_a_frame_is_refused(frame: bytes) -> None:
    made = make(frame in (USDM_DEPTH, USDM_TICKER))
    for size in range(len(frame)):
        kind, raw = made.encode(frame[:size], 0)
        assert raw is None
        assert kind < 0
        with pytest.raises(FrameError):
            normalise(frame[:size])


def test_bytes_after_the_frame_are_refused() -> None:
    assert code(TRADE + b"x") == native.UNUSUAL
    assert record(TRADE + b"\r\n ") == record(TRADE)


@pytest.mark.parametrize(
    "text",
    [
        b'"1e5"',
        b'"0x10"',
        b'"-1"',
        b'""',
        b'"."',
        b'"1."',
        b'".5"',
        b'"NaN"',
        b'"1.123456789"',
        b'"92233720369.0"',
        b'" 1"',
    ],
)
def test_a_bad_decimal_is_refused_and_never_becomes_zero(text: bytes) -> None:
    assert code(TRADE.replace(b'"61837.63000000"', text)) == native.BAD_DECIMAL
    assert code(TICKER.replace(b'"3.78826000"', text)) == native.BAD_DECIMAL
    assert code(SPOT_DEPTH.replace(b'"1.54698000"', text)) == native.BAD_DECIMAL


def test_ids_that_contradict_each_other_are_refused() -> None:
    assert code(SPOT_DEPTH.replace(b'"U":10', b'"U":13')) == native.INCONSISTENT
    assert code(SPOT_DEPTH.replace(b'"U":10', b'"U":0')) == native.INCONSISTENT
    assert code(USDM_DEPTH.replace(b'"pu":8', b'"pu":12'), futures=True) == native.INCONSISTENT


def test_a_futures_diff_without_pu_is_no_futures_diff() -> None:
    assert code(SPOT_DEPTH, futures=True) == native.UNUSUAL


def test_other_streams_symbols_and_answers_are_told_apart() -> None:
    assert code(TRADE.replace(b"BTCUSDT", b"XRPUSDT")) == native.UNKNOWN_SYMBOL
    assert code(TRADE.replace(b'"e":"trade"', b'"e":"aggTrade"')) == native.UNKNOWN_STREAM
    assert code(b'{"result":null,"id":1}') == native.REPLY
    assert code(b"{}") == native.UNKNOWN_STREAM


def test_a_snapshot_becomes_a_record() -> None:
    bids, asks = b'[["2.5","1"],["2.4","2"]]', b" [] "
    status, raw = make().encode_snapshot(1, bids, asks, 77, 1, 2, 3)
    assert status == 0
    assert raw is not None
    mark(raw, BookFlags.RESYNC)
    snapshot = BookSnapshot.decode(bytes(raw))
    assert list(snapshot.bids) == [(250000000, 100000000), (240000000, 200000000)]
    assert (snapshot.last_update_id, snapshot.event_ts, snapshot.venue_ts, snapshot.recv_ts) == (77, 1, 2, 3)
    assert snapshot.flags == BookFlags.RESYNC
    assert make().encode_snapshot(1, b'[["2.5", "1"]]', b"[]", 7, 0, 0, 0) == (native.UNUSUAL, None)
    assert make().encode_snapshot(1, b"{}", b"[]", 7, 0, 0, 0) == (native.UNUSUAL, None)


def test_following_is_next_seen_or_break() -> None:
    assert follows(10, 10, 12) == NEXT
    assert follows(10, 8, 12) == NEXT  # another connection cut its events elsewhere
    assert follows(10, 8, 10) == SEEN
    assert follows(10, 11, 12) == BREAK


def test_a_symbol_is_found_among_many_and_its_likes_are_not() -> None:
    many = Decoder(False)
    names = [f"S{i}USDT" for i in range(700)]
    for i, name in enumerate(names):
        assert many.add(name, 1000 + i, -8, -8) == i
    for i in (0, 699, 350, 350, 1):
        kind, raw = many.encode(TRADE.replace(b"BTCUSDT", names[i].encode()), 0)
        assert (kind, many.index) == (native.TRADE, i)
        assert raw is not None
        assert Trade.decode(bytes(raw)).instrument_id == 1000 + i
    for name in (b"S700USDT", b"S1USD", b"S1USDTT", b"", b"X" * 40):
        assert many.encode(TRADE.replace(b"BTCUSDT", name), 0) == (native.UNKNOWN_SYMBOL, None)
    assert Decoder(False).encode(TRADE, 0) == (native.UNKNOWN_SYMBOL, None)


TOKENS = (b'"', b"]]", b"[[", b"{", b"}", b",", b"\\", b"\x00", b"null", b":", b"9" * 20, b" ")


def mutate(random: Random, frame: bytes) -> bytes:
    """A few bytes replaced, cut, doubled, put in or taken out."""
    text = bytearray(frame)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(text) + 1)
        how = random.randrange(5)
        if how == 0 and at < len(text):
            text[at] = random.randrange(256)
        elif how == 1 and random.random() < 0.2:
            del text[at:]
        elif how == 2:
            text[at:at] = text[at : at + random.randint(1, 40)]
        elif how == 3:
            text[at:at] = random.choice(TOKENS)
        else:
            del text[at : at + random.randint(1, 20)]
    return bytes(text)


def test_whatever_the_native_decoder_takes_the_strict_one_reads_the_same() -> None:
    """Differential fuzz: a mutated frame never crashes, and if it is accepted, msgspec reads the same frame from it."""
    number = 20240808
    random, taken = Random(number), 0
    for i in range(60_000):
        which = FRAMES[i % len(FRAMES)]
        futures = which in (USDM_DEPTH, USDM_TICKER)
        frame = mutate(random, which)
        kind, raw = make(futures).encode(frame, 99)
        if raw is None:
            assert kind < 0 or kind == native.REPLY, (number, i, frame)
            continue
        taken += 1
        readable = frame.decode(
            "utf-8", "replace"
        ).encode()  # strings are only compared, so UTF-8 is not validated
        assert make(futures).encode(normalise(readable), 99) == (kind, raw), (number, i, frame)
        json.loads(readable)
    assert taken > 1500
