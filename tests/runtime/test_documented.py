"""docs/operating.md names every key with its default, and every exit code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libchronicle.runtime import config
from libchronicle.runtime.daemon import ExitCode
from libchronicle.runtime.decode import write_toml

SECTIONS: dict[str, type[msgspec.Struct]] = {
    "### `[bus]`": config.BusConfig,
    "### `[exchange]`": config.ExchangeConfig,
    "### `[exchange.markets.NAME]`": config.MarketConfig,
    "### `[exchange.accounts.KEY]`": config.TraderConfig,
    "### `[feeds.NAME]`": config.FeedConfig,
    "### `[etl]`": config.EtlConfig,
    "### `[router]`": config.RouterConfig,
    "### `[router.limits]`": config.Limits,
    "### `[router.paper]`": config.PaperConfig,
    "### `[router.paper.fees.NAME]`": config.FeesConfig,
    "### `[router.paper.latency]`": config.LatencyConfig,
    "### `[archive]`": config.ArchiveConfig,
    "### `[exporter]`": config.ExporterConfig,
    "### `[strategies]`": config.StrategiesConfig,
    "## A strategy's TOML": config.StrategyConfig,
    "### `[risk]` of a strategy": config.RiskConfig,
    "### `[backtest]` of a strategy": config.BacktestConfig,
}
ROW = re.compile(r"^\| `(\w+)` \| (.*?) \|", re.MULTILINE)


def page(root: Path) -> str:
    return (root / "docs" / "operating.md").read_text()


def default_text(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    default: Any = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if default is None:
        return "none"
    if isinstance(default, (dict, msgspec.Struct)):
        return "`{}`"
    return f"`{write_toml({'x': default}).strip().removeprefix('x = ')}`"


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_of_a_table_is_documented_with_its_default(project_root: Path, heading: str) -> None:
    text = page(project_root)
    begin = text.index(heading)
    end = re.compile(r"\n##+ ").search(text, begin + len(heading))
    documented = dict(ROW.findall(text[begin : end.start() if end else None]))
    expected = {
        f.encode_name: default_text(f)
        for f in msgspec.structs.fields(SECTIONS[heading])
        if f.name != "version"
    }
    assert documented == expected


def test_every_exit_code_is_documented(project_root: Path) -> None:
    documented = re.findall(r"^\| (\d+) \| (\w+) \|", page(project_root), re.MULTILINE)
    assert documented == [(str(int(code)), code.name) for code in ExitCode]
