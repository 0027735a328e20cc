"""Owners and modes: the permission matrix where the host has the accounts for it, and what may never be anywhere."""

from __future__ import annotations

import grp
import pwd
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from libchronicle.bus.access import DirectoryRule
from libchronicle.cli.accounts import FEED
from libchronicle.cli.doctor.findings import Finding, Level
from libchronicle.runtime.config import HostConfig

__all__ = ["check_matrix", "check_modes"]

_OTHERS_WRITE = "others may write it"


def check_matrix(config: HostConfig | None) -> Iterator[Finding]:
    """Every directory of the matrix, on a host that has the accounts."""
    if config is None or not _has_user(FEED):
        return
    from libchronicle.cli.access import all_rules

    remedy = "chronicle access --config HOST.TOML, as root"
    for rule in all_rules(config):
        try:
            found = rule.path.stat()
        except FileNotFoundError:
            yield Finding(Level.WARNING, str(rule.path), "is missing", remedy)
            continue
        except PermissionError:
            continue  # not ours to see
        said = _difference(rule, found.st_uid, found.st_gid, found.st_mode & 0o7777)
        if said:
            yield Finding(Level.ERROR, str(rule.path), said, remedy)


def check_modes(root: Path, queues: Iterable[tuple[str, Path]]) -> Iterator[Finding]:
    """Whatever users there are: nobody but owner and group may write, and a queue is one owner's but for its readers' pages."""
    for directory in (root, root / "control", root / "services", root / "orders"):
        if _others_write(directory):
            yield Finding(Level.ERROR, str(directory), _OTHERS_WRITE, f"chmod o-w {directory}")
    for name, path in queues:
        if _others_write(path):
            yield Finding(Level.ERROR, name, _OTHERS_WRITE, f"chmod o-w {path}")
        owners = set()
        for file in path.glob("*.*"):
            try:
                found = file.stat()
            except OSError:
                continue
            owners.add(found.st_uid)
            if found.st_mode & stat.S_IWOTH:
                yield Finding(Level.ERROR, f"{name}/{file.name}", _OTHERS_WRITE, f"chmod o-w {file}")
        if len(owners) > 1:
            who = ", ".join(sorted(map(_user, owners)))
            yield Finding(
                Level.WARNING,
                name,
                f"its files belong to several users: {who}",
                f"chown -R them to who writes it: {path}",
            )


def _difference(rule: DirectoryRule, uid: int, gid: int, mode: int) -> str:
    said = []
    if _user(uid) != _user(rule.user):
        said.append(f"belongs to {_user(uid)} instead of {_user(rule.user)}")
    if _group(gid) != _group(rule.group):
        said.append(f"is of group {_group(gid)} instead of {_group(rule.group)}")
    if mode != rule.mode:
        said.append(f"has mode {mode:04o} instead of {rule.mode:04o}")
    return ", ".join(said)


def _others_write(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def _has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _user(who: str | int) -> str:
    try:
        return who if isinstance(who, str) else pwd.getpwuid(who).pw_name
    except KeyError:
        return str(who)


def _group(who: str | int) -> str:
    try:
        return who if isinstance(who, str) else grp.getgrgid(who).gr_name
    except KeyError:
        return str(who)
