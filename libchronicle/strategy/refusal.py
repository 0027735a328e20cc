"""Why the host did not send an order. Negative, so that `ctx.send(order) < 0` asks the question."""

from __future__ import annotations

import re
from enum import IntEnum

__all__ = ["Refusal", "reason_of"]


class Refusal(IntEnum):
    """What `Context.send` returns instead of an order id. Nothing was written."""

    NOT_TRADING = -1  # the host waits for a feed, or stops
    ROUTER_LOST = -2  # nobody would take the order
    KILLED = -3  # the kill word is set
    PAUSED = -4  # by the operator
    NOT_SYNCED = -5  # the instrument's book waits for a snapshot; reduce-only orders pass
    TOO_MANY_ORDERS = -6  # max_open_orders


def reason_of(error: type[Exception]) -> str:
    """The class of an error as one of the reasons that are counted: BadPrice is BAD_PRICE."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", error.__name__).upper()
