"""A newer and an older build read each other's records: blocks by their length, groups by their version."""

from __future__ import annotations

import sys
import types

import pytest

from libchronicle.protocol import BookSnapshot, SbeMessage, Side, Trade
from libchronicle.protocol.generate import render
from libchronicle.protocol.schema import SCHEMA_FILE, SchemaError, parse

TRADE_END = '<field name="aggressor" id="9" type="Side"/>\n    <field name="reserved" id="10" type="pad7"/>\n'
SNAPSHOT_END = (
    '<field name="flags" id="7" type="BookFlags"/>\n    <field name="reserved" id="8" type="pad6"/>\n'
)
NEW_GROUP = (
    '  <group name="auction" id="40" dimensionType="groupSizeEncoding" sinceVersion="4">'
    '<field name="price" id="41" type="int64"/><field name="qty" id="42" type="int64"/></group>\n  </sbe:message>'
)


def next_version(text: str) -> str:
    """The schema one version on: a field at the end of Trade's block, a group at the end of BookSnapshot."""
    text = text.replace(
        'package="chronicle" id="4347" version="3"', 'package="chronicle" id="4347" version="4"'
    )
    text = text.replace(
        TRADE_END,
        TRADE_END
        + '<field name="buyOrderId" id="11" type="uint64" sinceVersion="4"/>'
        + '<field name="maker" id="12" type="char16" sinceVersion="4"/>',
    )
    head, snapshot, tail = text.partition('<sbe:message name="BookSnapshot"')
    return head + snapshot + tail.replace("  </sbe:message>", NEW_GROUP, 1)


def build(text: str) -> types.ModuleType:
    """The market codecs another build would have, under the version it would write."""
    module = types.ModuleType("market_of_another_build")
    sys.modules[module.__name__] = module  # msgspec looks the annotations up there
    try:
        exec(render(parse(text))["market.py"], module.__dict__)
    finally:
        del sys.modules[module.__name__]
    return module


def written_by_the_next(message: SbeMessage) -> bytes:
    payload = bytearray(message.encode())
    payload[6:8] = (4).to_bytes(2, "little")
    return bytes(payload)


@pytest.fixture(scope="module")
def newer() -> types.ModuleType:
    return build(next_version(SCHEMA_FILE.read_text()))


def test_a_newer_build_reads_an_older_record_with_its_new_fields_empty(newer):
    trade = newer.Trade.decode(Trade(instrument_id=7, price=5, aggressor=Side.BUY).encode())
    assert (trade.instrument_id, trade.price, trade.aggressor) == (7, 5, Side.BUY)
    assert (trade.buy_order_id, trade.maker) == (0, "")
    snapshot = newer.BookSnapshot.decode(BookSnapshot(bids=[(1, 2)]).encode())
    assert (snapshot.bids, snapshot.asks, snapshot.auction) == ([(1, 2)], [], [])


def test_an_older_build_reads_what_it_knows_of_a_newer_record(newer):
    payload = written_by_the_next(newer.Trade(instrument_id=7, price=5, buy_order_id=9, maker="someone"))
    assert len(payload) == len(Trade().encode()) + 24
    assert Trade.decode(payload) == Trade(instrument_id=7, price=5)
    payload = written_by_the_next(newer.BookSnapshot(asks=[(3, 4)], auction=[(5, 6)]))
    assert BookSnapshot.decode(payload) == BookSnapshot(asks=[(3, 4)])


def test_a_newer_build_reads_its_own_records(newer):
    trade = newer.Trade(price=1, buy_order_id=2, maker="x")
    assert newer.Trade.decode(written_by_the_next(trade)) == trade
    snapshot = newer.BookSnapshot(bids=[(1, 1)], auction=[(5, 6)])
    assert newer.BookSnapshot.decode(written_by_the_next(snapshot)) == snapshot


@pytest.mark.parametrize(("stride", "expected"), [(24, (5, 6)), (8, (5, 0))])
def test_entries_of_another_length_are_read_as_far_as_they_go(stride, expected):
    payload = BookSnapshot().encode()[:-16]
    entry = ((5).to_bytes(8, "little") + (6).to_bytes(8, "little") + bytes(8))[:stride]
    payload += stride.to_bytes(2, "little") + (2).to_bytes(2, "little") + bytes(4) + entry * 2
    payload += (16).to_bytes(2, "little") + bytes(6)
    assert BookSnapshot.decode(payload).bids == [expected, expected]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (TRADE_END, TRADE_END + '<field name="x" id="11" type="uint32" sinceVersion="1"/>', "multiple of 8"),
        (
            TRADE_END,
            TRADE_END + '<field name="x" id="11" type="uint64" sinceVersion="4"/>',
            "above the version",
        ),
        (TRADE_END, '<field name="x" id="11" type="uint64" sinceVersion="1"/>' + TRADE_END, "at the end"),
        (TRADE_END, '<field name="x" id="11" type="uint8"/>' + TRADE_END, "multiple of 8"),
        (
            TRADE_END,
            '<field name="x" id="11" type="uint8"/><field name="y" id="1" type="int64"/>',
            "its size",
        ),
        (TRADE_END, '<field name="x" id="11" type="float"/>', "unknown type"),
        (TRADE_END, TRADE_END.replace("aggressor", "price"), "field name occurs twice"),
        ('name="Trade" id="5"', 'name="Trade" id="4"', "template id occurs twice"),
        ('name="Trade" id="5"', 'name="Trade" id="65280"', "outside"),
        ('name="Trade" id="5"', 'id="5"', "lacks name"),
        (
            '<validValue name="SELL">2</validValue>',
            '<validValue name="SELL">1</validValue>',
            "value occurs twice",
        ),
        ('byteOrder="littleEndian"', 'byteOrder="bigEndian"', "littleEndian"),
        ('name="numGroups"', 'name="numParts"', "composite"),
        (TRADE_END, TRADE_END + '<data name="d" id="99" type="varData"/>', "variable data"),
    ],
)
def test_a_schema_that_breaks_a_rule_is_refused(old, new, reason):
    text = SCHEMA_FILE.read_text()
    assert old in text
    with pytest.raises(SchemaError, match=reason):
        parse(text.replace(old, new, 1))
