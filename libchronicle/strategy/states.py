"""The states a strategy host moves through, as tables.

Four machines, all pure: an event goes in, a `Transition` comes out, and the shell carries out its actions.

    host    what the process as a whole does
    feed    one per feed the strategy listens to
    router  the one that takes its orders
    book    one per instrument: may its data reach the strategy?

Rules the tables must keep:

- Actions run *before* the new state is published. A lost feed cancels all orders first, and only once: no
  second event leads from WAITING_FOR_FEED to another cancel.
- An event that a state does not list is a bug in the shell (`InternalError`), never silently dropped; one that
  means nothing in a state is listed with an empty transition to itself.
- Values are what the session queue's StateChange records hold, so they never change; new ones go to the end.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Generic, NamedTuple, TypeVar

from libchronicle.errors import InternalError


class Machine(IntEnum):
    """`StateChange.machine`."""

    FEED = 1
    ROUTER = 2
    HOST = 3
    BOOK = 4


class HostState(IntEnum):
    """What the process as a whole does."""

    INITIALIZING = 0
    WAITING_FOR_FEED = 1
    TRADING = 2
    STOPPING = 3
    STOPPED = 4


class HostEvent(IntEnum):
    """What moves the host."""

    STARTED = 0
    FEEDS_UP = 1
    FEED_LOST = 2
    STOP = 3
    DRAINED = 4


class FeedState(IntEnum):
    """A feed the strategy listens to: connected once every book has a snapshot."""

    INIT = 0
    CONNECTING = 1
    SYNCING = 2
    CONNECTED = 3
    DISCONNECTED = 4


class FeedEvent(IntEnum):
    """What moves a feed."""

    START = 0
    ATTACHED = 1
    SYNCED = 2
    GAP = 3
    LOST = 4


class RouterState(IntEnum):
    """The router that takes the strategy's orders."""

    INIT = 0
    CONNECTING = 1
    CONNECTED = 2
    DISCONNECTED = 3


class RouterEvent(IntEnum):
    """What moves the router."""

    START = 0
    ATTACHED = 1
    LOST = 2


class BookState(IntEnum):
    """May an instrument's data reach the strategy?"""

    AWAITING_SNAPSHOT = 0
    SYNCED = 1


class BookEvent(IntEnum):
    """What moves a book."""

    SNAPSHOT = 0
    GAP = 1


class Action(IntEnum):
    """What the shell does before it publishes the new state."""

    CANCEL_ALL = 0
    FLATTEN = 1
    STOP_ORDERS = 2


S = TypeVar("S", bound=IntEnum)
E = TypeVar("E", bound=IntEnum)


class Transition(NamedTuple, Generic[S]):
    source: S
    target: S
    actions: tuple[Action, ...] = ()

    @property
    def changes(self) -> bool:
        return self.source != self.target


Table = dict[tuple[S, E], tuple[S, tuple[Action, ...]]]

# FLATTEN is carried out only where the strategy asks for it (on_disconnect = "flatten"); STOP_ORDERS obeys
# on_stop.
HOST: Table[HostState, HostEvent] = {
    (HostState.INITIALIZING, HostEvent.STARTED): (HostState.WAITING_FOR_FEED, ()),
    (HostState.INITIALIZING, HostEvent.STOP): (HostState.STOPPED, ()),
    (HostState.WAITING_FOR_FEED, HostEvent.FEEDS_UP): (HostState.TRADING, ()),
    (HostState.WAITING_FOR_FEED, HostEvent.FEED_LOST): (HostState.WAITING_FOR_FEED, ()),
    (HostState.WAITING_FOR_FEED, HostEvent.STOP): (HostState.STOPPING, (Action.STOP_ORDERS,)),
    (HostState.TRADING, HostEvent.FEEDS_UP): (HostState.TRADING, ()),
    (HostState.TRADING, HostEvent.FEED_LOST): (
        HostState.WAITING_FOR_FEED,
        (Action.CANCEL_ALL, Action.FLATTEN),
    ),
    (HostState.TRADING, HostEvent.STOP): (HostState.STOPPING, (Action.STOP_ORDERS,)),
    (HostState.STOPPING, HostEvent.FEEDS_UP): (HostState.STOPPING, ()),
    (HostState.STOPPING, HostEvent.FEED_LOST): (HostState.STOPPING, ()),
    (HostState.STOPPING, HostEvent.STOP): (HostState.STOPPING, ()),
    (HostState.STOPPING, HostEvent.DRAINED): (HostState.STOPPED, ()),
    (HostState.STOPPED, HostEvent.STOP): (HostState.STOPPED, ()),
}

FEED: Table[FeedState, FeedEvent] = {
    (FeedState.INIT, FeedEvent.START): (FeedState.CONNECTING, ()),
    (FeedState.CONNECTING, FeedEvent.ATTACHED): (FeedState.SYNCING, ()),
    (FeedState.CONNECTING, FeedEvent.LOST): (FeedState.CONNECTING, ()),
    (FeedState.SYNCING, FeedEvent.SYNCED): (FeedState.CONNECTED, ()),
    (FeedState.SYNCING, FeedEvent.GAP): (FeedState.SYNCING, ()),
    (FeedState.SYNCING, FeedEvent.LOST): (FeedState.DISCONNECTED, ()),
    (FeedState.CONNECTED, FeedEvent.SYNCED): (FeedState.CONNECTED, ()),
    (FeedState.CONNECTED, FeedEvent.GAP): (FeedState.SYNCING, ()),
    (FeedState.CONNECTED, FeedEvent.LOST): (FeedState.DISCONNECTED, ()),
    (FeedState.DISCONNECTED, FeedEvent.ATTACHED): (FeedState.SYNCING, ()),
    (FeedState.DISCONNECTED, FeedEvent.GAP): (FeedState.DISCONNECTED, ()),
    (FeedState.DISCONNECTED, FeedEvent.LOST): (FeedState.DISCONNECTED, ()),
}

ROUTER: Table[RouterState, RouterEvent] = {
    (RouterState.INIT, RouterEvent.START): (RouterState.CONNECTING, ()),
    (RouterState.CONNECTING, RouterEvent.ATTACHED): (RouterState.CONNECTED, ()),
    (RouterState.CONNECTING, RouterEvent.LOST): (RouterState.CONNECTING, ()),
    (RouterState.CONNECTED, RouterEvent.ATTACHED): (RouterState.CONNECTED, ()),
    (RouterState.CONNECTED, RouterEvent.LOST): (RouterState.DISCONNECTED, ()),
    (RouterState.DISCONNECTED, RouterEvent.ATTACHED): (RouterState.CONNECTED, ()),
    (RouterState.DISCONNECTED, RouterEvent.LOST): (RouterState.DISCONNECTED, ()),
}

BOOK: Table[BookState, BookEvent] = {
    (BookState.AWAITING_SNAPSHOT, BookEvent.SNAPSHOT): (BookState.SYNCED, ()),
    (BookState.AWAITING_SNAPSHOT, BookEvent.GAP): (BookState.AWAITING_SNAPSHOT, ()),
    (BookState.SYNCED, BookEvent.SNAPSHOT): (BookState.SYNCED, ()),
    (BookState.SYNCED, BookEvent.GAP): (BookState.AWAITING_SNAPSHOT, ()),
}


def step(table: Table[S, E], state: S, event: E) -> Transition[S]:
    """The transition `event` causes in `state`; InternalError when the table has none."""
    found = table.get((state, event))
    if found is None:
        raise InternalError(reason=f"{type(state).__name__}.{state.name} has no transition for {event.name}")
    return Transition(state, *found)
