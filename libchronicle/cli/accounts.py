"""Users and groups of a host whose daemons do not trust one another. `plan` is pure, `carry_out` needs root.

chronicle            may read market data; every daemon is a member
chronicle-operators  may change the kill word and command daemons
chronicle-<daemon>   runs exchange, feeds, router, exporter; etl and archive share chronicle-archive
chronicle-s-<id>     runs the strategy <id>; its group is shared with the router, who answers its orders, with
                     chronicle-archive, which keeps them, and with the exporter, whose unit can write nothing there
"""

from __future__ import annotations

import grp
import pwd
import subprocess

import msgspec

from libchronicle.bus.access import Access, StrategyAccess
from libchronicle.errors import ConfigError, HostError
from libchronicle.runtime.config import HostConfig, daemon_names, strategy_files

__all__ = ["Accounts", "access_of", "carry_out", "plan"]

READERS = "chronicle"
OPERATORS = "chronicle-operators"
ROUTER, FEED, EXPORTER, ARCHIVE, EXCHANGE = (
    f"chronicle-{name}" for name in ("router", "feed", "exporter", "archive", "exchange")
)
DAEMONS = (EXCHANGE, FEED, ROUTER, EXPORTER, ARCHIVE)
STRATEGY_PREFIX = "chronicle-s-"
NAME_LIMIT = 31
"""Longest name of a user that every tool of the system takes."""


class Accounts(msgspec.Struct, frozen=True):
    """What must exist: groups, users with their primary group, and who else belongs to a group."""

    groups: tuple[str, ...]
    users: tuple[tuple[str, str], ...]
    members: tuple[tuple[str, str], ...]  # (group, user)


def strategy_ids(config: HostConfig) -> list[str]:
    """Ids of all strategies with a TOML. Raises ConfigError for one too long to be a user."""
    found = [path.stem for path in strategy_files(config)]
    for name in found:
        if len(STRATEGY_PREFIX + name) > NAME_LIMIT:
            most = NAME_LIMIT - len(STRATEGY_PREFIX)
            reason = f"{name!r} is longer than {most} characters, so {STRATEGY_PREFIX}{name} cannot be a user"
            raise ConfigError(file=str(config.strategies.path / f"{name}.toml"), key="id", reason=reason)
    return found


def plan(config: HostConfig) -> Accounts:
    """Accounts for everything the configuration runs. Raises ConfigError."""
    strategies = [STRATEGY_PREFIX + name for name in strategy_ids(config)]
    return Accounts(
        groups=(READERS, OPERATORS, ARCHIVE, *strategies),
        users=tuple((user, READERS) for user in (*DAEMONS, *strategies)),
        members=(
            (ARCHIVE, ARCHIVE),
            *((group, user) for group in strategies for user in (group, ROUTER, EXPORTER, ARCHIVE)),
        ),
    )


def access_of(config: HostConfig) -> Access:
    """Who is who, for the permission matrix of the bus. Raises ConfigError."""
    strategies = {
        name: StrategyAccess(STRATEGY_PREFIX + name, STRATEGY_PREFIX + name) for name in strategy_ids(config)
    }
    runs: dict[str, str | int] = {"exchange": EXCHANGE, "router": ROUTER, "exporter": EXPORTER}
    runs |= {f"feed-{name}": FEED for name in config.feeds}
    runs |= {"archive-tier": ARCHIVE} if config.archive is not None else {}
    runs |= dict.fromkeys(config.etl.daemons if config.etl is not None else (), ARCHIVE)
    runs |= {f"strategy-{name}": STRATEGY_PREFIX + name for name in strategies}
    return Access(
        feed=FEED,
        router=ROUTER,
        etl=ARCHIVE,
        archive=ARCHIVE,
        readers=READERS,
        operators=OPERATORS,
        strategies=strategies,
        daemons={name: runs[name] for name in daemon_names(config)},
    )


def carry_out(accounts: Accounts) -> list[str]:
    """Make what is missing; says what was made, e.g. "user chronicle-feed". Raises HostError."""
    made = []
    for group in accounts.groups:
        if not _group_exists(group):
            _call("groupadd", "--system", group)
            made.append(f"group {group}")
    for user, group in accounts.users:
        if not _user_exists(user):
            _call(
                "useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent",
                "--shell", "/usr/sbin/nologin", "--gid", group, user,
            )  # fmt: skip
            made.append(f"user {user}")
    for group, user in accounts.members:
        if user not in grp.getgrnam(group).gr_mem:
            _call("usermod", "--append", "--groups", group, user)
            made.append(f"member {user} of {group}")
    return made


def _group_exists(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _user_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _call(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise HostError(path=command[0], reason="not found; Debian package passwd brings it") from None
    if done.returncode:
        raise HostError(path=" ".join(command), reason=done.stderr.strip() or f"exit {done.returncode}")
