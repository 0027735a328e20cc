"""What happens to a strategy around its market data: the machines of `states`, driven by events, without any I/O.

The runner (live) or the simulator (backtest) reports events: a feed attached or lost, the router, the kill word, a pause, a
stop. The dispatcher reports what it sees in the data: snapshots, gaps, the venue's state. Here they become transitions,
and each transition, in this order: its actions (cancel all, flatten), the session record, the gate for orders, the
strategy's callback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from libchronicle.errors import OrderError
from libchronicle.protocol import KillChange, Parameter, StateChange, VenueState, VenueStatus
from libchronicle.risk import BREAKERS
from libchronicle.runtime.config import Limits
from libchronicle.strategy.params import recorded
from libchronicle.strategy.refusal import Refusal
from libchronicle.strategy.rejections import Rejections
from libchronicle.strategy.states import (
    FEED,
    HOST,
    ROUTER,
    Action,
    BookState,
    FeedEvent,
    FeedState,
    HostEvent,
    HostState,
    Machine,
    RouterEvent,
    RouterState,
    step,
)

if TYPE_CHECKING:
    from libchronicle.protocol import RiskEvent
    from libchronicle.strategy.base import Strategy
    from libchronicle.strategy.context import Context
    from libchronicle.strategy.dispatch import Dispatcher
    from libchronicle.strategy.instrument import Instrument
    from libchronicle.strategy.recorder import Recorder

__all__ = ["Lifecycle"]


class Lifecycle:
    """The machines of one strategy. Set `dispatcher` before the first event."""

    dispatcher: Dispatcher

    def __init__(
        self,
        ctx: Context,
        recorder: Recorder,
        strategy: Strategy,
        *,
        flatten: bool = False,
        cancel_on_stop: bool = True,
        log: Any = None,
        limits: Limits | None = None,
        flatten_on_trip: bool = False,
    ) -> None:
        self.ctx = ctx
        self.recorder = recorder
        self.strategy = strategy
        self.host = HostState.INITIALIZING
        self.router = RouterState.INIT
        self.feeds: dict[str, FeedState] = {}
        self.rebuilding = False  # books are being replayed: nothing may be concluded yet
        self.killed = False
        self.paused = False
        self.on_host_state: Callable[[HostState], object] = lambda state: None
        self._instruments: dict[str, list[Instrument]] = {}
        self._venue_down: set[str] = set()
        self._flatten = flatten
        self._flatten_on_trip = flatten_on_trip
        self._cancel_on_stop = cancel_on_stop
        self._log = log
        self.rejections = Rejections(Limits() if limits is None else limits)

    # ------------------------------------------------------------ the host

    def start(self, instruments: Iterable[Instrument]) -> None:
        """Wait for the feeds of these instruments, and for the router."""
        for instrument in instruments:
            self._instruments.setdefault(instrument.venue, []).append(instrument)
        self._host(HostEvent.STARTED, "started")
        for feed in self._instruments:
            self.feeds[feed] = FeedState.INIT
            self._feed(feed, FeedEvent.START, "started")
        self._router(RouterEvent.START, "started")

    def stop(self, reason: str) -> None:
        """Tell the strategy, see to its orders; then `drained` says when it is over."""
        if self.host in (HostState.STOPPING, HostState.STOPPED):
            return
        if self.host is not HostState.INITIALIZING:
            self.dispatcher.no_cause()
            self.strategy.on_stop(self.ctx)
        self._host(HostEvent.STOP, reason)

    def drained(self) -> None:
        """Nothing is awaited any more."""
        if self.host is HostState.STOPPING:
            self._host(HostEvent.DRAINED, "drained")

    @property
    def awaits_cancels(self) -> bool:
        """True while a stopping host has orders whose cancel the router has yet to acknowledge."""
        return self._cancel_on_stop and self.router is RouterState.CONNECTED and bool(self.ctx.tracker.orders)

    # ------------------------------------------------------------ feeds

    def instruments(self, feed: str) -> list[Instrument]:
        return self._instruments.get(feed, [])

    def awaits(self, feed: str) -> bool:
        """True while only a living queue is missing for the feed to be attached."""
        return (
            self.feeds[feed] in (FeedState.CONNECTING, FeedState.DISCONNECTED)
            and feed not in self._venue_down
        )

    def forget_venue(self, feed: str) -> None:
        """Its writer is another one, or was not heard for a while: what was said of the venue counts no more."""
        self._venue_down.discard(feed)

    def feed_attached(self, feed: str) -> None:
        """Its queue is open, its writer lives and its books were rebuilt as far as the queue goes."""
        if not self.awaits(feed):
            return
        self._feed(feed, FeedEvent.ATTACHED, "attached")
        self._conclude(feed)

    def feed_lost(self, feed: str, reason: str) -> None:
        """Its writer or the venue behind it is gone."""
        transition = step(FEED, self.feeds[feed], FeedEvent.LOST)
        if not transition.changes:
            return
        self._host(HostEvent.FEED_LOST, f"{feed}: {reason}")
        self._lose_books(self.instruments(feed), reason)
        self._feed(feed, FeedEvent.LOST, reason)

    def discontinuity(self, feed: str, reason: str) -> None:
        """Records of the feed are missing, or its writer was opened anew: no signals until snapshots."""
        self._venue_down.discard(feed)
        self._gap(feed, self.instruments(feed), reason)

    # ------------------------------------------------------------ what the dispatcher sees

    def book_synced(self, instrument: Instrument) -> None:
        self.dispatcher.set_synced(instrument, True)
        if self.rebuilding:
            return
        self._record(Machine.BOOK, BookState.AWAITING_SNAPSHOT, BookState.SYNCED, "snapshot", instrument.id)
        self._conclude(instrument.venue)

    def book_lost(self, instrument: Instrument | None, reason: str) -> None:
        """None = every book of the feed being dispatched."""
        feed = self.dispatcher.feed_name if instrument is None else instrument.venue
        self._gap(feed, self.instruments(feed) if instrument is None else [instrument], reason)

    def venue_status(self, status: VenueStatus) -> None:
        feed = self.dispatcher.feed_name
        down = status.state is VenueState.DISCONNECTED
        if status.instrument_id:
            hit = [one for one in self.instruments(feed) if one.id == status.instrument_id]
            if down or status.state is VenueState.SYNCING:
                self._gap(feed, hit, f"venue {status.state.name.lower()}")
        elif down:
            self._venue_down.add(feed)
            if not self.rebuilding:
                self.feed_lost(feed, f"venue disconnected {status.reason}".strip())
        elif status.state is not VenueState.CONNECTING and feed in self._venue_down:
            self._venue_down.discard(feed)
            if not self.rebuilding:
                self.feed_attached(feed)

    def risk_event(self, event: RiskEvent) -> None:
        if self._log is not None:
            self._log.warning("risk", code=event.code.name, text=event.text)
        if self._flatten_on_trip and event.code in BREAKERS:
            self.dispatcher.no_cause()
            self.ctx.order_cancel_all(0, "breaker")
            self._send_flat()

    def rejected(self, instrument: Instrument, code: int, text: str) -> None:
        """The router refused an order."""
        self.rejections.seen(code, instrument.name, text, self.ctx.now_ns(), self.ctx.log)

    def _gap(self, feed: str, instruments: Iterable[Instrument], reason: str) -> None:
        lost = self._lose_books(instruments, reason)
        if lost and not self.rebuilding and self.feeds[feed] in (FeedState.SYNCING, FeedState.CONNECTED):
            self._feed(feed, FeedEvent.GAP, reason)

    def _lose_books(self, instruments: Iterable[Instrument], reason: str) -> int:
        """How many were right until now."""
        lost = 0
        for instrument in instruments:
            was_synced = instrument.is_synced
            self.dispatcher.set_synced(instrument, False)
            if was_synced and not self.rebuilding:
                lost += 1
                self._record(
                    Machine.BOOK, BookState.SYNCED, BookState.AWAITING_SNAPSHOT, reason, instrument.id
                )
        return lost

    def _conclude(self, feed: str) -> None:
        """All books of a feed right: it is connected; all feeds connected: trade."""
        if self.feeds[feed] is FeedState.SYNCING and all(one.is_synced for one in self.instruments(feed)):
            self._feed(feed, FeedEvent.SYNCED, "all books have a snapshot")

    # ------------------------------------------------------------ router, kill word, operator

    def router_attached(self) -> None:
        self._router(RouterEvent.ATTACHED, "attached")

    def router_lost(self, reason: str) -> None:
        self._router(RouterEvent.LOST, reason)

    def set_killed(self, killed: bool, reason: str) -> None:
        if killed == self.killed:
            return
        self.killed = killed
        self.recorder.append(KillChange(now_ns=self.ctx.now_ns(), killed=killed, reason=reason[:64]))
        self._set_gate()

    def set_paused(self, paused: bool) -> None:
        self.paused = paused
        self._set_gate()

    @property
    def word(self) -> str:
        """The host's state; where it would trade and must not, why."""
        if self.host is not HostState.TRADING:
            return self.host.name
        return "KILLED" if self.killed else "PAUSED" if self.paused else self.host.name

    def set_parameter(self, name: str, value: str) -> dict[str, Any]:
        """Change parameters between two callbacks, all or none. Raises UnknownParameter, BadParameter."""
        changes = self.ctx.params.parse(name, value)
        for key, new in changes.items():
            self.recorder.append(Parameter(now_ns=self.ctx.now_ns(), name=key, value=recorded(new)))
        self.ctx.params.apply(changes)
        return changes

    # ------------------------------------------------------------ transitions

    def _host(self, event: HostEvent, reason: str) -> None:
        transition = step(HOST, self.host, event)
        for action in transition.actions:
            self._act(action, reason)
        if not transition.changes:
            return
        self.host = transition.target
        self._record(Machine.HOST, transition.source, transition.target, reason)
        self.dispatcher.set_live(self.host is HostState.TRADING)
        self._set_gate()
        self.on_host_state(self.host)

    def _feed(self, feed: str, event: FeedEvent, reason: str) -> None:
        transition = step(FEED, self.feeds[feed], event)
        if not transition.changes:
            return
        self.feeds[feed] = transition.target
        self._record(Machine.FEED, transition.source, transition.target, f"{feed}: {reason}")
        if transition.target is FeedState.CONNECTED and all(
            state is FeedState.CONNECTED for state in self.feeds.values()
        ):
            self._host(HostEvent.FEEDS_UP, "all feeds are connected")
        if self._log is not None:
            self._log.info("feed", feed=feed, state=transition.target.name, reason=reason)
        self.dispatcher.no_cause()
        self.strategy.on_feed_state(self.ctx, feed, transition.target)

    def _router(self, event: RouterEvent, reason: str) -> None:
        transition = step(ROUTER, self.router, event)
        if not transition.changes:
            return
        self.router = transition.target
        self._record(Machine.ROUTER, transition.source, transition.target, reason)
        self._set_gate()
        if self._log is not None:
            self._log.info("router", state=transition.target.name, reason=reason)
        self.dispatcher.no_cause()
        self.strategy.on_router_state(self.ctx, transition.target)

    def _act(self, action: Action, reason: str) -> None:
        self.dispatcher.no_cause()
        if action is Action.CANCEL_ALL or (action is Action.STOP_ORDERS and self._cancel_on_stop):
            self.ctx.order_cancel_all(0, reason)
        elif action is Action.FLATTEN and self._flatten:
            self._send_flat()

    def _send_flat(self) -> None:
        """Reduce-only market orders for every position, while the gate still stands as it was."""
        for instruments in self._instruments.values():
            for instrument in instruments:
                try:
                    self.ctx.close_position(instrument)
                except OrderError as error:  # less than a lot: there is no order for it
                    if self._log is not None:
                        self._log.warning("cannot flatten", instrument=instrument.name, reason=str(error))

    def _set_gate(self) -> None:
        if self.host is not HostState.TRADING:
            why = int(Refusal.NOT_TRADING)
        elif self.killed:
            why = int(Refusal.KILLED)
        elif self.router is not RouterState.CONNECTED:
            why = int(Refusal.ROUTER_LOST)
        else:
            why = int(Refusal.PAUSED) if self.paused else 0
        self.ctx.open_gate(why)

    def _record(
        self, machine: Machine, source: int, target: int, reason: str, instrument_id: int = 0
    ) -> None:
        self.recorder.append(
            StateChange(
                now_ns=self.ctx.now_ns(),
                instrument_id=instrument_id,
                machine=machine,
                from_state=source,
                to_state=target,
                reason=reason[:64],
            )
        )
