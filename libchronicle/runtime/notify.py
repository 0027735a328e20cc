"""The service manager's notification socket (sd_notify), kept open."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

__all__ = ["Notifier"]


class Notifier:
    """Says READY, STOPPING and WATCHDOG to systemd; does nothing where $NOTIFY_SOCKET is not set."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._socket: socket.socket | None = None
        if address:
            self._socket = socket.socket(
                socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            )
            self._socket.connect("\0" + address[1:] if address.startswith("@") else address)
        mine = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_s = int(environ.get("WATCHDOG_USEC", "0")) / 1e6 if mine else 0.0

    def send(self, state: str) -> None:
        """One datagram, e.g. "READY=1". Lost when the manager is gone: it does not need it then."""
        if self._socket is not None:
            try:
                self._socket.send(state.encode())
            except OSError:
                return

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
