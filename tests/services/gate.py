"""A venue that misbehaves on demand: a server before the real exchange that passes connections through, or attacks them.

    with Gate(upstream_port) as gate:
        gate.stream = ping_flood      # what the next WebSocket connections get; None = the real venue
        gate.rest = None              # the same for requests
        gate.cut()                    # ends every connection that is open

A behaviour is a coroutine that gets the request's head and both ends of the socket; it may do with them what it likes, and is
cancelled when the connection ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Self, TypeVar

__all__ = ["Behaviour", "Gate", "pour"]

T = TypeVar("T")
Behaviour = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def pour(writer: asyncio.StreamWriter, head: bytes, chunk: bytes) -> None:
    """Sends `head`, then `chunk` for as long as the other side takes it."""
    writer.write(head)
    while True:
        writer.write(chunk)
        await writer.drain()
        await asyncio.sleep(0)


class Gate:
    """Runs in a thread with a loop of its own; its methods may be called from any thread."""

    def __init__(self, upstream_port: int) -> None:
        self.upstream_port = upstream_port
        self.rest: Behaviour | None = None
        self.stream: Behaviour | None = None
        self.attacks: Counter[str] = Counter()
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gate", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Ends every connection."""
        self._do(self._cut())

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _close(self) -> None:
        self._server.close()
        await self._cut()

    async def _cut(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
                await self._answer(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        behaviour = self.stream if b"upgrade: websocket" in head.lower() else self.rest
        if behaviour is None:
            await self._pass_through(head, reader, writer)
            return
        self.attacks[behaviour.__name__] += 1
        await behaviour(head, reader, writer)

    async def _pass_through(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        upstream, downstream = await asyncio.open_connection("127.0.0.1", self.upstream_port)
        downstream.write(head)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_copy(reader, downstream))
                both.create_task(_copy(upstream, writer))
        finally:
            downstream.transport.abort()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
        sink.write_eof()
