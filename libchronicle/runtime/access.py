"""Who may write a file that this process is about to run or obey.

A strategy is code run with the right to send orders, so neither its file nor its TOML may be writable by a
stranger: anybody but root, the user running the daemon, and the owner of this installation (who can change
the code that runs anyway).
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path

from libchronicle.errors import NoPermission

__all__ = ["refuse_if_strangers_may_write"]


def refuse_if_strangers_may_write(path: Path) -> None:
    """Raise NoPermission, naming the remedy, if a stranger may change `path` or put another file in its
    place.
    """
    try:
        resolved = path.resolve(strict=True)
        _check(resolved, resolved.stat())
        _check(resolved.parent, resolved.parent.stat(), sticky_protects=True)
    except OSError as error:
        raise NoPermission(path=str(path), reason=error.strerror or str(error)) from None


def _check(path: Path, status: os.stat_result, *, sticky_protects: bool = False) -> None:
    trusted = {0, os.geteuid(), os.stat(__file__).st_uid}
    if status.st_uid not in trusted:
        owner = _user_name(status.st_uid)
        raise NoPermission(
            path=str(path), reason=f"it belongs to {owner}, who is neither root nor the user running this"
        )
    if sticky_protects and status.st_mode & stat.S_ISVTX:
        return
    if status.st_mode & stat.S_IWOTH:
        raise NoPermission(path=str(path), reason="everybody may write it; run: chmod o-w " + str(path))
    if status.st_mode & stat.S_IWGRP and not _is_private_group(status.st_gid, trusted):
        raise NoPermission(path=str(path), reason="its group may write it; run: chmod g-w " + str(path))


def _is_private_group(gid: int, trusted: set[int]) -> bool:
    """Every member of the group is trusted: the one-user groups that go with umask 002."""
    try:
        members = {pwd.getpwnam(name).pw_uid for name in grp.getgrgid(gid).gr_mem}
    except KeyError:
        return gid == 0 or gid == os.getegid()
    members |= {user.pw_uid for user in pwd.getpwall() if user.pw_gid == gid}
    return members <= trusted


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
