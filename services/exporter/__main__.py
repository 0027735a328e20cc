"""`chronicle-exporter --config deploy/host.toml`."""

from __future__ import annotations

import sys

from libchronicle.runtime.daemon import run_daemon
from services.exporter.daemon import run


def main() -> int:
    """Console script."""
    return run_daemon(
        "chronicle-exporter", run, description="Serves the counters of all daemons to Prometheus."
    )


if __name__ == "__main__":
    sys.exit(main())
