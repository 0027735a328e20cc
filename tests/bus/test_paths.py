from datetime import date
from pathlib import Path

import pytest

from libchronicle.bus.paths import BusPaths
from libchronicle.errors import InvalidName


def test_the_layout_is_the_documented_one() -> None:
    paths = BusPaths("/r")
    assert paths.raw("binance-spot") == Path("/r/market_data/queue/binance-spot")
    assert paths.clean("binance-spot", "BTCUSDT", "book") == Path(
        "/r/market_data/clean/binance-spot/BTCUSDT/book"
    )
    assert paths.orders_out("alpha") == Path("/r/orders/queue/alpha/orders_out")
    assert paths.orders_in("alpha") == Path("/r/orders/queue/alpha/orders_in")
    assert paths.session("router") == Path("/r/sessions/queue/router")
    assert paths.control("router") == Path("/r/control/queue/router")
    assert paths.kill_word == Path("/r/control/kill.word")
    assert paths.counters("feed") == Path("/r/services/feed.counters")
    assert paths.errors("feed") == Path("/r/services/feed.errors")
    assert paths.archive("v", "S", date(2024, 8, 8), "trade") == Path("/r/archive/v1/v/S/2024-08-08/trade")
    assert paths.run_dir("log", "feed") == Path("/r/log/feed")


def test_hot_takes_market_data_and_nothing_else() -> None:
    paths = BusPaths("/r", hot="/dev/shm/c")
    hot, cold = Path("/dev/shm/c"), Path("/r")
    assert paths.raw("f").is_relative_to(hot)
    assert paths.clean("v", "s", "trade.late").is_relative_to(hot)
    others = [
        paths.orders_in("a"),
        paths.session("a"),
        paths.control("a"),
        paths.kill_word,
        paths.counters("a"),
    ]
    assert all(path.is_relative_to(cold) for path in others)
    assert BusPaths("/r", hot="").hot == cold


@pytest.mark.parametrize("name", ["", "..", "../../etc", "a/b"])
def test_no_name_leaves_the_root(name: str) -> None:
    paths = BusPaths("/r")
    for make in (
        paths.raw,
        paths.orders_out,
        paths.orders_in,
        paths.session,
        paths.control,
        paths.counters,
        paths.errors,
    ):
        with pytest.raises(InvalidName):
            make(name)
    with pytest.raises(InvalidName):
        paths.clean("venue", name, "book")
    with pytest.raises(InvalidName):
        paths.run_dir(name)


def test_an_unknown_stream_is_refused() -> None:
    with pytest.raises(InvalidName, match="allowed are book, trade, quote"):
        BusPaths("/r").clean("v", "s", "candles")


def test_strategies_and_feeds_are_listed_by_their_real_names(tmp_path: Path) -> None:
    paths = BusPaths(tmp_path)
    assert paths.strategies() == []
    for name in ("zeta", "alpha 1"):
        paths.orders_out(name).mkdir(parents=True)
    (paths.orders_dir / "not%zzours").mkdir()
    paths.raw("binance-spot").mkdir(parents=True)
    assert paths.strategies() == ["alpha 1", "zeta"]
    assert paths.feeds() == ["binance-spot"]
