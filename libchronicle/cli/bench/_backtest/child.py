"""One workload over one queue in a process of its own: how much memory it takes. Prints a JSON object."""

from __future__ import annotations

import json
import sys

from libchronicle.cli.bench._backtest import runner_over
from libchronicle.cli.bench._backtest.strategies import WORKLOADS
from libchronicle.cli.bench._day import forget_peak, peak_rss_mb
from libchronicle.cli.bench._market import NAME


def main(queue: str, workload: str) -> None:
    forget_peak()
    result = runner_over(queue).run(WORKLOADS[workload](NAME))
    print(json.dumps({"rss_mb": peak_rss_mb(), "rows": result.rows, "hash": result.hash}))


if __name__ == "__main__":
    main(*sys.argv[1:3])
