"""Opening a WebSocket with the client the configuration names."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import cache
from typing import Literal, get_args
from urllib.parse import urlsplit

from libchronicle.errors import ConfigError, ConnectFailed
from libchronicle.runtime.transports.interface import FrameListener, Limits, WebSocket

__all__ = ["CLIENTS", "ClientName", "connect"]

ClientName = Literal["websockets", "picows"]
CLIENTS: tuple[str, ...] = get_args(ClientName)


async def connect(
    url: str,
    listener: FrameListener,
    *,
    clock: Callable[[], int],
    client: str = "websockets",
    limits: Limits | None = None,
    tls: ssl.SSLContext | None = None,
) -> WebSocket:
    """An open connection to `url` (ws:// or wss://). Raises ConnectFailed. `clock` gives nanoseconds."""
    chosen = limits or Limits()
    _check(url)
    context = (tls or default_tls()) if url.startswith("wss:") else None
    if client == "websockets":
        from libchronicle.runtime.transports.sans_io import open_sans_io

        return await open_sans_io(url, listener, clock, chosen, context)
    if client == "picows":
        try:
            from libchronicle.runtime.transports.fast import open_fast
        except ImportError as error:
            reason = f'{error}; install libchronicle[fast], or use client = "websockets"'
            raise ConfigError(file="client", key="picows", reason=reason) from None
        return await open_fast(url, listener, clock, chosen, context)
    raise ConfigError(
        file="client", key=client, reason=f"no such WebSocket client; take one of {', '.join(CLIENTS)}"
    )


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConnectFailed(url=url, reason="no ws:// or wss:// address")


@cache
def default_tls() -> ssl.SSLContext:
    """Certificates of the host, hostname checked; made once, since reading them takes 20 ms."""
    return ssl.create_default_context()
