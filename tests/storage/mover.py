"""Moves segments up and down the tiers in children that are killed at random moments. Prints what happened, as JSON.

python mover.py ROOT KILLS SEED: each child takes what is sealed, then compresses, ships, fetches or thaws, whatever
its dice say.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from archive_world import NOON, rows

from libchronicle.bus.paths import BusPaths
from libchronicle.storage import Archive
from libchronicle.storage.keeper import Keeper
from libchronicle.storage.moves import thaw
from libchronicle.storage.objects import ObjectStore
from libchronicle.storage.policy import TierPolicy
from libchronicle.storage.remote import fetch

LATER = NOON + 86_400 * 10**9
POLICY = TierPolicy(warm_after_ns=0, compress="immediate", remote_after_ns=0)


def work(paths: BusPaths, store: ObjectStore, mode: str) -> None:
    with Keeper(paths, POLICY, level=1, block_size=16384, store=store) as keeper:
        keeper.take_sealed(LATER)
        if mode == "down":
            keeper.compress_due(LATER)
            keeper.ship_due(LATER)
            return
        for record in list(keeper.manifest.find(tier="remote")):
            keeper.manifest.put(fetch(keeper.layout, record, store))
        for record in list(keeper.manifest.find(tier="cold")):
            keeper.manifest.put(thaw(keeper.layout, record))


def main() -> None:
    root, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    dice = random.Random(seed)
    paths = BusPaths(root)
    store = ObjectStore(f"file://{root}/store")
    killed = ended = read = 0
    with Archive(paths) as archive:
        wanted = rows(archive.read("v", "S", "trade"))
    while killed < kills:
        mode = dice.choice(("down", "up"))
        child = os.fork()
        if child == 0:
            work(paths, store, mode)
            os._exit(0)
        time.sleep(dice.random() ** 2 * 0.15)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            killed += 1
        elif os.WEXITSTATUS(status) == 0:
            ended += 1
        else:
            raise SystemExit(f"a child failed: {status}")
        if killed % 20 == 0:
            with Archive(paths) as archive:
                assert rows(archive.read("v", "S", "trade")) == wanted, f"after {killed} kills"
            read += 1
    work(paths, store, "down")
    print(json.dumps({"killed": killed, "ended": ended, "read": read, "records": len(wanted)}))


if __name__ == "__main__":
    main()
