import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from libchronicle.bus.lease import LEASE_SIZE, Lease, LeaseRecord, Liveness, judge, read_lease
from libchronicle.bus.process import ProcessId, boot_id, is_running, this_process


@pytest.fixture
def lease_path(tmp_path: Path) -> Path:
    return tmp_path / "LEASE"


def record_of(path: Path) -> LeaseRecord:
    record = read_lease(path)
    assert isinstance(record, LeaseRecord)
    return record


def test_a_held_lease_is_alive_and_names_its_holder(lease_path: Path) -> None:
    lease = Lease(lease_path, epoch=3, ttl_s=5)
    record = record_of(lease_path)
    assert record.holder == this_process()
    assert (record.epoch, record.ttl_ms) == (3, 5000)
    assert judge(record) is Liveness.ALIVE
    lease.release()


def test_a_lease_that_is_not_renewed_expires_though_its_process_lives(lease_path: Path) -> None:
    lease = Lease(lease_path, epoch=1, ttl_s=1)
    record = record_of(lease_path)
    assert judge(record, record.expires_ns - 1) is Liveness.ALIVE
    assert judge(record, record.expires_ns) is Liveness.EXPIRED
    time.sleep(0.001)
    lease.renew()
    assert judge(record_of(lease_path), record.expires_ns) is Liveness.ALIVE
    lease.release()


def test_a_released_lease_says_so_at_once(lease_path: Path) -> None:
    lease = Lease(lease_path, epoch=1, ttl_s=5)
    lease.release()
    lease.release()
    lease.renew()
    assert judge(read_lease(lease_path)) is Liveness.RELEASED


def test_the_lease_of_a_killed_process_is_dead(lease_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from libchronicle.bus.lease import Lease\n"
        "lease = Lease(Path(sys.argv[1]), 1, 60); print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(lease_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        assert judge(read_lease(lease_path)) is Liveness.ALIVE
        process.kill()
    assert judge(read_lease(lease_path)) is Liveness.DEAD


def test_a_zombie_does_not_hold_its_lease(lease_path: Path) -> None:
    code = "import sys; from pathlib import Path; from libchronicle.bus.lease import Lease; Lease(Path(sys.argv[1]), 1, 60)"
    process = subprocess.Popen([sys.executable, "-c", code, str(lease_path)])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, not yet reaped
    assert judge(read_lease(lease_path)) is Liveness.DEAD
    process.wait()


def test_a_reused_pid_and_another_boot_are_not_the_holder() -> None:
    me = this_process()
    assert is_running(me)
    assert not is_running(ProcessId(me.pid, me.start_time + 1, me.boot_id))
    assert not is_running(ProcessId(me.pid, me.start_time, bytes(16)))
    assert is_running(ProcessId(me.pid, 0, boot_id())), "an unknown start time is no proof of death"


def test_no_lease_and_a_damaged_one_are_told_apart(lease_path: Path) -> None:
    assert read_lease(lease_path) is Liveness.ABSENT
    Lease(lease_path, epoch=1, ttl_s=5)
    good = bytearray(lease_path.read_bytes())
    for bad in (
        good[:-1],
        bytes(LEASE_SIZE),
        bytes([good[0] ^ 1]) + good[1:],
        good[:40] + struct.pack("<I", 2) + good[44:],
    ):
        lease_path.write_bytes(bad)
        assert read_lease(lease_path) is Liveness.UNKNOWN


def test_no_reader_ever_sees_half_a_lease(lease_path: Path) -> None:
    Lease(lease_path, epoch=0, ttl_s=5)
    for epoch in range(1, 50):
        Lease(lease_path, epoch=epoch, ttl_s=5)
        assert record_of(lease_path).epoch == epoch
    assert [entry.name for entry in lease_path.parent.iterdir()] == ["LEASE"]
