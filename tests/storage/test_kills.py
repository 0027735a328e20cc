"""kill -9 at random moments of every move there is: CHRONICLE_KILLS of them, 50 unless it says otherwise."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from archive_world import expected, rows, world

from libchronicle.storage import Archive, ArchiveLayout, Manifest
from libchronicle.storage.rebuild import rebuild
from libchronicle.storage.remote import RemoteOpener
from libchronicle.storage.verify import verify_archive

pytest.importorskip("obstore")
COUNT = 6000
KILLS = int(os.environ.get("CHRONICLE_KILLS", "50"))


@pytest.mark.timeout(300)
def test_killed_at_any_moment_nothing_is_lost_doubled_or_left_half_made(tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    paths = world(tmp_path, COUNT)
    (tmp_path / "store").mkdir()
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("mover.py"), tmp_path, str(KILLS), str(seed)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent), "PYTHONSAFEPATH": ""},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    assert json.loads(done.stdout)["killed"] == KILLS
    layout = ArchiveLayout.of(paths)
    with Archive(paths) as archive:
        assert rows(archive.read("v", "S", "trade")) == expected(COUNT)
    assert {file.tier for p in layout.partitions() for file in layout.files(p)} == {"remote"}
    with Manifest(layout.manifest) as kept, Manifest(tmp_path / "other.sqlite") as made:
        rebuild(layout, made)
        assert made.dump() == kept.dump()
        assert verify_archive(layout, kept, RemoteOpener()).findings == []
    assert not list(layout.root.rglob(".making*"))
    assert not layout.quarantine.exists()
