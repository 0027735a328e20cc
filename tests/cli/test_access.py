"""Users, groups and modes that `chronicle access` makes: the plan is pure, so any user may look at it."""

from __future__ import annotations

from pathlib import Path

import pytest

from libchronicle.cli.access import all_rules, run_access
from libchronicle.cli.accounts import access_of, plan
from libchronicle.cli.units import wanted_units
from libchronicle.errors import ConfigError
from libchronicle.runtime.config import HostConfig, load_host


@pytest.fixture
def host_toml(tmp_path: Path) -> Path:
    strategies = tmp_path / "strategies"
    strategies.mkdir()
    for name in ("alpha", "beta"):
        (strategies / f"{name}.toml").touch()
    path = tmp_path / "host.toml"
    path.write_text(
        f'version = 1\n[bus]\nroot = "{tmp_path}/run"\nhot = "{tmp_path}/hot"\n'
        f'[feeds.binance-spot]\nvenue = "binance-spot"\nsymbols = ["BTCUSDT"]\n'
        f'rest_url = "http://127.0.0.1:1"\nws_url = "ws://127.0.0.1:1"\n[strategies]\ndir = "{strategies}"\n'
    )
    return path


@pytest.fixture
def host(host_toml: Path) -> HostConfig:
    return load_host(host_toml)


def test_each_strategy_has_a_user_and_a_group_shared_with_router_archive_and_exporter_alone(
    host: HostConfig,
) -> None:
    accounts = plan(host)
    members = {user for group, user in accounts.members if group == "chronicle-s-alpha"}
    assert members == {"chronicle-s-alpha", "chronicle-router", "chronicle-archive", "chronicle-exporter"}
    assert ("chronicle-s-beta", "chronicle") in accounts.users
    assert access_of(host).strategies["beta"].user == "chronicle-s-beta"


def test_no_strategy_may_look_into_anothers_endpoint_or_session(host: HostConfig, tmp_path: Path) -> None:
    rules = {rule.path: rule for rule in all_rules(host)}
    for place in ("orders/queue/alpha", "sessions/queue/alpha", "strategies/alpha"):
        rule = rules[tmp_path / "run" / place]
        assert rule.group == "chronicle-s-alpha"
        assert rule.mode & 0o007 == 0


def test_market_data_is_the_feeds_to_write_and_lies_below_hot(host: HostConfig, tmp_path: Path) -> None:
    rule = next(rule for rule in all_rules(host) if rule.path == tmp_path / "hot/market_data/queue")
    assert (rule.user, rule.group, rule.mode) == ("chronicle-feed", "chronicle", 0o2750)


def test_parents_come_before_what_lies_in_them(host: HostConfig) -> None:
    seen: set[Path] = set()
    for rule in all_rules(host):
        assert rule.path not in seen
        assert not any(later.is_relative_to(rule.path) for later in seen)
        seen.add(rule.path)


def test_every_daemon_of_the_configuration_has_its_unit(host: HostConfig) -> None:
    assert wanted_units(host) == [
        "chronicle-feed@binance-spot.service",
        "chronicle-router.service",
        "chronicle-strategy@alpha.service",
        "chronicle-strategy@beta.service",
        "chronicle-exporter.service",
    ]


def test_an_id_too_long_for_a_user_is_named_with_its_file(host: HostConfig, tmp_path: Path) -> None:
    (tmp_path / "strategies" / f"{'x' * 20}.toml").touch()
    with pytest.raises(ConfigError, match=r"x{20}\.toml.*longer than 19"):
        plan(host)


def test_a_dry_run_prints_the_matrix_and_makes_nothing(
    host_toml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_access(str(host_toml), start=False, dry_run=True)
    assert f"2750 chronicle-feed           chronicle                {tmp_path}/hot/market_data/queue" in (
        capsys.readouterr().out
    )
    assert not (tmp_path / "run").exists()
