"""`chronicle access`: users, groups, directories and modes of a host, as the permission matrix of the bus says.

Run by root, at each start of the host and whenever a TOML comes or goes (systemd/chronicle-access.*). Idempotent.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from libchronicle.bus.access import DirectoryRule, apply_permissions, permission_rules
from libchronicle.bus.kill_word import KillWord
from libchronicle.bus.paths import BusPaths
from libchronicle.cli.accounts import READERS, access_of, carry_out, plan
from libchronicle.cli.units import bring_up
from libchronicle.errors import NoPermission
from libchronicle.runtime.config import HostConfig, load_host

__all__ = ["all_rules", "run_access"]


def run_access(config: str, *, start: bool, dry_run: bool) -> None:
    """Put everything right and say what was changed. Raises ConfigError, NoPermission, HostError."""
    host = load_host(config)
    accounts = plan(host)
    rules = all_rules(host)
    if dry_run:
        _print_plan(accounts.groups, [user for user, _ in accounts.users], rules)
        return
    if os.geteuid() != 0:
        raise NoPermission(
            path=config, reason="`chronicle access` makes users and gives files away: run it as root"
        )
    made = carry_out(accounts)
    changed = apply_permissions(rules)
    KillWord(BusPaths(host.bus.root_path, host.bus.hot_path)).initialise()
    for line in [*made, *(f"mode {path}" for path in changed)]:
        print(line)
    print(f"{host.bus.root_path}: {len(rules)} directories, {len(accounts.users)} users as they should be")
    if start:
        bring_up(host, regrouped={line.split()[1] for line in made if line.startswith("member ")}, say=print)


def all_rules(host: HostConfig) -> list[DirectoryRule]:
    """The bus's matrix, its two roots before it, and a place for each strategy's saved state behind."""
    access = access_of(host)
    paths = BusPaths(host.bus.root_path, host.bus.hot_path)
    roots = sorted({paths.root, paths.hot})
    saved = [
        DirectoryRule(paths.run_dir("strategies", name), strategy.user, strategy.group, 0o2750)
        for name, strategy in sorted(access.strategies.items())
    ]
    return [
        *(DirectoryRule(root, 0, READERS, 0o751) for root in roots),
        *permission_rules(paths, access),
        DirectoryRule(paths.run_dir("strategies"), 0, READERS, 0o751),
        *saved,
    ]


def _print_plan(groups: tuple[str, ...], users: list[str], rules: list[DirectoryRule]) -> None:
    say: Callable[[str], object] = print
    say("groups: " + " ".join(groups))
    say("users:  " + " ".join(users))
    for rule in rules:
        user = "root" if rule.user == 0 else rule.user
        say(f"{rule.mode:04o} {user!s:24} {rule.group!s:24} {rule.path}")
