"""Values no key was made for, put to every key of both TOMLs and to every override of the environment.

Each is either refused with file, key and what is allowed, or accepted and then usable: it survives being written and read
again, renders into supervisord's configuration without adding to it, and holds no number that cannot be computed with.
"""

from __future__ import annotations

import configparser
import datetime
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libchronicle.cli.programs import programs
from libchronicle.cli.rendering import supervisord_conf
from libchronicle.cli.suite import Suite
from libchronicle.errors import ConfigError, HostError
from libchronicle.runtime.config import HostConfig, StrategyConfig, load_host, load_strategy
from libchronicle.runtime.decode import decode, to_builtins, write_toml
from libchronicle.runtime.environment import host_overrides
from libchronicle.runtime.values import struct_of

HOST: dict[str, Any] = {
    "version": 1,
    "bus": {"root": "run", "hot": ""},
    "exchange": {
        "host": "127.0.0.1",
        "source": "generator",
        "recording": "",
        "at_end": "hold",
        "speed": 1.0,
        "seed": 1,
        "rate": 200.0,
        "core": -1,
        "markets": {"binance-spot": {"port": 9081, "symbols": ["BTCUSDT"]}},
        "accounts": {"alice": {"secret": "of-alice"}},
    },
    "feeds": {
        "binance-spot": {
            "venue": "binance-spot",
            "symbols": ["BTCUSDT"],
            "rest_url": "http://127.0.0.1:9081",
            "ws_url": "ws://127.0.0.1:9081",
        }
    },
    "router": {"gateway": "paper", "limits": {"max_order_qty": "10"}, "paper": {"cash": {"USDT": "1000"}}},
    "exporter": {"host": "127.0.0.1", "port": 9464},
    "strategies": {"dir": "strategies"},
}

STRATEGY: dict[str, Any] = {
    "version": 1,
    "id": "alpha",
    "file": "alpha.py",
    "class": "Alpha",
    "subscribe": ["binance-spot:BTCUSDT"],
    "limits": {"max_order_qty": "5"},
}

HOSTILE: list[Any] = [
    math.nan, math.inf, -math.inf, 0, -1, 1, 2**31, 2**63, 10**23, -(10**23), 10**400, 0.0, -0.0, 1e308, 1e-308, 5e-324,
    True, False, "", " ", "nan", "-1", "1e5", "1.0.0", "٣", "é", "\x00", "a\x00b", "a\nb", "\r", "\x1b[31m", "%", "%(x)s", "~",
    "a ;b", "a #b", "x" * 5000, "/", ".", "..", "../../etc/passwd", "/dev/null", "C:\\x", "'\"", "$(reboot)", "0.0.0.0", "::1",
    "256.1.1.1", "example.com", "http://", "http://[::1", "http://a:99999", "http://a:0", "http://u:p@h", "ws://h/?x", "ws://h/#x",
    "ws://h h", "ftp://h", "BTCUSDT", "btcusdt", "binance-spot:", ":BTCUSDT", "mtgox:BTCUSDT", [], [[]], [""], [1], [None],
    ["BTCUSDT", "BTCUSDT"], ["BTC USDT"], ["a" * 33], ["binance-spot:BTCUSDT"] * 2, ["book", "book"], {}, {"x": 1}, {"": {}},
    datetime.date(2026, 1, 1), datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC), datetime.time(12),
]  # fmt: skip


