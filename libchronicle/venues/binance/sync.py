"""Order book synchronisation of one symbol: which diffs wait, which are appended, where the snapshot goes.

The venue's rule ("How to manage a local order book correctly", spot: WebSocket Streams; futures: USDS-Margined
Futures, chapter of the same name), L being the snapshot's lastUpdateId:

            drop        first diff to apply      then
    spot    u <= L      U <= L + 1 <= u          U  == u of the one before + 1
    usdm    u <  L      U <= L <= u              pu == u of the one before

Both say: `before <= L` and the diff reaches past L, where `before` is the last update id the diff builds on (spot:
U - 1, futures: pu). Quantities are absolute, so a diff that overlaps the one before (another connection cuts events
elsewhere) is applied as well.

Nothing is dropped but what was seen already. While a book syncs its diffs wait; when a snapshot fits, all are
appended in order: those the snapshot covers flagged stale, the snapshot, then the rest. A diff that is missing is
declared by a Gap where it is missing. The machine does no I/O and knows no time; its table:

    IDLE         no connection
    SYNCING      connected, no valid book: diffs wait for a snapshot
    LIVE         diffs are appended as they come
    REFRESHING   live, and a fresh snapshot was asked for; it is taken if it is not behind the diffs
    HOLDING      live, but snapshots kept coming in behind the diffs: diffs wait, shortly, for one that fits
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from libchronicle.protocol import GapReason
from libchronicle.venues.binance.decoder import BREAK, SEEN, follows

__all__ = [
    "TABLE",
    "Append",
    "Ask",
    "DeclareGap",
    "Diff",
    "Event",
    "Output",
    "Seen",
    "State",
    "Step",
    "SymbolSync",
    "Synced",
    "Syncing",
    "draw_table",
]

WAITING_LIMIT = 4096  # diffs; at ten a second close to seven minutes
HOLDING_LIMIT = 64  # diffs a live book may wait for its next snapshot
REFRESH_TRIES = 2  # snapshots that may come in behind before diffs are held
SEEN_RUN = 512  # so many diffs behind, none ahead: the venue counts anew


class State(enum.Enum):
    IDLE = "idle"
    SYNCING = "syncing"
    LIVE = "live"
    REFRESHING = "refreshing"
    HOLDING = "holding"


class Event(enum.Enum):
    CONNECTED = "connected"
    LOST = "lost"
    DIFF = "diff"  # continues
    GAP = "gap"  # a diff that does not continue, or one that was damaged on the way
    REFRESH = "refresh"  # a fresh snapshot is due
    FITS = "snapshot fits"
    BEHIND = "snapshot behind"
    TIRED = "snapshot behind, again"
    FAILED = "snapshot failed"
    FULL = "too many wait"


class Step(enum.Enum):
    """What a transition does, in this order."""

    WAIT = "diff waits"
    APPEND = "append the diff"
    GAP = "declare the gap"
    FLUSH = "append what waits"
    FLUSH_STALE = "append what waits, stale"
    PLACE = "append what waits around the snapshot"
    ASK = "ask for a snapshot"
    SYNCING = "say syncing"
    SYNCED = "say synced"


S, E, T = State, Event, Step

TABLE: Final[dict[tuple[State, Event], tuple[State, tuple[Step, ...]]]] = {
    (S.IDLE, E.CONNECTED): (S.SYNCING, (T.SYNCING, T.ASK)),
    (S.SYNCING, E.DIFF): (S.SYNCING, (T.WAIT,)),
    (S.SYNCING, E.GAP): (S.SYNCING, (T.GAP, T.WAIT)),
    (S.SYNCING, E.FITS): (S.LIVE, (T.PLACE, T.SYNCED)),
    (S.SYNCING, E.BEHIND): (S.SYNCING, (T.ASK,)),
    (S.SYNCING, E.TIRED): (S.SYNCING, (T.ASK,)),
    (S.SYNCING, E.FAILED): (S.SYNCING, (T.ASK,)),
    (S.SYNCING, E.FULL): (S.SYNCING, (T.FLUSH_STALE,)),
    (S.SYNCING, E.LOST): (S.IDLE, (T.FLUSH_STALE,)),
    (S.LIVE, E.DIFF): (S.LIVE, (T.APPEND,)),
    (S.LIVE, E.GAP): (S.SYNCING, (T.GAP, T.WAIT, T.SYNCING, T.ASK)),
    (S.LIVE, E.REFRESH): (S.REFRESHING, (T.ASK,)),
    (S.LIVE, E.LOST): (S.IDLE, (T.GAP,)),
    (S.REFRESHING, E.DIFF): (S.REFRESHING, (T.APPEND,)),
    (S.REFRESHING, E.GAP): (S.SYNCING, (T.GAP, T.WAIT, T.SYNCING, T.ASK)),
    (S.REFRESHING, E.FITS): (S.LIVE, (T.PLACE,)),
    (S.REFRESHING, E.BEHIND): (S.REFRESHING, (T.ASK,)),
    (S.REFRESHING, E.TIRED): (S.HOLDING, (T.ASK,)),
    (S.REFRESHING, E.FAILED): (S.LIVE, ()),
    (S.REFRESHING, E.LOST): (S.IDLE, (T.GAP,)),
    (S.HOLDING, E.DIFF): (S.HOLDING, (T.WAIT,)),
    (S.HOLDING, E.GAP): (S.SYNCING, (T.FLUSH, T.GAP, T.WAIT, T.SYNCING, T.ASK)),
    (S.HOLDING, E.FITS): (S.LIVE, (T.PLACE,)),
    (S.HOLDING, E.BEHIND): (S.HOLDING, (T.ASK,)),
    (S.HOLDING, E.TIRED): (S.HOLDING, (T.ASK,)),
    (S.HOLDING, E.FAILED): (S.LIVE, (T.FLUSH,)),
    (S.HOLDING, E.FULL): (S.LIVE, (T.FLUSH,)),
    (S.HOLDING, E.LOST): (S.IDLE, (T.FLUSH, T.GAP)),
}
"""Pairs that are not listed change nothing: a late snapshot, a refresh while one is under way."""


def draw_table() -> str:
    """The table as Markdown, for the documentation."""
    lines = ["| state | event | does | then |", "|---|---|---|---|"]
    for (state, event), (after, steps) in TABLE.items():
        does = ", ".join(step.value for step in steps) or "–"
        lines.append(f"| {state.value} | {event.value} | {does} | {after.value} |")
    return "\n".join(lines)


@dataclass(slots=True)
class Diff:
    """A depth diff: `first`..`last` are its update ids, `before` the one it builds on."""

    before: int
    first: int
    last: int
    record: bytearray


# ---------------------------------------------------------------- what the machine wants done


@dataclass(slots=True, frozen=True)
class Append:
    """Append a record, `stale` if a snapshot before or after it covers it."""

    record: bytearray
    stale: bool = False
    snapshot: bool = False
    resync: bool = False


@dataclass(slots=True, frozen=True)
class DeclareGap:
    expected: int
    received: int
    reason: GapReason


@dataclass(slots=True, frozen=True)
class Ask:
    """Fetch a snapshot."""


@dataclass(slots=True, frozen=True)
class Syncing:
    reason: str


@dataclass(slots=True, frozen=True)
class Synced:
    pass


@dataclass(slots=True, frozen=True)
class Seen:
    """The diff was seen before and is not appended."""


Output = Append | DeclareGap | Ask | Syncing | Synced | Seen


class SymbolSync:
    """The machine of one symbol. Each method returns what is to be done, in order.

    `futures`: a snapshot covers u < L (else u <= L). `gate` is the update id from which on diffs may bypass the
    machine while they continue; None = they may not. `advance` tells how far they came.
    """

    def __init__(self, futures: bool) -> None:
        self.state = State.IDLE
        self._futures = futures
        self._chain: int | None = None  # u of the last diff seen; None: none since connecting
        self._base = 0  # L of the last snapshot placed
        self._appended = 0  # u of the last diff appended
        self._waiting: list[Diff | DeclareGap] = []
        self._behind = 0
        self._seen_run = 0

    @property
    def gate(self) -> int | None:
        if (
            self.state in (State.LIVE, State.REFRESHING)
            and self._chain is not None
            and self._chain >= self._base
        ):
            return self._chain
        return None

    @property
    def chain(self) -> int | None:
        """Update id of the last diff that passed through the machine or was told by `advance`."""
        return self._chain

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def advance(self, chain: int) -> None:
        """Diffs up to update id `chain` were appended past the machine."""
        self._chain = self._appended = chain
        self._seen_run = 0

    # ------------------------------------------------------------ events

    def connected(self) -> list[Output]:
        return self._run(Event.CONNECTED, reason="connected")

    def lost(self) -> list[Output]:
        gap = DeclareGap((self._chain or self._base) + 1, 0, GapReason.RECONNECT)
        outputs = self._run(Event.LOST, gap=gap)
        self._chain, self._base, self._appended, self._seen_run = None, 0, 0, 0
        return outputs

    def refresh(self) -> list[Output]:
        self._behind = 0
        return self._run(Event.REFRESH)

    def failed(self) -> list[Output]:
        return self._run(Event.FAILED)

    def damaged(self) -> list[Output]:
        """A depth frame of this symbol could not be read: what it said is missing."""
        gap = DeclareGap((self._chain or self._base) + 1, 0, GapReason.MALFORMED)
        outputs = self._run(Event.GAP, gap=gap, reason="malformed frame")
        self._chain, self._base = None, 0
        return outputs

    def diff(self, diff: Diff) -> list[Output]:
        if self.state is State.IDLE:
            return [Append(diff.record, stale=True)]
        chain = self._chain
        if chain is None:
            # The first one: it need not continue anything but the snapshot, if that is there already.
            broken = self._base != 0 and diff.before > self._base
            chain = self._base
        else:
            how = follows(chain, diff.before, diff.last)
            if how == SEEN and self._seen_run < SEEN_RUN:
                self._seen_run += 1
                return [Seen()]
            broken = how in (BREAK, SEEN)
        self._seen_run = 0
        self._chain = diff.last
        if not broken:
            return self._run(Event.DIFF, diff=diff) + self._full()
        gap = DeclareGap(chain + 1, diff.first, GapReason.SEQUENCE)
        return self._run(Event.GAP, diff=diff, gap=gap, reason="gap") + self._full()

    def snapshot(self, last_update_id: int, record: bytearray) -> list[Output]:
        if self.state in (State.IDLE, State.LIVE):
            return []
        if self._fits(last_update_id):
            self._behind = 0
            return self._run(Event.FITS, snapshot=(last_update_id, record))
        self._behind += 1
        return self._run(Event.TIRED if self._behind >= REFRESH_TRIES else Event.BEHIND)

    # ------------------------------------------------------------ the snapshot's place

    def _covers(self, last_update_id: int, diff: Diff) -> bool:
        return diff.last < last_update_id if self._futures else diff.last <= last_update_id

    def _split(self, last_update_id: int) -> int:
        """How many of those waiting stand before the snapshot."""
        for place, item in enumerate(self._waiting):
            if isinstance(item, Diff) and not self._covers(last_update_id, item):
                return place
        return len(self._waiting)

    def _fits(self, last_update_id: int) -> bool:
        """The snapshot reaches the first diff it does not cover, and nothing is missing from there on."""
        rest = self._waiting[self._split(last_update_id) :]
        if not rest:
            return last_update_id >= self._appended
        first = rest[0]
        whole = all(isinstance(item, Diff) for item in rest)
        return whole and isinstance(first, Diff) and first.before <= last_update_id

    def _place(self, snapshot: tuple[int, bytearray], live: bool) -> list[Output]:
        last_update_id, record = snapshot
        place = self._split(last_update_id)
        before, after = self._waiting[:place], self._waiting[place:]
        self._waiting = []
        self._base = last_update_id
        outputs = [self._append(item, stale=not live) for item in before]
        outputs.append(Append(record, snapshot=True, resync=not live))
        return outputs + [self._append(item) for item in after]

    # ------------------------------------------------------------ steps

    def _append(self, item: Diff | DeclareGap, stale: bool = False) -> Output:
        if isinstance(item, DeclareGap):
            return item
        self._appended = item.last
        return Append(item.record, stale=stale)

    def _full(self) -> list[Output]:
        limit = HOLDING_LIMIT if self.state is State.HOLDING else WAITING_LIMIT
        return self._run(Event.FULL) if len(self._waiting) >= limit else []

    def _run(
        self,
        event: Event,
        *,
        diff: Diff | None = None,
        gap: DeclareGap | None = None,
        snapshot: tuple[int, bytearray] | None = None,
        reason: str = "",
    ) -> list[Output]:
        live = self.state in (State.LIVE, State.REFRESHING, State.HOLDING)
        transition = TABLE.get((self.state, event))
        if transition is None:
            return []
        self.state, steps = transition
        outputs: list[Output] = []
        for step in steps:
            if step is Step.WAIT and diff is not None:
                self._waiting.append(diff)
            elif step is Step.APPEND and diff is not None:
                outputs.append(self._append(diff, stale=self._covers(self._base, diff)))
            elif step is Step.GAP and gap is not None:
                self._declare(gap, live, outputs)
            elif step in (Step.FLUSH, Step.FLUSH_STALE):
                outputs += [self._append(item, stale=step is Step.FLUSH_STALE) for item in self._waiting]
                self._waiting = []
            elif step is Step.PLACE and snapshot is not None:
                outputs += self._place(snapshot, live)
            elif step is Step.ASK:
                outputs.append(Ask())
            elif step is Step.SYNCING:
                self._behind = 0
                outputs.append(Syncing(reason))
            elif step is Step.SYNCED:
                outputs.append(Synced())
        return outputs

    def _declare(self, gap: DeclareGap, live: bool, outputs: list[Output]) -> None:
        """At once when the book was valid; else among those waiting, where it belongs."""
        if live:
            outputs.append(gap)
        else:
            self._waiting.append(gap)
