"""What a raw queue says about instruments already, so that their exponents stay as they are."""

from __future__ import annotations

from pathlib import Path

from libchronicle.errors import ChronicleError
from libchronicle.protocol import Instrument
from libchronicle.queue import Queue

__all__ = ["known_instruments"]


def known_instruments(queue: Path) -> dict[int, Instrument]:
    """Definitions at the head of the queue's oldest segment, by id; none if it cannot be read."""
    found: dict[int, Instrument] = {}
    try:
        reader = Queue.try_open_subscriber(queue, None, start="earliest")
        if reader is None:
            return found
        with reader:
            while (message := reader.next()) is not None and message.type_id == Instrument.TEMPLATE_ID:
                definition = Instrument.decode(message)
                found[definition.instrument_id] = definition
    except ChronicleError:
        return {}
    return found