def keys(
    kind: type[msgspec.Struct], names: dict[str, str], prefix: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """Every key of a struct and of the structs in it; `names` says which entry of a table of tables to go into."""
    for field in msgspec.structs.fields(kind):
        path = (*prefix, field.encode_name)
        yield path
        struct, is_mapping = struct_of(field.type)
        if struct is not None:
            yield from keys(struct, names, (*path, names[field.encode_name]) if is_mapping else path)


ENTRIES = {"markets": "binance-spot", "feeds": "binance-spot", "fees": "binance-spot", "accounts": "alice"}
HOST_KEYS = list(keys(HostConfig, ENTRIES))
STRATEGY_KEYS = list(keys(StrategyConfig, ENTRIES))


def with_value(tables: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    head, *rest = path
    inner = tables.get(head, {})
    return {**tables, head: with_value(inner, tuple(rest), value) if rest else value}


def toml(value: Any) -> str:
    """As `write_toml`, and dates, nothing and tables within lists too."""
    if isinstance(value, (datetime.date, datetime.datetime, datetime.time)):
        return value.isoformat()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(item) for item in value if item is not None) + "]"
    if isinstance(value, int) and not isinstance(value, bool):
        return hex(value) if value > 2**64 else str(value)  # Python prints no integer of thousands of digits
    return write_toml({"x": value}).removeprefix("x = ").strip()


def document(tables: dict[str, Any]) -> str:
    return "".join(f"{toml(key)} = {toml(value)}\n" for key, value in tables.items())


def check_error(error: ConfigError, path: Path, key: tuple[str, ...]) -> None:
    dotted = ".".join(key)
    assert error.file == str(path)
    assert error.key == dotted or error.key.startswith(f"{dotted}."), (error.key, dotted)
    assert len(error.reason) > 5
    assert "\n" not in str(error)
    assert "\x00" not in str(error)


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for item in value.values():
            yield from numbers(item)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value


def check_usable(config: HostConfig, directory: Path) -> None:
    tables = to_builtins(config)
    assert decode(HostConfig, tables, "again") == config
    speed = tables["exchange"].pop("speed") if config.exchange else 1.0
    assert speed > 0
    for number in numbers(tables):
        assert math.isfinite(number)
        assert abs(number) < 2**63
    suite = Suite(config.bus.root_path, config.bus.hot_path)
    if any(mark in config.bus.root for mark in (" ;", " #")):
        with pytest.raises(HostError, match="supervisord takes"):
            supervisord_conf(suite, programs(config, suite, []), directory)
        return
    text = supervisord_conf(suite, programs(config, suite, []), directory)
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=True)
    parser.read_string(text)
    wanted = {f"program:{program.name}": program for program in programs(config, suite, [])}
    assert {name for name in parser.sections() if name.startswith("program:")} == set(wanted)
    for name in wanted:
        assert parser[name]["stdout_logfile"].replace("%%", "%").startswith(str(suite.root))


@pytest.mark.parametrize("key", HOST_KEYS, ids=".".join)
def test_every_key_of_the_hosts_toml_refuses_what_it_cannot_use(tmp_path: Path, key: tuple[str, ...]) -> None:
    path = tmp_path / "host.toml"
    for value in HOSTILE:
        path.write_text(document(with_value(HOST, key, value)))
        try:
            config = load_host(path, environ={})
        except ConfigError as error:
            blamed = key
            if error.key == "exporter.port" and key[-1] in ("port", "host"):
                blamed = ("exporter", "port")  # two keys that contradict each other: one is named
            elif error.key.startswith("feeds.") and key[:2] == ("exchange", "markets"):
                blamed = ("feeds",)
            elif error.key == "exchange.recording" and key == ("exchange", "source"):
                blamed = ("exchange", "recording")
            elif error.key.endswith("budget_bytes") and key[-1] == "segment_size":
                blamed = (*key[:-1], "budget_bytes")
            check_error(error, path, blamed)
        else:
            check_usable(config, tmp_path)


@pytest.mark.parametrize("key", STRATEGY_KEYS, ids=".".join)
def test_every_key_of_a_strategys_toml_refuses_what_it_cannot_use(
    tmp_path: Path, key: tuple[str, ...]
) -> None:
    (tmp_path / "alpha.py").write_text("class Alpha: ...\n")
    (tmp_path / "host.toml").write_text(document(HOST))
    host = load_host(tmp_path / "host.toml", environ={})
    path = tmp_path / "alpha.toml"
    for value in HOSTILE:
        path.write_text(document(with_value(STRATEGY, key, value)))
        try:
            config = load_strategy(path, host, environ={})
        except ConfigError as error:
            check_error(error, path, key)
        else:
            tables = msgspec.to_builtins(config)
            del tables["params"]
            assert all(math.isfinite(number) and abs(number) < 2**63 for number in numbers(tables))


