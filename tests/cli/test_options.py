"""Options of `chronicle up` laid over host.toml."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from libchronicle.cli.options import UpOptions, effective, runnable_strategies
from libchronicle.cli.programs import programs
from libchronicle.cli.rendering import supervisord_conf
from libchronicle.cli.suite import SOCKET_PATH_LIMIT, Suite
from libchronicle.errors import ConfigError, CorruptError
from libchronicle.runtime.config import HostConfig, load_host

SHIPPED = Path(__file__).parents[2] / "deploy" / "host.toml"


@pytest.fixture
def host(tmp_path: Path) -> HostConfig:
    (tmp_path / "strategies").mkdir()
    return load_host(
        SHIPPED,
        {
            "CHRONICLE_STRATEGIES_DIR": str(tmp_path / "strategies"),
            "CHRONICLE_BUS_ROOT": str(tmp_path / "run"),
        },
    )


def recording(path: Path, *, futures: bool = False) -> Path:
    """The smallest recording: a snapshot and one diff."""
    diff = {"e": "depthUpdate", "E": 1, "s": "XRPUSDT", "U": 6, "u": 7, "b": [["1.10", "5.0"]], "a": []}
    if futures:
        diff["pu"] = 5
    lines = [
        json.dumps(
            {"lastUpdateId": 5, "bids": [["1.10", "5.0"]], "asks": [["1.20", "7.0"]]}, separators=(",", ":")
        ),
        json.dumps({"stream": "xrpusdt@depth@100ms", "data": diff}, separators=(",", ":")),
    ]
    path.write_bytes(gzip.compress("".join(f"{n + 1} {line}\n" for n, line in enumerate(lines)).encode()))
    return path


def test_paths_become_absolute_so_that_the_working_directory_no_longer_matters(
    host: HostConfig, tmp_path: Path
) -> None:
    config = effective(host, UpOptions(run="elsewhere"))
    assert config.bus.root == str(Path.cwd() / "elsewhere")
    assert config.strategies.dir == str(tmp_path / "strategies")


@pytest.mark.parametrize("futures", [False, True], ids=["spot", "futures"])
def test_a_recording_brings_its_own_market_and_symbol_and_drops_the_others(
    host: HostConfig, tmp_path: Path, futures: bool
) -> None:
    path = recording(tmp_path / "some.gz", futures=futures)
    config = effective(host, UpOptions(recordings=(str(path),), speed=20))
    market = "binance-usdm" if futures else "binance-spot"
    assert config.exchange is not None
    assert (config.exchange.source, config.exchange.recordings, config.exchange.speed) == (
        "recording",
        (str(path),),
        20,
    )
    assert {name: table.symbols for name, table in config.exchange.markets.items()} == {market: ("XRPUSDT",)}
    assert {name: feed.symbols for name, feed in config.feeds.items()} == {market: ("XRPUSDT",)}


def test_the_real_venue_takes_the_place_of_the_embedded_one(host: HostConfig) -> None:
    config = effective(host, UpOptions(venue="binance", symbols=("BTCUSDT", "SOLUSDT")))
    assert config.exchange is None
    assert set(config.feeds) == {"binance-spot", "binance-usdm"}
    spot = config.feeds["binance-spot"]
    assert (spot.rest_url, spot.symbols) == ("https://api.binance.com", ("BTCUSDT", "SOLUSDT"))
    assert spot.ws_url.startswith("wss://")
    only = effective(host, UpOptions(venue="binance-usdm"))
    assert set(only.feeds) == {"binance-usdm"}
    assert only.feeds["binance-usdm"].symbols == ("BTCUSDT",)


REFUSED = [
    (UpOptions(venue="mtgox"), "--venue", "allowed: binance, binance-spot, binance-usdm"),
    (UpOptions(venue="binance", recordings=("x",)), "--venue", "cannot be combined"),
    (UpOptions(venue="binance", speed=2), "--speed", "there is none"),
    (UpOptions(symbols=("BTCUSDT",)), "--symbols", "belongs to --venue"),
    (UpOptions(speed=-1), "--speed", "must be above 0"),
    (UpOptions(venue="binance", symbols=("BTC/USDT",)), "feeds.binance-spot.symbols", "no symbol"),
]


@pytest.mark.parametrize(("options", "key", "reason"), REFUSED, ids=[f"{o.said()}" for o, _, _ in REFUSED])
def test_options_that_make_no_sense_are_refused_by_name(
    host: HostConfig, options: UpOptions, key: str, reason: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        effective(host, options)
    assert caught.value.key == key
    assert reason in caught.value.reason


def test_a_recording_that_is_missing_damaged_or_no_recording_is_refused(
    host: HostConfig, tmp_path: Path
) -> None:
    with pytest.raises(Exception, match=r"nowhere\.gz.*(no such|No such)"):
        effective(host, UpOptions(recordings=(str(tmp_path / "nowhere.gz"),)))
    whole = recording(tmp_path / "whole.gz").read_bytes()
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptError, match="damaged"):
        effective(host, UpOptions(recordings=(str(tmp_path / "cut.gz"),)))


def strategy(host: HostConfig, name: str, instrument: str) -> None:
    (host.strategies.path / f"{name}.py").write_text("class One: ...\n")
    (host.strategies.path / f"{name}.toml").write_text(
        f'version = 1\nid = "{name}"\nfile = "{name}.py"\nclass = "One"\nsubscribe = ["{instrument}"]\n'
    )


def test_a_strategy_without_a_feed_is_left_out_or_does_without_and_either_is_said(host: HostConfig) -> None:
    strategy(host, "all", "binance-spot:BTCUSDT")
    strategy(host, "none", "binance-spot:DOGEUSDT")
    strategy(host, "some", 'binance-spot:BTCUSDT", "binance-spot:DOGEUSDT')
    strategy(host, "loose", 'binance-spot:BTCUSDT", "binance-spot:DOGEUSDT')
    with (host.strategies.path / "loose.toml").open("a") as toml:
        toml.write('on_missing = "skip"\n')
    found, said = runnable_strategies(host)
    assert {config.id: config.subscribe for _, config in found} == {
        "all": ("binance-spot:BTCUSDT",),
        "loose": ("binance-spot:BTCUSDT",),
    }
    assert said == [
        "strategy loose does without: no feed carries binance-spot:DOGEUSDT",
        "strategy none is not started: no feed carries binance-spot:DOGEUSDT",
        "strategy some is not started: no feed carries binance-spot:DOGEUSDT",
    ]


# ---------------------------------------------------------------- programs and supervisord.conf


def test_a_change_touches_only_the_programs_it_concerns(host: HostConfig, tmp_path: Path) -> None:
    strategy(host, "one", "binance-spot:BTCUSDT")
    suite = Suite(tmp_path / "run")

    def digests(environ: dict[str, str]) -> dict[str, str]:
        config = load_host(SHIPPED, {"CHRONICLE_STRATEGIES_DIR": str(host.strategies.path), **environ})
        return {p.name: p.digest for p in programs(config, suite, runnable_strategies(config)[0])}

    before = digests({})
    assert list(before) == [
        "exchange",
        "feed-binance-spot",
        "feed-binance-usdm",
        "etl",
        "router",
        "strategy-one",
        "archive-tier",
        "exporter",
    ]

    def changed(environ: dict[str, str]) -> set[str]:
        return {name for name, digest in digests(environ).items() if digest != before[name]}

    assert changed({"CHRONICLE_EXPORTER_PORT": "1"}) == {"exporter"}
    assert changed({"CHRONICLE_EXCHANGE_SEED": "7"}) == {"exchange"}
    assert changed({"CHRONICLE_BUS_HOT": "/dev/shm/x"}) == set(before)
    (host.strategies.path / "one.py").write_text("class One: pass\n")
    assert changed({}) == {"strategy-one"}


def test_each_program_is_a_group_of_its_own_and_odd_paths_survive(host: HostConfig, tmp_path: Path) -> None:
    import configparser
    import shlex

    strategy(host, "one", "binance-spot:BTCUSDT")
    suite = Suite(tmp_path / "with space and 100% more")
    text = supervisord_conf(suite, programs(host, suite, runnable_strategies(host)[0]), tmp_path)
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.read_string(text)
    names = [section.partition(":")[2] for section in parsed.sections() if section.startswith("program:")]
    assert names == [
        "exchange",
        "feed-binance-spot",
        "feed-binance-usdm",
        "etl",
        "router",
        "strategy-one",
        "archive-tier",
        "exporter",
    ]
    command = shlex.split(parsed["program:feed-binance-spot"]["command"].replace("%%", "%"))
    assert command[1:] == ["--config", str(suite.config), "--name", "binance-spot"]
    assert parsed["program:strategy-one"]["autorestart"] == "unexpected"
    assert parsed["program:strategy-one"]["exitcodes"] == "69"


def test_a_run_directory_too_deep_for_a_unix_socket_gets_one_in_the_temp_dir(tmp_path: Path) -> None:
    near, deep = Suite(Path("/srv/run")), Suite(tmp_path / ("x" * 100))
    assert near.socket == Path("/srv/run/supervisor/supervisord.sock")
    assert deep.root not in deep.socket.parents
    assert len(str(deep.socket)) <= SOCKET_PATH_LIMIT
    assert deep.socket != Suite(tmp_path / ("y" * 100)).socket
