"""The market data the router trades against: one reader per feed, and what the paper gateway must hear of
it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from libchronicle.book import L2Book
from libchronicle.bus.feed_watch import LEADS_NOWHERE, FeedState, why_lost
from libchronicle.errors import Broken, ChronicleError
from libchronicle.protocol import Dispatch, Instrument, RejectCode, StateChange
from libchronicle.risk import MarketView
from libchronicle.sim.paper import PaperGateway, VenueEvent
from libchronicle.sim.paper_feed import DEFINITION, MATCHED, NOTHING, SYNC, MarketReader
from services.router.engine import Engine
from services.router.state import FeedPlace, State

__all__ = ["FEED_MACHINE", "Feed", "MarketData", "end_markets"]

FEED_MACHINE = 1
CONNECTED, DISCONNECTED = int(FeedState.CONNECTED), int(FeedState.DISCONNECTED)
FRAMES_PER_TURN = 4096


@dataclass(slots=True, eq=False)
class Feed:
    """One raw queue. `is_alive` is looked at four times a second; a reader that failed is of no more use."""

    name: str
    rank: int
    reader: MarketReader
    is_alive: bool = True
    reason: str = ""  # of the last change
    error: ChronicleError | None = None


class MarketData:
    """Books by instrument over all feeds. A feed that is lost has no market, whatever its books say."""

    def __init__(self, state: State) -> None:
        self.feeds: dict[str, Feed] = {}
        self._state = state
        self._owners: dict[int, Feed] = {}
        self._gateway: PaperGateway | None = None  # known with the first feed

    # ------------------------------------------------------------ what the engine asks

    def book(self, instrument_id: int) -> L2Book | None:
        """The live book, or None while the instrument was not met."""
        feed = self._owners.get(instrument_id)
        return feed.reader.books[instrument_id] if feed is not None else None

    def view(self, instrument_id: int) -> MarketView | None:
        """Best prices, or None while there is no market: feed lost, or book invalid."""
        feed = self._owners.get(instrument_id)
        if feed is None or not feed.is_alive:
            return None
        book = feed.reader.books[instrument_id]
        if not book.valid:
            return None
        bid, ask = book.best_bid, book.best_ask
        best_bid, best_ask = bid[0] if bid else 0, ask[0] if ask else 0
        reference = (best_bid + best_ask) // 2 if best_bid and best_ask else best_bid or best_ask
        return MarketView(best_bid, best_ask, reference, book.recv_ts)

    def dispatches(self, now_ns: int) -> list[Dispatch]:
        """What was read of all feeds since the journal was last told."""
        found = []
        for feed in self.feeds.values():
            if (dispatch := self._dispatch(feed, now_ns)) is not None:
                found.append(dispatch)
        return found

    def is_from(self, instrument_id: int, rank: int) -> bool:
        """Whether the instrument's market is the feed of that rank."""
        feed = self._owners.get(instrument_id)
        return feed is not None and feed.rank == rank

    # ------------------------------------------------------------ feeds come and go

    def attach(self, feed: Feed, engine: Engine, definitions: dict[int, bytes], now_ns: int) -> None:
        """Trade against this feed from now on. Its books stand behind the last record that met the orders before a restart, and
        then nothing has happened; or at the head of its queue, and then it begins anew as after a gap."""
        begins = FeedPlace(feed.reader.queue_id, feed.reader.epoch, feed.reader.stands_at)
        goes_on = self._state.feeds.get(feed.name) == begins
        self.feeds[feed.name] = feed
        self._gateway = engine.gateway
        self._reached(feed, begins)
        for payload in definitions.values():
            engine.define(Instrument.decode(payload))
        for instrument_id, book in feed.reader.books.items():
            self._own(feed, instrument_id)
            if book.valid:
                self._synced(engine, feed, instrument_id, now_ns, anew=not goes_on)

    def detach(self, name: str) -> None:
        """The feed's reader failed; another one comes by `attach`."""
        feed = self.feeds.pop(name)
        for instrument_id in [key for key, owner in self._owners.items() if owner is feed]:
            del self._owners[instrument_id]
            for other in self.feeds.values():
                if instrument_id in other.reader.books:
                    self._own(other, instrument_id)
        feed.reader.close()

    def look(self, ttl_s: float) -> list[Feed]:
        """Feeds that were lost or came back since the last look, and those whose reader leads nowhere any more."""
        changed = []
        for feed in self.feeds.values():
            lost = why_lost(feed.reader.reader, ttl_s)
            if lost is not None and lost in LEADS_NOWHERE:
                feed.error = Broken(path=feed.reader.reader.path, reason=lost.value)
            if (lost is None) != feed.is_alive:
                feed.is_alive, feed.reason = lost is None, "writer alive" if lost is None else lost.value
                changed.append(feed)
        return changed

    # ------------------------------------------------------------ the loop

    def poll(self, feed: Feed, engine: Engine, now_ns: int, most: int = FRAMES_PER_TURN) -> int:
        """Read one feed up to its head; how many records. What its reader raises becomes the feed's `error`."""
        reader = feed.reader
        engine.gateway.now_ns = now_ns
        before = reader.frames
        while reader.frames - before < most:
            try:
                found = reader.poll(most - (reader.frames - before))
            except ChronicleError as error:
                feed.error = error
                break
            if found == NOTHING:
                break
            if found == MATCHED:
                self._took(engine, feed, engine.gateway.drain(), now_ns)
            elif found == SYNC:
                self._own(feed, reader.instrument_id)
                self._synced(engine, feed, reader.instrument_id, now_ns)
            elif found == DEFINITION:
                engine.define(Instrument.decode(reader.payload))
        return reader.frames - before

    def _own(self, feed: Feed, instrument_id: int) -> None:
        """The instrument's market is this feed's from now on: its orders meet these records and no others."""
        assert self._gateway is not None
        former = self._owners.get(instrument_id)
        if former is not None and former is not feed:
            former.reader.leave(instrument_id)
        self._owners[instrument_id] = feed
        feed.reader.join(self._gateway, instrument_id)

    def _synced(
        self, engine: Engine, feed: Feed, instrument_id: int, now_ns: int, *, anew: bool = True
    ) -> None:
        gateway: PaperGateway = engine.gateway
        gateway.now_ns = now_ns
        book = feed.reader.books[instrument_id]
        if anew:
            gateway.on_reset(instrument_id)
        gateway.place_readmitted(instrument_id, book)
        self._took(engine, feed, gateway.on_book(instrument_id, book), now_ns)

    def _took(self, engine: Engine, feed: Feed, events: list[VenueEvent], now_ns: int) -> None:
        """A market record filled something: that is a step, and the record its cause."""
        if not events and not engine.gateway.closed:
            return
        cause = self._dispatch(feed, now_ns) or Dispatch(
            source=feed.rank, now_ns=now_ns, epoch=feed.reader.epoch
        )
        engine.on_market(events, cause, self.dispatches(now_ns), now_ns)

    def _reached(self, feed: Feed, place: FeedPlace) -> None:
        assert self._gateway is not None
        if self._gateway.remembers:
            self._state.feeds[feed.name] = place

    def _dispatch(self, feed: Feed, now_ns: int) -> Dispatch | None:
        unsaid = feed.reader.unsaid()
        if unsaid is None:
            return None
        first, last, epoch = unsaid
        self._reached(feed, FeedPlace(feed.reader.queue_id, epoch, last + 1))
        return Dispatch(first_seq=first, last_seq=last, now_ns=now_ns, epoch=epoch, source=feed.rank)


def end_markets(gateway: PaperGateway, instruments: Iterable[int]) -> list[VenueEvent]:
    """Their open orders are cancelled: there is no market."""
    return [
        event
        for instrument_id in sorted(instruments)
        for event in gateway.cancel_all(None, instrument_id, code=RejectCode.NO_MARKET)
    ]


def state_change(name: str, now_ns: int, *, is_alive: bool) -> StateChange:
    """What the journal says of a feed that was lost or came back."""
    before, after = (DISCONNECTED, CONNECTED) if is_alive else (CONNECTED, DISCONNECTED)
    return StateChange(now_ns=now_ns, machine=FEED_MACHINE, from_state=before, to_state=after, reason=name)
