"""Appends to a raw queue whose every segment begins with the instruments' definitions.

Nothing handed over is lost while the queue cannot take it (disk full, budget used up): it waits in order and is written
before anything newer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from libchronicle.errors import EnvironmentFault
from libchronicle.protocol import Instrument, SbeMessage
from libchronicle.queue import Publisher
from libchronicle.venues.binance.decoder import Decoder

__all__ = ["RawWriter"]


class RawWriter:
    """`on_segment` is called after the head of a segment was written."""

    def __init__(
        self,
        decoder: Decoder,
        publisher: Publisher,
        instruments: Sequence[Instrument],
        on_segment: Callable[[], object] = lambda: None,
    ) -> None:
        self._decoder = decoder
        self._head = [(Instrument.TEMPLATE_ID, instrument.encode()) for instrument in instruments]
        self._on_segment = on_segment
        self._waiting: deque[tuple[int, bytes | bytearray]] = deque()
        self.fault: EnvironmentFault | None = None
        decoder.attach(publisher)

    def put(self, message: SbeMessage) -> None:
        self.append(message.TEMPLATE_ID, message.encode())

    def append(self, type_id: int, payload: bytes | bytearray) -> None:
        self._waiting.append((type_id, payload))
        self.flush()

    def flush(self) -> bool:
        """Write what waits. False: the queue cannot take it now, `fault` says why."""
        while self._waiting:
            try:
                if self._decoder.append(*self._waiting[0]) < 0:
                    self.write_head()
                    continue
            except EnvironmentFault as fault:
                self.fault = fault
                return False
            self._waiting.popleft()
        self.fault = None
        return True

    def write_head(self) -> None:
        """The instruments, at the head of the segment that has just begun; the queue's faults are raised."""
        for _ in range(3):  # a segment too small for its own head would roll for ever
            self._decoder.head_begins()
            if all(self._decoder.append(*record) >= 0 for record in self._head):
                break
        self._on_segment()
