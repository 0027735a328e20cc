"""Frames of one feed in, records of one raw queue out. No socket, no clock of its own.

    frame ──▶ Decoder.push ──▶ queue                              the plain case: one native call
                 │ SYNC     ──▶ SymbolSync ──▶ records, gaps, asks
                 │ UNUSUAL  ──▶ strict decoder ──▶ push again
                 └ a reason ──▶ counted, dropped; a damaged diff makes its symbol sync anew

The shell around it calls `frame` for every text frame, tells of connections and snapshots, and fetches what `on_ask` asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from libchronicle.errors import EnvironmentFault
from libchronicle.protocol import BookDelta, BookFlags, BookSnapshot, Gap, Instrument, VenueState, VenueStatus
from libchronicle.queue import Publisher
from libchronicle.venues.binance import strict, sync
from libchronicle.venues.binance import tally as codes
from libchronicle.venues.binance.decoder import (
    BAD_DECIMAL,
    DEPTH,
    DUPLICATE,
    INCONSISTENT,
    MALFORMED,
    REPLY,
    ROLLED,
    SYNC,
    UNKNOWN_STREAM,
    UNUSUAL,
    Decoder,
    mark,
)
from libchronicle.venues.binance.profile import Profile
from libchronicle.venues.binance.raw_writer import RawWriter
from libchronicle.venues.binance.tally import Tally

__all__ = ["Pipeline"]

Buffer = bytes | bytearray | memoryview


def _ignore(*_: object) -> None:
    return None


class Pipeline:
    """All symbols of one feed. Symbols are named by index: their place in `instruments`.

    `on_ask(index)`: fetch a snapshot and hand it to `snapshot`, or say `snapshot_failed`. `on_control(message)`: an answer or a
    notice of the server that is no plain success. `on_sync(index, reason)`: a symbol went out of sync, or (None) is in
    sync again.
    """

    def __init__(
        self,
        profile: Profile,
        instruments: Sequence[Instrument],
        publisher: Publisher,
        *,
        on_ask: Callable[[int], object] = _ignore,
        on_control: Callable[[strict.Control], object] = _ignore,
        on_sync: Callable[[int, str | None], object] = _ignore,
    ) -> None:
        self.profile = profile
        self.instruments = tuple(instruments)
        self.tally = Tally()
        self.gaps = 0
        self.snapshots = 0
        self.decoder = Decoder(profile.futures)
        for instrument in self.instruments:
            self.decoder.add(
                instrument.symbol,
                instrument.instrument_id,
                instrument.price_exponent,
                instrument.qty_exponent,
            )
        self.machines = [sync.SymbolSync(profile.futures) for _ in self.instruments]
        self.writer = RawWriter(self.decoder, publisher, self.instruments, self._segment_began)
        self._push = self.decoder.push
        self._slots = self.tally.slots
        self._on_ask = on_ask
        self._on_control = on_control
        self._on_sync = on_sync
        self._refresh_due = False

    # ------------------------------------------------------------ frames

    def frame(self, frame: Buffer, recv_ts: int) -> None:
        """One text frame. Every frame is counted once, by kind or by the reason it was not taken."""
        if self.writer.fault is not None and not self.writer.flush():
            self._slots[codes.QUEUE_FULL] += 1
            return
        try:
            code = self._push(frame, recv_ts)
        except EnvironmentFault as fault:
            self.writer.fault = fault
            code = codes.QUEUE_FULL
        if not 0 < code < REPLY:
            code = self._special(code, frame, recv_ts)
        self._slots[code] += 1
        if self._refresh_due:
            self._refresh_due = False
            self.refresh_all(recv_ts)

    def reject(self, code: int) -> None:
        """A frame that the transport did not hand over: binary, too large."""
        self.tally.count(code)

    def _special(self, code: int, frame: Buffer, recv_ts: int) -> int:
        if code == ROLLED:
            code = self._push_at_head(frame, recv_ts)
        if code == UNUSUAL:
            code, frame = self._push_strictly(frame, recv_ts)
        if code == SYNC:
            return self._diff(frame, recv_ts)
        if code in (REPLY, UNKNOWN_STREAM):
            return self._control(frame, code)
        if (
            code in (BAD_DECIMAL, INCONSISTENT, MALFORMED)
            and self.decoder.kind == DEPTH
            and self.decoder.index >= 0
        ):
            index = self.decoder.index
            self._apply(index, self._machine(index).damaged(), recv_ts)
        return code

    def _push_at_head(self, frame: Buffer, recv_ts: int) -> int:
        try:
            self.writer.write_head()
            return self._push(frame, recv_ts)
        except EnvironmentFault as fault:
            self.writer.fault = fault
            return codes.QUEUE_FULL

    def _push_strictly(self, frame: Buffer, recv_ts: int) -> tuple[int, Buffer]:
        try:
            usual = strict.normalise(frame)
        except strict.FrameError as error:
            return codes.TRUNCATED if error.truncated else MALFORMED, frame
        code = self._push(usual, recv_ts)
        if code == ROLLED:
            code = self._push_at_head(usual, recv_ts)
        return (MALFORMED if code == UNUSUAL else code), (
            frame if code in (UNKNOWN_STREAM, UNUSUAL) else usual
        )

    def _control(self, frame: Buffer, code: int) -> int:
        control = strict.read_reply(frame)
        if control is None:
            return code
        if control.error is not None or control.code is not None or strict.is_shutdown(control):
            self._on_control(control)
        return REPLY

    def _diff(self, frame: Buffer, recv_ts: int) -> int:
        code, record = self.decoder.encode(frame, recv_ts)
        index = self.decoder.index
        machine = self._machine(index)
        if record is None:
            self._apply(index, machine.damaged(), recv_ts)
            return MALFORMED if code == UNUSUAL else code
        decoder = self.decoder
        outputs = machine.diff(sync.Diff(decoder.before_id, decoder.first_id, decoder.last_id, record))
        seen = len(outputs) == 1 and isinstance(outputs[0], sync.Seen)
        self._apply(index, outputs, recv_ts)
        return DUPLICATE if seen else DEPTH

    # ------------------------------------------------------------ connections and snapshots

    def status(self, state: VenueState, reason: str, recv_ts: int) -> None:
        """The venue as a whole: CONNECTING, CONNECTED, DISCONNECTED."""
        self.writer.put(
            VenueStatus(recv_ts=recv_ts, state=state, venue=self.profile.venue, reason=reason[:64])
        )

    def connected(self, recv_ts: int, symbols: Sequence[int] | None = None) -> None:
        """Frames of these symbols (None = all) will come, and none came before: they start to sync."""
        for index in self._indices(symbols):
            self.decoder.forget(index)
            self._apply(index, self._machine(index).connected(), recv_ts)

    def lost(self, recv_ts: int, symbols: Sequence[int] | None = None) -> None:
        """No connection carries these symbols: what the venue sends now is missed."""
        for index in self._indices(symbols):
            self._apply(index, self._machine(index).lost(), recv_ts)

    def snapshot(self, index: int, body: Buffer, recv_ts: int) -> None:
        """The answer to a REST depth request. Raises strict.FrameError when it cannot be read."""
        last_update_id, record = self._read_snapshot(index, body, recv_ts)
        self._apply(index, self._machine(index).snapshot(last_update_id, record), recv_ts)

    def snapshot_failed(self, index: int, recv_ts: int) -> None:
        self._apply(index, self._machine(index).failed(), recv_ts)

    def refresh(self, index: int, recv_ts: int) -> None:
        """A fresh snapshot is due, though nothing is wrong."""
        self._apply(index, self._machine(index).refresh(), recv_ts)

    def refresh_all(self, recv_ts: int) -> None:
        for index in self._indices(None):
            self.refresh(index, recv_ts)

    def _indices(self, symbols: Sequence[int] | None) -> Sequence[int]:
        return range(len(self.instruments)) if symbols is None else symbols

    def chain(self, index: int) -> int:
        """Update id of the last diff of this symbol that was taken; 0 = none since it was connected."""
        machine = self.machines[index]
        return self.decoder.chain(index) if machine.gate is not None else machine.chain or 0

    def synced(self) -> int:
        """How many symbols have a valid book."""
        live = (sync.State.LIVE, sync.State.REFRESHING, sync.State.HOLDING)
        return sum(machine.state in live for machine in self.machines)

    def _read_snapshot(self, index: int, body: Buffer, recv_ts: int) -> tuple[int, bytearray]:
        last, event_ms, venue_ms, bids, asks = strict.read_snapshot(body)
        times = (event_ms * 1_000_000, (venue_ms or event_ms) * 1_000_000, recv_ts)
        code, record = self.decoder.encode_snapshot(index, bids, asks, last, *times)
        if code == UNUSUAL:
            usual = (strict.compact_levels(bids), strict.compact_levels(asks))
            code, record = self.decoder.encode_snapshot(index, *usual, last, *times)
        if record is None:
            raise strict.FrameError(codes.REASONS.get(code, "malformed"), False)
        return last, record

    # ------------------------------------------------------------ the machine's wishes

    def _machine(self, index: int) -> sync.SymbolSync:
        """The symbol's machine, told how far diffs came past it; the gate is closed until `_apply`."""
        machine = self.machines[index]
        if machine.gate is not None:
            machine.advance(self.decoder.close_gate(index))
        return machine

    def _apply(self, index: int, outputs: Sequence[sync.Output], recv_ts: int) -> None:
        for output in outputs:
            self._do(index, output, recv_ts)
        gate = self.machines[index].gate
        if gate is not None:
            self.decoder.open_gate(index, gate)

    def _do(self, index: int, output: sync.Output, recv_ts: int) -> None:
        number = self.instruments[index].instrument_id
        match output:
            case sync.Append():
                self._append(output)
            case sync.DeclareGap(expected, received, reason):
                self.gaps += 1
                self.writer.put(
                    Gap(
                        instrument_id=number,
                        recv_ts=recv_ts,
                        expected_id=expected,
                        received_id=received,
                        reason=reason,
                    )
                )
            case sync.Ask():
                self._on_ask(index)
            case sync.Syncing(text):
                self._symbol_status(number, VenueState.SYNCING, text, recv_ts)
                self._on_sync(index, text)
            case sync.Synced():
                self._symbol_status(number, VenueState.SYNCED, "", recv_ts)
                self._on_sync(index, None)

    def _append(self, output: sync.Append) -> None:
        if output.stale:
            mark(output.record, BookFlags.STALE)
        if output.resync:
            mark(output.record, BookFlags.RESYNC)
        self.snapshots += output.snapshot
        self.writer.append(
            BookSnapshot.TEMPLATE_ID if output.snapshot else BookDelta.TEMPLATE_ID, output.record
        )

    def _symbol_status(self, number: int, state: VenueState, reason: str, recv_ts: int) -> None:
        self.writer.put(
            VenueStatus(
                instrument_id=number, recv_ts=recv_ts, state=state, venue=self.profile.venue, reason=reason
            )
        )

    def _segment_began(self) -> None:
        """Its snapshots will be needed when the segments before it are gone."""
        self._refresh_due = True
