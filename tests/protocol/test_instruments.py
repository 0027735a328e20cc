"""Ids are the names' hashes, one name each, exponents for ever."""

from __future__ import annotations

import hashlib

import pytest

from libchronicle.errors import ExponentChanged, InstrumentCollision, InvalidName, UnknownInstrument
from libchronicle.protocol import BookMode, Instrument, InstrumentRegistry, instrument_id


def definition(symbol: str = "BTCUSDT", **changes: object) -> Instrument:
    values = {
        "instrument_id": instrument_id(f"binance-spot:{symbol}"),
        "venue": "binance-spot",
        "symbol": symbol,
        "price_exponent": -8,
        "qty_exponent": -8,
        "tick_size": 1_000_000,
        "book_mode": BookMode.L2,
    }
    return Instrument(**{**values, **changes})


def test_an_id_is_the_first_eight_bytes_of_the_names_digest():
    digest = hashlib.blake2b(b"binance-spot:BTCUSDT").digest()
    assert instrument_id("binance-spot:BTCUSDT") == int.from_bytes(digest[:8], "little")
    assert instrument_id("binance-spot:BTCUSDT") == 0xB34E0F038B1DC1A0
    assert instrument_id("binance-usdm:BTCUSDT") != instrument_id("binance-spot:BTCUSDT")


@pytest.mark.parametrize("name", ["", "BTCUSDT", ":BTCUSDT", "binance-spot:", "a:b:c", "a b:c", "a:b\n"])
def test_a_name_of_another_form_is_refused(name):
    with pytest.raises(InvalidName, match="venue:SYMBOL"):
        instrument_id(name)


def test_definitions_are_found_by_id_and_by_name():
    registry = InstrumentRegistry([definition(), definition("ETHUSDT")])
    assert len(registry) == 2
    assert registry["binance-spot:ETHUSDT"].symbol == "ETHUSDT"
    assert registry[instrument_id("binance-spot:BTCUSDT")].symbol == "BTCUSDT"
    assert "binance-spot:BTCUSDT" in registry
    assert "binance-spot:XRPUSDT" not in registry
    assert registry.get(5) is None
    assert {d.symbol for d in registry} == {"BTCUSDT", "ETHUSDT"}
    with pytest.raises(UnknownInstrument, match="XRPUSDT"):
        registry["binance-spot:XRPUSDT"]


def test_a_repeated_definition_may_change_tick_and_filters():
    registry = InstrumentRegistry([definition()])
    registry.add(definition(tick_size=500_000, trading=1))
    assert registry["binance-spot:BTCUSDT"].tick_size == 500_000
    assert len(registry) == 1


@pytest.mark.parametrize("change", [{"price_exponent": -2}, {"qty_exponent": -3}])
def test_exponents_never_change(change):
    registry = InstrumentRegistry([definition()])
    with pytest.raises(ExponentChanged, match="binance-spot:BTCUSDT"):
        registry.add(definition(**change))
    assert registry["binance-spot:BTCUSDT"].price_exponent == -8


def test_two_names_never_share_an_id():
    registry = InstrumentRegistry([definition()])
    with pytest.raises(InstrumentCollision, match="belongs to binance-spot:BTCUSDT"):
        registry.add(definition("ETHUSDT", instrument_id=instrument_id("binance-spot:BTCUSDT")))


@pytest.mark.parametrize("wrong", [0, 12345])
def test_an_id_that_is_not_its_names_is_refused(wrong):
    with pytest.raises(InstrumentCollision):
        InstrumentRegistry([definition(instrument_id=wrong)])
