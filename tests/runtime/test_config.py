"""Configuration: what is accepted, and what an error says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from libchronicle.cli.context import find_run
from libchronicle.cli.options import UpOptions, effective
from libchronicle.errors import ConfigError, NoPermission
from libchronicle.runtime.config import HostConfig, load_host, load_strategy, strategy_files
from libchronicle.runtime.decode import decode, read_toml, to_builtins, write_toml

HOST = """
version = 1
[exchange.markets.binance-spot]
port = 9081
symbols = ["BTCUSDT"]
[feeds.binance-spot]
venue = "binance-spot"
symbols = ["BTCUSDT"]
rest_url = "http://127.0.0.1:9081"
ws_url = "ws://127.0.0.1:9081"
[router.limits]
max_order_qty = "10"
"""

STRATEGY = """
version = 1
id = "alpha"
file = "alpha.py"
class = "Alpha"
subscribe = ["binance-spot:BTCUSDT"]
"""


def host_file(directory: Path, text: str = HOST) -> Path:
    path = directory / "host.toml"
    path.write_text(text)
    return path


def strategy_file(directory: Path, text: str = STRATEGY) -> Path:
    (directory / "alpha.py").write_text("class Alpha: ...\n")
    path = directory / "alpha.toml"
    path.write_text(text)
    return path


def test_the_shipped_host_configuration_loads_and_survives_a_round_trip() -> None:
    path = Path(__file__).parents[2] / "deploy" / "host.toml"
    config = load_host(path, environ={})
    assert set(config.feeds) == {"binance-spot", "binance-usdm"}
    assert decode(HostConfig, to_builtins(config), "again") == config


def test_written_toml_reads_back_the_same(tmp_path: Path) -> None:
    tables: dict[str, Any] = {
        "text": 'quote " backslash \\ newline \n tab \t del \x7f é',
        "list": ["a", 1, 2.5, True],
        "odd key é": -3,
        "nested": {"dotted.name": {"x": 1e-9}, "empty": {}},
    }
    path = tmp_path / "some.toml"
    path.write_text(write_toml(tables))
    assert read_toml(path) == tables


HOST_ERRORS = [
    ("symbols = [", "symbls = [", "feeds.binance-spot.symbls", "unknown key; allowed: budget_bytes, client,"),
    ("version = 1", "", "version", "missing; expected 1"),
    ("version = 1", "version = 2", "version", "expected 1, got 2"),
    ("version = 1", "version = 1\n[bux]\nroot = 'x'", "bux", "unknown key; allowed: "),
    ("port = 9081", "port = 70000", "exchange.markets.binance-spot.port", "<= 65535; the value is 70000"),
    ("port = 9081", "port = '9081'", "exchange.markets.binance-spot.port", "expected int, got str"),
    (
        'max_order_qty = "10"',
        'max_order_qty = "-1"',
        "router.limits.max_order_qty",
        "decimal number in quotes",
    ),
    ('max_order_qty = "10"', "max_order_qty = 10", "router.limits.max_order_qty", 'write it in quotes: "10"'),
    (
        'venue = "binance-spot"',
        'venue = "mtgox"',
        "feeds.binance-spot.venue",
        '"binance-spot" or "binance-usdm"',
    ),
    ('venue = "binance-spot"', "", "feeds.binance-spot.venue", "missing; expected"),
    ("[feeds.binance-spot]", '[feeds."a/b"]', "feeds.a/b", "no name"),
    ('"http://', '"ftp://', "feeds.binance-spot.rest_url", "must start with http:// or https://"),
    (
        "[router.limits]",
        "[exchange]\nsource='recording'\n[router.limits]",
        "exchange.recording",
        "needs a file",
    ),
    ("[router.limits]", "[exchange]\nspeed = -1\n[router.limits]", "exchange.speed", "> 0"),
    (
        "[router.limits]",
        "[exchange]\nsource='tape'\n[router.limits]",
        "exchange.source",
        '"generator" or "recording"',
    ),
]


@pytest.mark.parametrize(("old", "new", "key", "allowed"), HOST_ERRORS)
def test_a_wrong_host_key_is_named_with_file_key_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, key: str, allowed: str
) -> None:
    assert old in HOST
    path = host_file(tmp_path, new.join(HOST.rsplit(old, 1)))
    with pytest.raises(ConfigError) as caught:
        load_host(path, environ={})
    assert caught.value.file == str(path)
    assert caught.value.key == key
    assert allowed in caught.value.reason
    assert str(caught.value).startswith(f"{path}: {key}: ")


def test_two_markets_cannot_share_a_port(tmp_path: Path) -> None:
    text = HOST + '[exchange.markets.binance-usdm]\nport = 9081\nsymbols = ["BTCUSDT"]\n'
    with pytest.raises(ConfigError, match="9081 is also binance-spot's"):
        load_host(host_file(tmp_path, text), environ={})


def test_a_feed_on_this_host_must_point_at_its_market(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"feeds\.binance-spot\.rest_url: names port 9091, but .* listens on 9081"
    ):
        load_host(
            host_file(tmp_path, HOST.replace("http://127.0.0.1:9081", "http://127.0.0.1:9091")), environ={}
        )
    load_host(host_file(tmp_path, HOST.replace("127.0.0.1:9081", "stream.example:443")), environ={})


def test_a_file_that_is_missing_or_no_toml_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_host(tmp_path / "nowhere.toml")
    with pytest.raises(ConfigError, match="line 1"):
        load_host(host_file(tmp_path, "version = = 1"))
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_host(binary)


def test_the_environment_overrides_single_values(tmp_path: Path) -> None:
    environ = {
        "CHRONICLE_BUS_ROOT": "/somewhere/else",
        "CHRONICLE_EXPORTER_PORT": "9999",
        "CHRONICLE_EXCHANGE_SPEED": "20",
        "CHRONICLE_FEEDS_SEGMENT_SIZE": "1048576",
        "CHRONICLE_FEEDS_BINANCE_SPOT_CLIENT": "picows",
        "CHRONICLE_FEEDS_BINANCE_SPOT_SYMBOLS": "BTCUSDT, ETHUSDT",
        "CHRONICLE_DATA": "/not/a/section",
    }
    config = load_host(host_file(tmp_path), environ)
    assert config.bus.root == "/somewhere/else"
    assert config.exporter.port == 9999
    assert config.exchange is not None
    assert config.exchange.speed == 20.0
    feed = config.feeds["binance-spot"]
    assert (feed.segment_size, feed.client, feed.symbols) == (1 << 20, "picows", ("BTCUSDT", "ETHUSDT"))


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("CHRONICLE_BUS_ROTO", "x", "unknown key; allowed: CHRONICLE_BUS_HOT, CHRONICLE_BUS_ROOT"),
        ("CHRONICLE_EXPORTER_PORT", "many", "the value is 'many'"),
        ("CHRONICLE_FEEDS_BINANCE_SPOT_CLIENT", "curl", "got 'curl'"),
    ],
)
def test_a_wrong_override_names_its_variable(tmp_path: Path, variable: str, value: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_host(host_file(tmp_path), {variable: value})
    assert caught.value.key == variable
    assert reason in caught.value.reason


def test_a_strategy_gets_the_hosts_limits_tightened_by_its_own(tmp_path: Path) -> None:
    host = load_host(host_file(tmp_path), environ={})
    text = STRATEGY + '[params]\nthreshold = 0.6\n[limits]\nmax_order_qty = "0.5"\nmax_open_orders = 3\n'
    config = load_strategy(strategy_file(tmp_path, text), host, environ={"CHRONICLE_STRATEGY_SPIN_US": "50"})
    assert config.class_name == "Alpha"
    assert config.file == str(tmp_path / "alpha.py")
    assert (config.limits.max_order_qty, config.limits.max_open_orders) == ("0.5", 3)
    assert config.spin_us == 50
    assert config.params == {"threshold": 0.6}


STRATEGY_ERRORS = [
    ('"alpha"', '"beta"', "id", "must be the file's name, 'alpha'"),
    ('"alpha"', '"../alpha"', "id", "is no name"),
    ("alpha.py", "beta.py", "file", "no such file"),
    ('"Alpha"', '"no class"', "class", "no name of a class"),
    (
        '"Alpha"',
        '"Alpha"\nparams = { ' + "n" * 65 + " = 1 }",
        "params." + "n" * 65,
        "is longer than 64 bytes",
    ),
    ('["binance-spot:BTCUSDT"]', "[]", "subscribe", "is empty"),
    ("spot:BTCUSDT", "spot:btcusdt", "subscribe", "is no instrument"),
    ("spot:BTCUSDT", "spot:DOGEUSDT", "subscribe", "no feed carries"),
    ("version = 1", "version = 1\nkinds = ['l3']", "kinds", 'a list of "book" or "trade" or "quote", got'),
    ("version = 1", "version = 1\non_stop = 'hold'", "on_stop", '"cancel" or "keep"'),
    ("version = 1", "version = 1\nspin = 3", "spin", "unknown key; allowed: account, backtest,"),
    (
        "BTCUSDT",
        'BTCUSDT"]\n[limits]\nmax_order_qty = "11" #',
        "limits.max_order_qty",
        "11 is wider than the host's 10",
    ),
]


@pytest.mark.parametrize(("old", "new", "key", "reason"), STRATEGY_ERRORS)
def test_a_wrong_strategy_key_is_named(tmp_path: Path, old: str, new: str, key: str, reason: str) -> None:
    host = load_host(host_file(tmp_path), environ={})
    path = strategy_file(tmp_path, STRATEGY.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_strategy(path, host, environ={})
    assert (caught.value.file, caught.value.key) == (str(path), key)
    assert reason in caught.value.reason


@pytest.mark.parametrize("name", ["alpha.toml", "alpha.py"])
def test_a_strategy_that_strangers_may_write_is_refused(tmp_path: Path, name: str) -> None:
    path = strategy_file(tmp_path)
    (tmp_path / name).chmod(0o646)
    with pytest.raises(NoPermission, match="everybody may write it") as caught:
        load_strategy(path, environ={})
    assert caught.value.path == str(tmp_path / name)


def test_a_strategy_in_a_directory_that_strangers_may_write_is_refused(tmp_path: Path) -> None:
    path = strategy_file(tmp_path)
    tmp_path.chmod(0o777)
    with pytest.raises(NoPermission, match="everybody may write it"):
        load_strategy(path, environ={})
    tmp_path.chmod(0o1777)  # sticky: nobody can replace another one's file
    load_strategy(path, environ={})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_strategy_of_a_stranger_or_a_shared_group_is_refused(tmp_path: Path) -> None:
    path = strategy_file(tmp_path)
    os.chown(path, 0, 65534)
    path.chmod(0o664)
    with pytest.raises(NoPermission, match="its group may write it"):
        load_strategy(path, environ={})
    os.chown(path, 65534, 0)
    path.chmod(0o644)
    with pytest.raises(NoPermission, match="neither root nor the user"):
        load_strategy(path, environ={})


def test_strategies_are_the_tomls_of_their_directory(tmp_path: Path) -> None:
    host = load_host(host_file(tmp_path), environ={"CHRONICLE_STRATEGIES_DIR": str(tmp_path / "strategies")})
    assert strategy_files(host) == []
    (tmp_path / "strategies").mkdir()
    strategy_file(tmp_path / "strategies")
    assert [path.stem for path in strategy_files(host)] == ["alpha"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            '[router.paper]\nleverage = { "*" = 5 }',
            r"router\.paper\.leverage: needs an account: name its cash",
        ),
        ('[router.paper.fees."*"]\ntaker_bps = 5', r"router\.paper\.fees: needs an account"),
        ('[router.paper]\ncash = { "US DT" = "1" }', r"router\.paper\.cash: 'US DT' is no currency"),
        ('[router.paper]\ncash = { USDT = "-1" }', r"router\.paper\.cash"),
        (
            '[router.paper]\ncash = { USDT = "1" }\n[router.paper.fees."*"]\ntiers = [["5", 1, 2], ["5", 0, 1]]',
            r"router\.paper\.fees\.\*\.tiers: must come by volume",
        ),
        ("[router.paper.latency]\nentry_us = -1", r"router\.paper\.latency\.entry_us"),
        (
            '[exchange.accounts.alice]\nbalances = { USDT = "1" }',
            r"exchange\.accounts\.alice\.secret: missing",
        ),
        ('[exchange.accounts."a key"]\nsecret = "s"', r"exchange\.accounts\.a key: is no API key"),
        ('[exchange.accounts.alice]\nsecret = ""', r"secret: expected 1 to 128 visible ASCII characters"),
        (
            '[exchange.accounts.alice]\nsecret = "s"\nbalances = { USDT = "90000000000" }',
            r"balances: expected a decimal number in quotes, with at most 10 digits before the point",
        ),
        (
            '[exchange.accounts.alice]\nsecret = "s"\nbalances = { usdt = "1" }',
            r"exchange\.accounts\.alice\.balances: 'usdt' is no asset",
        ),
    ],
)
def test_an_account_that_cannot_be_one_is_refused_by_name(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        load_host(host_file(tmp_path, f"{HOST}{text}\n"), environ={})


def test_hot_is_of_the_root_that_stands_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    hot, other = tmp_path / "memory", tmp_path / "other"
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "host.toml").write_text(f'{HOST}[bus]\nroot = "run"\nhot = "{hot}"\n')
    bus = load_host("deploy/host.toml", environ={}).bus
    assert [bus.at(root).hot_path for root in ("run", "./run/", str(tmp_path / "run"))] == [hot] * 3
    assert (bus.at("other").root_path, bus.at("other").hot_path) == (other, None)
    assert [find_run(run, None).suite.paths.hot for run in (None, "run", "other")] == [hot, hot, other]
    host = load_host("deploy/host.toml", environ={})
    assert effective(host, UpOptions(run="other")).bus.hot == ""
    assert effective(host, UpOptions()).bus.hot == str(hot)
