"""The states of a consumer's view of one queue, as a table. Pure.

                 ABSENT         READY        LOST           REOPENED
    WAITING      WAITING        CONNECTED    WAITING        -
    CONNECTED    -              CONNECTED    DISCONNECTED   CONNECTED via DISCONNECTED
    DISCONNECTED DISCONNECTED   CONNECTED    DISCONNECTED   -

Observations: ABSENT there is no queue to open, READY it is open and its writer lives, LOST the writer is gone or hangs
(the reason says how), REOPENED the same queue has a writer of a new epoch: whoever follows must know, even if it never saw
the loss.
"""

from __future__ import annotations

import enum
from typing import Final

__all__ = ["TRANSITIONS", "FeedState", "Observation", "advance"]


class FeedState(enum.IntEnum):
    """How a consumer stands to its feed."""

    WAITING = 1
    CONNECTED = 2
    DISCONNECTED = 3


class Observation(enum.Enum):
    """What a look at the feed showed."""

    ABSENT = "no queue yet"
    READY = "writer alive"
    LOST = "writer lost"
    REOPENED = "epoch changed"


_W, _C, _D = FeedState.WAITING, FeedState.CONNECTED, FeedState.DISCONNECTED

TRANSITIONS: Final[dict[tuple[FeedState, Observation], tuple[FeedState, ...]]] = {
    (_W, Observation.ABSENT): (),
    (_W, Observation.READY): (_C,),
    (_W, Observation.LOST): (),
    (_C, Observation.READY): (),
    (_C, Observation.LOST): (_D,),
    (_C, Observation.REOPENED): (_D, _C),
    (_D, Observation.ABSENT): (),
    (_D, Observation.READY): (_C,),
    (_D, Observation.LOST): (),
}
"""(state, observation) -> the states entered, in order; empty = stay. A pair that is not there cannot happen."""


def advance(state: FeedState, observation: Observation) -> tuple[FeedState, ...]:
    """States entered from `state` on `observation`. KeyError for a pair that cannot happen: a bug of the caller."""
    return TRANSITIONS[state, observation]
