import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from libchronicle.bus.endpoint import Endpoint, inspect_endpoint
from libchronicle.bus.lease import Liveness
from libchronicle.errors import EndpointActive

HOLDER = """
import sys, time
from pathlib import Path
from libchronicle.bus.endpoint import Endpoint
with Endpoint(Path(sys.argv[1]), epoch=7):
    print("up", flush=True)
    sys.stdin.read()
"""


def start_holder(path: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    return process


def test_an_endpoint_is_present_while_inside_the_block_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "alpha"
    with Endpoint(path, epoch=2) as endpoint:
        status = inspect_endpoint(path)
        assert status.present
        assert status.lease is not None
        assert status.lease.epoch == 2
        endpoint.renew()
    assert not inspect_endpoint(path).present
    assert list(path.iterdir()) == []


def test_an_exception_in_the_block_still_cleans_up(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Endpoint(tmp_path / "alpha", epoch=1):
        raise RuntimeError
    assert inspect_endpoint(tmp_path / "alpha").liveness is Liveness.ABSENT


def test_a_second_holder_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    with start_holder(tmp_path) as holder:
        with pytest.raises(EndpointActive) as caught, Endpoint(tmp_path, epoch=8):
            pass
        assert caught.value.pid == holder.pid
        holder.kill()
    with Endpoint(tmp_path, epoch=8):
        assert inspect_endpoint(tmp_path).present


def test_a_crash_leaves_a_marker_that_counts_as_gone(tmp_path: Path) -> None:
    with start_holder(tmp_path) as holder:
        holder.kill()
    status = inspect_endpoint(tmp_path)
    assert status.ready
    assert status.liveness is Liveness.DEAD
    assert not status.present


def test_a_hung_holder_counts_as_gone(tmp_path: Path) -> None:
    with Endpoint(tmp_path, epoch=1, ttl_s=5):
        later = time.monotonic_ns() + 6_000_000_000
        assert inspect_endpoint(tmp_path, later).liveness is Liveness.EXPIRED
    with Endpoint(tmp_path, epoch=1, ttl_s=0):
        assert inspect_endpoint(tmp_path).liveness is Liveness.EXPIRED


def test_a_late_close_does_not_remove_the_marker_of_a_successor(tmp_path: Path) -> None:
    hung = Endpoint(tmp_path, epoch=1, ttl_s=0)
    hung.register()
    with Endpoint(tmp_path, epoch=2):
        hung.close()
        assert inspect_endpoint(tmp_path).present


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_a_place_that_may_not_be_written_is_a_permission_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    code = (
        "import os, sys; from pathlib import Path; from libchronicle.bus.endpoint import Endpoint\n"
        "from libchronicle.errors import NoPermission\n"
        "os.setuid(65534)\n"
        "try: Endpoint(Path(sys.argv[1]), epoch=1).register()\n"
        "except NoPermission: print('refused')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout == "refused\n", done.stderr
