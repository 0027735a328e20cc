"""Which instrument a venue's symbol meant, when; and which process refines it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from raw_world import MIDNIGHT, SECOND, VENUE, World, delta, instrument, number, snapshot, trade

from libchronicle.errors import ConfigError
from libchronicle.etl import Group, SymbolTable, group_of, load_symbols
from libchronicle.etl.symbols import FOREVER_NS, Period, SymbolRow
from libchronicle.protocol import BookDelta, BookSnapshot, Gap, GapReason, Trade

DAY = datetime(2024, 8, 9, tzinfo=UTC)  # MIDNIGHT


def row(
    symbol: str, canonical: str, since: datetime | None = None, until: datetime | None = None
) -> SymbolRow:
    return SymbolRow(venue=VENUE, symbol=symbol, canonical=canonical, since=since, until=until)


# ---------------------------------------------------------------- the table


def test_a_symbol_without_a_row_stands_for_itself() -> None:
    table = SymbolTable()
    assert table.periods(VENUE, "AA") == (Period(0, "AA"),)
    assert table.canonical(VENUE, "AA", 1) == "AA"


def test_the_boundary_belongs_to_the_row_that_begins_there() -> None:
    table = SymbolTable([row("AA", "OLD", None, DAY), row("AA", "NEW", DAY, None)])
    assert table.canonical(VENUE, "AA", MIDNIGHT - 1) == "OLD"
    assert table.canonical(VENUE, "AA", MIDNIGHT) == "NEW"
    assert table.canonical(VENUE, "AA", FOREVER_NS) == "NEW"
    assert table.canonical("binance-usdm", "AA", MIDNIGHT) == "AA"


def test_outside_of_its_rows_a_symbol_stands_for_itself() -> None:
    later = datetime(2024, 8, 10, tzinfo=UTC)
    table = SymbolTable([row("AA", "XX", DAY, later)])
    day = 86_400 * SECOND
    assert table.periods(VENUE, "AA") == (
        Period(0, "AA"),
        Period(MIDNIGHT, "XX"),
        Period(MIDNIGHT + day, "AA"),
    )


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([row("AA", "X", None, DAY), row("AA", "Y")], "valid at the same time"),
        ([row("AA", "X", DAY, DAY)], "ends before it begins"),
        ([row("AA", "X", datetime(2024, 8, 9))], "names no time zone"),
    ],
)
def test_rows_that_contradict_one_another_are_refused(rows: list[SymbolRow], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        SymbolTable(rows, "symbols.toml")


def test_the_file_is_toml_and_an_unknown_key_is_named(tmp_path: Path) -> None:
    file = tmp_path / "symbols.toml"
    file.write_text(
        f'[[symbol]]\nvenue = "{VENUE}"\nsymbol = "MATIC"\ncanonical = "POL"\nto = 2024-08-09T00:00:00Z\n'
    )
    table = load_symbols(file)
    assert table.canonical(VENUE, "MATIC", MIDNIGHT - 1) == "POL"
    assert table.canonical(VENUE, "MATIC", MIDNIGHT) == "MATIC"
    file.write_text('[[symbol]]\nvenu = "x"\n')
    with pytest.raises(ConfigError, match="venu"):
        load_symbols(file)


# ---------------------------------------------------------------- through the refinery


def test_a_renamed_instrument_has_one_stream_under_its_canonical_name(tmp_path: Path) -> None:
    """MATIC until midnight, POL from then on."""
    world = World(tmp_path)
    world.symbols = SymbolTable([row("MATIC", "POL", None, DAY)])
    before, after = MIDNIGHT - SECOND, MIDNIGHT + SECOND
    world.put(instrument("MATIC"), snapshot("MATIC", 1, venue_ts=before), at=before)
    world.put(delta("MATIC", 2, venue_ts=before), trade("MATIC", 1, venue_ts=before), at=before)
    world.put(instrument("POL"), snapshot("POL", 1, venue_ts=after), at=after)
    world.put(delta("POL", 2, venue_ts=after), trade("POL", 2, venue_ts=after), at=after)
    refinery = world.refine()
    assert sorted(refinery.targets) == [f"{VENUE}:MATIC", f"{VENUE}:POL"]
    assert not world.clean("MATIC", "trade")
    trades = [m for m in world.messages("POL", "trade") if isinstance(m, Trade)]
    assert [m.trade_id for m in trades] == [1, 2]
    assert {m.instrument_id for m in world.messages("POL", "trade")} == {number("POL")}
    book = [m for m in world.messages("POL", "book") if isinstance(m, BookSnapshot | BookDelta)]
    assert [(m.last_update_id, m.instrument_id) for m in book] == [(u, number("POL")) for u in (1, 2, 1, 2)]
    assert refinery.targets[f"{VENUE}:POL"].book.last_update_id == 2
    world.stop()
    world.put(Gap(instrument_id=number("POL"), reason=GapReason.SEQUENCE))
    world.put(trade("POL", 3, venue_ts=after + SECOND))
    world.refine()
    assert [m.trade_id for m in world.messages("POL", "trade") if isinstance(m, Trade)] == [1, 2, 3]
    world.close()


def test_a_symbol_used_again_for_another_thing_resolves_by_the_time_of_the_event(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.symbols = SymbolTable([row("LUNA", "LUNC", None, DAY), row("LUNA", "LUNA2", DAY, None)])
    world.put(instrument("LUNA"))
    for n, ts in enumerate((MIDNIGHT - SECOND, MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + 1, MIDNIGHT - 1)):
        world.put(trade("LUNA", n, venue_ts=ts), at=MIDNIGHT + n)
    world.refine()
    found = {
        name: [m.trade_id for m in world.messages(name, "trade") if isinstance(m, Trade)]
        for name in ("LUNA", "LUNC", "LUNA2")
    }
    assert found == {"LUNA": [], "LUNC": [0, 1, 4], "LUNA2": [2, 3]}
    world.close()


# ---------------------------------------------------------------- groups


def test_the_first_group_with_a_pattern_that_fits_takes_the_instrument() -> None:
    groups = {"majors": ["binance-spot:BTC*", "*:ETHUSDT"], "rest": ["*"]}
    assert group_of("binance-spot:BTCUSDT", groups) == "majors"
    assert group_of("binance-usdm:ETHUSDT", groups) == "majors"
    assert group_of("binance-usdm:BTCUSDT", groups) == "rest"
    assert group_of("x", {"majors": ["y"]}) is None
    assert Group().takes("anything")
    assert not Group("majors", groups).takes("binance-usdm:BTCUSDT")


def test_what_belongs_to_another_group_is_counted_and_left_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(instrument("AA"), instrument("BB"), trade("AA", 1), trade("BB", 1), trade("BB", 2))
    world.start(Group("a", {"a": ["*:AA"], "rest": ["*"]}))
    refinery = world.refine()
    assert refinery.figures["others"] == 2
    assert refinery.figures["unknown"] == 0
    assert list(world.everything()) == [f"{VENUE}/AA/trade"]
    world.close()
