"""The suite of one run directory: where its files lie. Pure: makes and looks at nothing, and imports little.

<root>/supervisor/host.toml          the configuration as it runs: overrides applied, every path absolute
<root>/supervisor/supervisord.conf   rendered from it
<root>/supervisor/supervisord.sock   (or in the temp dir, when the path is too long for a unix socket)
<root>/logs/<daemon>.log
"""

from __future__ import annotations

import os
from pathlib import Path

from libchronicle.bus.paths import BusPaths

__all__ = ["Suite"]

SOCKET_PATH_LIMIT = 90
"""sun_path holds 107 bytes, and supervisord first binds a name that is longer by its pid."""


class Suite:
    """Names of everything `chronicle up` makes below a run directory."""

    def __init__(self, root: Path, hot: Path | None = None) -> None:
        self.root = root
        self.hot = hot
        self.paths = BusPaths(root, hot)

    @property
    def directory(self) -> Path:
        return self.paths.run_dir("supervisor")

    @property
    def logs(self) -> Path:
        return self.paths.run_dir("logs")

    @property
    def config(self) -> Path:
        return self.directory / "host.toml"

    @property
    def supervisord_conf(self) -> Path:
        return self.directory / "supervisord.conf"

    @property
    def supervisord_pid(self) -> Path:
        return self.directory / "supervisord.pid"

    @property
    def lock(self) -> Path:
        return self.directory / "lock"

    @property
    def socket(self) -> Path:
        plain = self.directory / "supervisord.sock"
        if len(os.fsencode(plain)) <= SOCKET_PATH_LIMIT:
            return plain
        import hashlib  # here: most run directories have a short name, and `chronicle down` is in a hurry
        import tempfile

        mark = hashlib.blake2b(os.fsencode(self.root), digest_size=8).hexdigest()
        return Path(tempfile.gettempdir()) / f"chronicle-{os.getuid()}" / f"{mark}.sock"

    def log(self, daemon: str) -> Path:
        return self.logs / f"{daemon}.log"
