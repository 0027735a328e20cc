"""Who may do what with the files of a bus: the permission matrix, as a table and as the deed.

    what                       owner      group        mode   so that
    market_data/queue          feed       readers      2750   strategies read market data and cannot damage it
    market_data/clean          etl        readers      2750
    orders/queue               router     readers      2751   nobody else makes endpoints; passing through is free
    orders/queue/<id>          strategy   <id>'s own   3770   strategy and router make one queue each, neither removes the
                                                              other's; no other strategy sees them
    sessions/queue/<id>        strategy   <id>'s own   2750
    sessions/queue/router      router     archive      2750   it names the orders of all strategies; who archives it reads it
    archive, archive/v1        etl        readers      2750   the refinery's user archives too: its files are linked, not copied
    archive/v1/_orders         etl        archive      2750   as closed as the queues they come from; _sessions too
    control, control/queue     root       operators    2775   all read the kill word, operators change it
    control/queue/<daemon>     daemon     operators    2775   operators command; commands are no secret
    control/queue/<d>/readers  daemon     operators    3770   the daemon's own page
    services                   root       readers      3775   each daemon its counters, nobody another's

The directories are made before the daemons first start (`chronicle up` with one user for all needs none of this).
setgid hands the group down, so a queue made inside (2750, files 0640) is readable by exactly that group.
"""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path
from typing import Final

import msgspec

from libchronicle.bus.files import ENDPOINT_MODE, host_error
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import HostError

__all__ = ["Access", "DirectoryRule", "StrategyAccess", "apply_permissions", "permission_rules"]

Who = str | int
"""A user or group, by name or number."""

_ROUTER: Final = "router"


class StrategyAccess(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """User a strategy runs as, and the group that it shares with the router alone."""

    user: Who
    group: Who


class Access(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Users and groups of one host. `daemons`: who runs each daemon that takes commands, by its name on the bus."""

    feed: Who
    router: Who
    etl: Who
    archive: Who  # group
    readers: Who
    operators: Who
    strategies: dict[str, StrategyAccess] = {}
    daemons: dict[str, Who] = {}
    administrator: Who = 0


class DirectoryRule(msgspec.Struct, frozen=True):
    """One line of the matrix, applied to one directory."""

    path: Path
    user: Who
    group: Who
    mode: int


def permission_rules(paths: BusPaths, access: Access) -> list[DirectoryRule]:
    """The matrix for one bus, parents before children. Pure."""
    admin, readers, operators = access.administrator, access.readers, access.operators
    rules = [
        DirectoryRule(paths.hot / "market_data", admin, readers, 0o2751),
        DirectoryRule(paths.raw_dir, access.feed, readers, 0o2750),
        DirectoryRule(paths.clean_dir, access.etl, readers, 0o2750),
        DirectoryRule(paths.orders_dir.parent, admin, readers, 0o2751),
        DirectoryRule(paths.orders_dir, access.router, readers, 0o2751),
        DirectoryRule(paths.sessions_dir.parent, admin, readers, 0o2751),
        DirectoryRule(paths.sessions_dir, admin, readers, 0o2751),
        DirectoryRule(paths.session(_ROUTER), access.router, access.archive, 0o2750),
        DirectoryRule(paths.archive_dir, access.etl, readers, 0o2750),
        DirectoryRule(paths.archive_dir / "v1", access.etl, readers, 0o2750),
        *(
            DirectoryRule(paths.archive_dir / "v1" / name, access.etl, access.archive, 0o2750)
            for name in ("_orders", "_sessions")
        ),
        DirectoryRule(paths.control_dir, admin, operators, 0o2775),
        DirectoryRule(paths.control_dir / "queue", admin, operators, 0o2775),
        DirectoryRule(paths.services_dir, admin, readers, 0o3775),
    ]
    for name, strategy in sorted(access.strategies.items()):
        rules.append(DirectoryRule(paths.endpoint(name), strategy.user, strategy.group, ENDPOINT_MODE))
        rules.append(DirectoryRule(paths.session(name), strategy.user, strategy.group, 0o2750))
    for daemon, user in sorted(access.daemons.items()):
        rules.append(DirectoryRule(paths.control(daemon), user, operators, 0o2775))
        rules.append(DirectoryRule(paths.control(daemon) / "readers", user, operators, 0o3770))
    return rules


def apply_permissions(rules: list[DirectoryRule]) -> list[Path]:
    """Make what is missing, give each directory its owner, group and mode; returns those that were not so.

    Idempotent. Needs root, or ownership and membership. Raises NoPermission, and HostError for a user or group the
    host does not have.
    """
    changed = []
    for rule in rules:
        uid, gid = _number(rule.user, group=False), _number(rule.group, group=True)
        try:
            rule.path.mkdir(parents=True, exist_ok=True)
            found = rule.path.stat()
            if (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (uid, gid, rule.mode):
                continue
            os.chown(rule.path, uid, gid)
            rule.path.chmod(rule.mode)  # after chown, which clears setgid
        except OSError as error:
            raise host_error(error, rule.path) from error
        changed.append(rule.path)
    return changed


def _number(who: Who, *, group: bool) -> int:
    if isinstance(who, int):
        return who
    try:
        return grp.getgrnam(who).gr_gid if group else pwd.getpwnam(who).pw_uid
    except KeyError:
        kind, tool = ("group", "groupadd --system") if group else ("user", "useradd --system")
        raise HostError(
            path=who, reason=f"the host has no such {kind}; make it with `{tool} {who}`"
        ) from None
