"""An endpoint: a directory that says "I am here" with READY and LEASE.

    register    LEASE appears, then READY (both by rename): who sees READY finds a complete lease and opened queues
    renew       one store by the working loop
    clean exit  READY goes, then LEASE
    crash       both stay; the lease ends with the process or runs out, readers count the endpoint as removed

Registering and leaving take the directory's lock: who leaves late never removes the marker of one who came meanwhile.
"""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec

from libchronicle.bus.files import ENDPOINT_MODE, directory_lock, make_directory, publish_file
from libchronicle.bus.lease import Lease, LeaseRecord, Liveness, judge, read_lease
from libchronicle.bus.paths import LEASE, READY
from libchronicle.errors import EndpointActive

__all__ = ["DEFAULT_TTL_S", "Endpoint", "EndpointStatus", "inspect_endpoint"]

DEFAULT_TTL_S: Final = 5.0


class Endpoint:
    """The holder's side, a context manager: registered while inside the block.

        with Endpoint(paths.endpoint("alpha"), epoch=publisher.epoch) as endpoint:
            while running:
                work()
                endpoint.renew()

    Raises EndpointActive if another living process holds it.
    """

    __slots__ = ("_lease", "epoch", "path", "ttl_s")

    def __init__(self, path: Path, *, epoch: int, ttl_s: float = DEFAULT_TTL_S) -> None:
        self.path: Final = path
        self.epoch: Final = epoch
        self.ttl_s: Final = ttl_s
        self._lease: Lease | None = None

    def register(self) -> None:
        """Take the lease and show READY."""
        make_directory(self.path, ENDPOINT_MODE)
        with directory_lock(self.path):
            status = inspect_endpoint(self.path)
            if status.liveness is Liveness.ALIVE and status.lease is not None:
                raise EndpointActive(path=str(self.path), pid=status.lease.holder.pid)
            (self.path / READY).unlink(missing_ok=True)
            self._lease = Lease(self.path / LEASE, self.epoch, self.ttl_s)
            holder = self._lease.record.holder
            text = f"pid {holder.pid}\nepoch {self.epoch}\nsince {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}\n"
            publish_file(self.path / READY, text.encode())

    def renew(self) -> None:
        """Call it in the working loop, several times per time to live. One store, no system call."""
        if self._lease is not None:
            self._lease.renew()

    def close(self) -> None:
        """Take READY and LEASE away, if they are still ours. Idempotent."""
        lease, self._lease = self._lease, None
        if lease is None:
            return
        with directory_lock(self.path):
            current = read_lease(self.path / LEASE)
            if isinstance(current, LeaseRecord) and _same_registration(current, lease.record):
                (self.path / READY).unlink(missing_ok=True)
                (self.path / LEASE).unlink(missing_ok=True)
            lease.release()

    def __enter__(self) -> Endpoint:
        self.register()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class EndpointStatus(msgspec.Struct, frozen=True):
    """`present`: READY is there and the lease holds; only then may a consumer open the endpoint's queues as new."""

    path: Path
    ready: bool
    liveness: Liveness
    lease: LeaseRecord | None

    @property
    def present(self) -> bool:
        return self.ready and self.liveness is Liveness.ALIVE


def inspect_endpoint(path: Path, now_monotonic_ns: int | None = None) -> EndpointStatus:
    """Look, change nothing, take no lock."""
    ready = (path / READY).exists()
    lease = read_lease(path / LEASE)
    return EndpointStatus(
        path=path,
        ready=ready,
        liveness=judge(lease, now_monotonic_ns),
        lease=lease if isinstance(lease, LeaseRecord) else None,
    )


def _same_registration(one: LeaseRecord, other: LeaseRecord) -> bool:
    return (one.holder, one.epoch, one.made_at_ns) == (other.holder, other.epoch, other.made_at_ns)
