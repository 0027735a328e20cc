"""A file is published whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import resource, sys
from pathlib import Path
from libchronicle.bus.files import publish_file
from libchronicle.errors import ChronicleError
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    publish_file(Path(sys.argv[1]), b"x" * 10_000)
except ChronicleError as error:
    print(type(error).__name__)
"""


def test_a_write_that_takes_only_a_part_publishes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["HostError"], done.stderr
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