MUST_REFUSE = [
    ("exchange.host", ["", " ", "example.com", "256.1.1.1"]),
    ("exchange.speed", [0, -1, math.nan, -math.inf, 1e308, 10**400]),
    ("exchange.rate", [0, -1, math.nan, math.inf, 1e308, 5e-324]),
    ("exchange.seed", [-1, 10**23, 1.5, True]),
    ("exchange.core", [-2, 4096, 1.5]),
    ("exchange.markets.binance-spot.port", [-1, 70000, True, 9464]),
    ("exchange.markets.binance-spot.symbols", [[], ["btcusdt"], ["BTCUSDT", "BTCUSDT"], "BTCUSDT"]),
    ("exchange.markets", [{}, {"mtgox": {"port": 1, "symbols": ["BTCUSDT"]}}]),
    ("exporter.host", [""]),
    ("exporter.port", [-1, 70000, 9081]),
    ("bus.root", ["", " ", "a\x00b", "a\n[program:x]\ncommand=reboot"]),
    ("feeds.binance-spot.symbols", [[], ["BTC USDT"]]),
    ("feeds.binance-spot.venue", ["mtgox", "", 1]),
    ("feeds.binance-spot.snapshot_interval_s", [0, -1, math.nan, math.inf, 1e308]),
    ("feeds.binance-spot.retain_age_s", [-1, math.nan, math.inf, 1e308]),
    ("feeds.binance-spot.segment_size", [0, 1, 65537, 2**62]),
    ("feeds.binance-spot.rest_url", ["http://", "http://[::1", "http://a:99999", "http://u:p@h", "http://h/?x", "ws://h"]),
    ("router.maker_fee_bps", [math.nan, math.inf, 1001]),
    ("router.limits.max_order_qty", ["nan", "1e5", "-1", "٣"]),
    ("router.limits.max_open_orders", [-1, 2**31]),
    ("version", [True, 0, 2, "1", 1.0]),
]  # fmt: skip


@pytest.mark.parametrize(("key", "values"), MUST_REFUSE, ids=[key for key, _ in MUST_REFUSE])
def test_these_are_refused_whatever_else_may_pass(tmp_path: Path, key: str, values: list[Any]) -> None:
    path = tmp_path / "host.toml"
    for value in values:
        path.write_text(document(with_value(HOST, tuple(key.split(".")), value)))
        with pytest.raises(ConfigError) as caught:
            load_host(path, environ={})
        print(caught.value)
        assert caught.value.file == str(path)


def overridden(variable: str, text: str) -> HostConfig | ConfigError:
    try:
        tables = host_overrides(HOST, {variable: text}, HostConfig)
    except ConfigError as error:
        return error
    return decode(HostConfig, tables, "host.toml")  # never refused here: the override was looked at already


OVERRIDABLE = [
    key for key in HOST_KEYS if len(key) == 2 and key[0] != "feeds" and key[1] not in ("markets", "limits")
]


@given(text=st.text(st.characters(exclude_characters="\x00"), max_size=40), key=st.sampled_from(OVERRIDABLE))
def test_no_override_from_the_environment_gets_past_the_same_checks(text: str, key: tuple[str, ...]) -> None:
    variable = f"CHRONICLE_{key[0]}_{key[1]}".upper()
    for value in (text, "nan", "inf", "1e400", "-0"):
        result = overridden(variable, value)
        if isinstance(result, ConfigError):
            assert (result.file, result.key) == ("environment", variable)
        else:
            assert decode(HostConfig, to_builtins(result), "again") == result
