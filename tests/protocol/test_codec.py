"""Codecs against a second decoder that reads the schema on its own; every refusal; every enum."""

from __future__ import annotations

import sys
from enum import IntFlag
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libchronicle.errors import DecodeError, EncodeError
from libchronicle.protocol import (
    TEMPLATES,
    BookDelta,
    BookFlags,
    ExecType,
    ExecutionReport,
    Gap,
    GapReason,
    Heartbeat,
    Instrument,
    NewOrder,
    OrderType,
    SbeMessage,
    SessionStart,
    Side,
    TimeInForce,
    Trade,
    enums,
)
from libchronicle.protocol.schema import SCHEMA_FILE, load, snake

sys.path.insert(0, str(Path(__file__).parent))
from sbe_oracle import WIDTHS, Oracle

ORACLE = Oracle(SCHEMA_FILE)
MESSAGES = load().messages


def integers(primitive: str) -> st.SearchStrategy[int]:
    bits = 8 * WIDTHS[primitive]
    if primitive.startswith("uint"):
        return st.integers(0, 2**bits - 1)
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def texts(size: int) -> st.SearchStrategy[str]:
    characters = st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")
    return st.text(characters, max_size=size).filter(lambda text: len(text.encode()) <= size)


def instances(kind: type[SbeMessage]) -> st.SearchStrategy[SbeMessage]:
    fields: dict[str, st.SearchStrategy[object]] = {}
    for name, primitive, length, _, size in ORACLE.layout(kind.TEMPLATE_ID):
        if name.startswith("reserved"):
            continue
        attribute = snake(name)
        if attribute in kind.LAYOUT.enums:
            members = kind.LAYOUT.enums[attribute].kind
            fields[attribute] = (
                integers(primitive).map(members)
                if issubclass(members, IntFlag)
                else st.sampled_from(list(members))
            )
        elif primitive == "char":
            fields[attribute] = texts(size)
        elif length > 1:
            fields[attribute] = st.binary(min_size=size, max_size=size)
        else:
            fields[attribute] = integers(primitive)
    for group in kind.LAYOUT.groups:
        level = st.tuples(integers("int64"), integers("int64"))
        fields[group.name] = st.lists(level, max_size=5)
    return st.builds(kind, **fields)


@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("kind", TEMPLATES.values(), ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_an_independent_decoder_reads_what_was_encoded(kind, data):
    message = data.draw(instances(kind))
    payload = message.encode()
    name, fields = ORACLE.decode(payload)
    assert name == kind.__name__
    for key, value in fields.items():
        if key.startswith("reserved"):
            assert not value or value == bytes(len(value))
        elif isinstance(value, list):
            assert [(entry["price"], entry["qty"]) for entry in value] == getattr(message, snake(key))
        else:
            assert getattr(message, snake(key)) == value
    assert kind.decode(payload) == message


@pytest.mark.parametrize("name", sorted(ORACLE.enums))
def test_every_enum_has_exactly_the_values_of_the_schema(name):
    kind = getattr(enums, name)
    expected = {snake(key).upper(): value for key, value in ORACLE.enums[name].items()}
    if issubclass(kind, IntFlag):
        expected = {key: 1 << bit for key, bit in expected.items()}
    assert {member.name: member.value for member in kind} == expected


def test_type_ids_are_unique_and_leave_the_queue_its_own():
    assert len(TEMPLATES) == len(set(TEMPLATES.values())) == len(MESSAGES)
    assert all(type_id == kind.TEMPLATE_ID for type_id, kind in TEMPLATES.items())
    assert max(TEMPLATES) < 0xFF00


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (Trade(price=2**63), "price"),
        (Trade(trade_id=-1), "trade_id"),
        (Instrument(book_mode=2, price_exponent=200), "price_exponent"),
        (Instrument(book_mode=2, symbol="x" * 33), "symbol"),
        (Instrument(book_mode=2, venue="é" * 9), "venue"),
        (Instrument(book_mode=2, venue="a\0b"), "venue"),
        (SessionStart(mode=1, config_hash=b"short"), "config_hash"),
        (Trade(price=1.5), "price"),
        (BookDelta(bids=[(1, 2**63)]), "bids"),
        (BookDelta(asks=[(1, 2, 3)]), "asks"),
        (BookDelta(asks=[(1, 2)] * 65_536), "asks"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(message, field):
    with pytest.raises(EncodeError, match=f"{type(message).__name__}.{field}: ") as caught:
        message.encode()
    assert caught.value.field == field


def test_an_enum_without_a_harmless_default_must_be_given():
    with pytest.raises(TypeError, match="order_type"):
        NewOrder(time_in_force=TimeInForce.GTC)
    with pytest.raises(TypeError, match="exec_type"):
        ExecutionReport()
    assert NewOrder(order_type=OrderType.LIMIT, time_in_force=TimeInForce.GTC).side is Side.NONE
    assert BookDelta().flags == BookFlags(0)


@pytest.mark.parametrize("kind", TEMPLATES.values(), ids=lambda kind: kind.__name__)
def test_a_payload_cut_off_anywhere_is_refused(kind):
    required = {name: next(iter(members.values())) for name, members in kind.LAYOUT.enums.items()}
    groups = {group.name: [(1, 2), (3, 4)] for group in kind.LAYOUT.groups}
    payload = kind(**required, **groups).encode()
    for size in range(len(payload)):
        with pytest.raises(DecodeError):
            kind.decode(payload[:size])


def test_payloads_of_another_type_or_schema_are_refused():
    payload = Heartbeat(ts=1).encode()
    with pytest.raises(DecodeError, match="not a Trade"):
        Trade.decode(payload)
    with pytest.raises(DecodeError, match="schema id"):
        Heartbeat.decode(payload[:4] + b"\1\1" + payload[6:])


def test_a_group_with_nested_parts_is_refused():
    payload = bytearray(BookDelta(bids=[(1, 2)]).encode())
    payload[8 + BookDelta.LAYOUT.block.size + 4] = 1
    with pytest.raises(DecodeError, match="nested"):
        BookDelta.decode(payload)


def test_numbers_of_an_enum_that_this_build_does_not_know_are_kept():
    payload = bytearray(Gap(reason=GapReason.LOST).encode())
    payload[8 + 40] = 200
    gap = Gap.decode(payload)
    assert gap.reason == 200
    assert gap.reason.name == "UNKNOWN_200"
    assert isinstance(gap.reason, GapReason)
    assert Gap.decode(gap.encode()) == gap
    assert GapReason.LOST in GapReason
    assert 200 not in {member.value for member in GapReason}


@pytest.mark.parametrize("buffer", [bytes, bytearray, memoryview, lambda b: memoryview(b"?" + b)[1:]])
def test_any_buffer_decodes(buffer):
    delta = BookDelta(instrument_id=7, bids=[(1, 2)], asks=[(3, 4), (5, 6)])
    assert BookDelta.decode(buffer(delta.encode())) == delta
    report = ExecutionReport(exec_type=ExecType.FILL, text="naïve")
    assert ExecutionReport.decode(buffer(report.encode())) == report
