"""Forks processes that refine, for a test that kills them: `python kill_zygote.py`, one line each way.

stdin    RAW ROOT READER GROUP SEED      start one
stdout   PID                             it has opened its queues and works
         DONE                            it came to the end
         KILLED                          it did not
"""

from __future__ import annotations

import os
import random
import sys
import traceback
from pathlib import Path

from libchronicle.bus.paths import BusPaths
from libchronicle.etl import Group, Policy, open_refinery

POLICY = Policy(
    segment_size=16 << 10, snapshot_levels=60, snapshot_interval_s=20.0, segment_age_s=60.0, sync=False
)
GROUPS = {"one": ["*:AA"], "rest": ["*"]}


def refine(raw: str, root: str, reader: str, group: str, seed: int) -> None:
    rng = random.Random(seed)
    chosen = Group("" if group == "-" else group, {} if group == "-" else GROUPS)
    refinery = open_refinery(BusPaths(root), Path(raw), reader, policy=POLICY, group=chosen)
    say(str(os.getpid()))
    while refinery.run(rng.randrange(1, 400)):
        refinery.commit()
    refinery.close()
    refinery.raw.close()


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def main() -> None:
    for line in sys.stdin:
        raw, root, reader, group, seed = line.split()
        child = os.fork()
        if child == 0:
            try:
                refine(raw, root, reader, group, int(seed))
            except BaseException:  # noqa: BLE001  (a fork must not go on as its parent)
                traceback.print_exc()
                os._exit(3)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        say("DONE" if status == 0 else f"KILLED {status}")


if __name__ == "__main__":
    main()
