"""`chronicle-archive-tier --config deploy/host.toml`."""

from __future__ import annotations

import sys

from libchronicle.runtime.daemon import run_daemon
from services.archive_tier.daemon import run


def main() -> int:
    """Console script."""
    return run_daemon(
        "chronicle-archive-tier", run, description="Moves sealed segments of all queues into the archive."
    )


if __name__ == "__main__":
    sys.exit(main())
