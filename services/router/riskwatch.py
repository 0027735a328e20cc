"""Breakers of every strategy: its equity from fills and marks, and which of them trip. Pure, and the same in a rerun.

Rules:
- A breaker is of one strategy in one settle currency. Equity is realised profit less fees, and what is open at the middle of
  the book; while there is none, at the middle last seen.
- Equity is looked at after each step with a fill, when an order is checked, and once a second by a journaled look: never
  from anything else, or a rerun would see another peak.
- What tripped is a RiskEvent of the journal: it holds over restarts until its policy or `resume` ends it. What was measured
  (peak, the day's start, losses in a row) is one too, without a code, whenever it has changed: a restart forgets none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from libchronicle.errors import CorruptJournal
from libchronicle.portfolio import Holding, InstrumentTerms, Ledger
from libchronicle.protocol import RejectCode, RiskEvent
from libchronicle.risk import (
    Breach,
    Breakers,
    ConfiguredBreakers,
    ConfiguredLimits,
    MarketView,
    RoundTrips,
    breakers_of,
)

__all__ = ["RiskWatch", "Tripwires", "measurement"]


@dataclass(slots=True)
class Tripwires:
    """A strategy's breakers by currency, and what they are measured with."""

    limits: ConfiguredLimits | None = None
    settings: ConfiguredBreakers | None = None
    breakers: dict[str, Breakers] = field(default_factory=dict)
    trips: RoundTrips = field(default_factory=RoundTrips)
    marks: dict[int, int] = field(default_factory=dict)
    carried: dict[str, RiskEvent] = field(default_factory=dict)  # by currency: tripped, by the journal
    measured: dict[str, RiskEvent] = field(
        default_factory=dict
    )  # likewise, until there are breakers to take it up
    noted: dict[str, tuple[int, ...]] = field(default_factory=dict)  # what the journal was told last

    @property
    def is_set(self) -> bool:
        limits = self.limits
        return limits is not None and (
            limits.max_drawdown is not None
            or limits.max_daily_loss is not None
            or limits.max_losses_in_a_row is not None
        )

    def configure(self, limits: ConfiguredLimits, settings: ConfiguredBreakers | None) -> None:
        """As the TOML says now; what has been measured, and what has tripped, stays."""
        self.limits, self.settings = limits, settings
        former, self.breakers = self.breakers, {}
        for currency, breakers in former.items():
            self.of(currency).take_over(breakers)

    def of(self, currency: str) -> Breakers:
        """The currency's breakers. Only when `is_set`."""
        found = self.breakers.get(currency)
        if found is None:
            assert self.limits is not None
            found = self.breakers[currency] = breakers_of(self.limits, self.settings)
            measured = self.measured.pop(currency, None)
            if measured is not None:
                found.go_on(*measured_by(measured))
            event = self.carried.pop(currency, None)
            if event is not None:
                found.trip(event.code, event.limit_value, event.actual_value, event.ts)
        return found

    def resume(self) -> None:
        """A person lets the strategy go on: everything is measured anew."""
        self.carried.clear()
        self.measured.clear()
        for breakers in self.breakers.values():
            breakers.reset()


def measurement(strategy: str, instrument_id: int, breakers: Breakers, now_ns: int) -> RiskEvent:
    """What has been measured, as a record of the journal. No limit was hit: it has no code."""
    equity, peak, day_start, day, losses = breakers.measured
    return RiskEvent(
        instrument_id=instrument_id,
        ts=now_ns,
        limit_value=peak,
        actual_value=day_start,
        code=RejectCode.NONE,
        strategy=strategy,
        text=f"{equity} {day} {losses}",
    )


def measured_by(event: RiskEvent) -> tuple[int, int, int, int, int]:
    """The other way. Raises CorruptJournal."""
    try:
        equity, day, losses = (int(word) for word in event.text.split())
    except ValueError:
        raise CorruptJournal(reason=f"a measurement of {event.strategy} reads {event.text!r}") from None
    return equity, event.limit_value, event.actual_value, day, losses


class Watched(Protocol):
    """A strategy as the router sees it."""

    @property
    def name(self) -> str: ...
    @property
    def wires(self) -> Tripwires: ...


class RiskWatch:
    """Reads the ledger and the markets; keeps what it measured in each strategy's Tripwires."""

    def __init__(self, ledger: Ledger, view: Callable[[int], MarketView | None]) -> None:
        self._ledger = ledger
        self._view = view

    def exposure(self, owner: str, terms: InstrumentTerms) -> int:
        """Money of the owner's other instruments settled in the same currency: the larger side of position and open orders
        at the middle of the book, or the average price while there is none. Raises FixedPointOverflow."""
        total = 0
        for instrument_id, held in self._held(owner, terms.settle_currency):
            if instrument_id == terms.instrument_id:
                continue
            worst = max(held.position.qty + held.open_buy, held.open_sell - held.position.qty)
            market = self._view(instrument_id)
            price = market.reference if market is not None else held.position.average_price
            total += held.position.terms.notional(price, worst) if price else 0
        return total

    def tripped(self, client: Watched, currency: str, now_ns: int) -> Breach | None:
        """The breach that holds for orders in this currency."""
        if not client.wires.is_set:
            return None
        breakers = client.wires.of(currency)
        if not breakers.has_begun:
            breakers.equity(self._equity(client, currency), now_ns)
        return breakers.tripped(now_ns)

    def moved(self, client: Watched, instrument_id: int, now_ns: int) -> Breach | None:
        """After fills: the breach that they are, if any."""
        if not client.wires.is_set:
            return None
        position = self._ledger.holding(client.name, instrument_id).position
        breakers = client.wires.of(position.terms.settle_currency)
        net = position.realized - position.fees
        result = client.wires.trips.moved(instrument_id, position.qty, net)
        streak = breakers.result(result, now_ns) if result is not None else None
        return streak or breakers.equity(self._equity(client, position.terms.settle_currency), now_ns)

    def look(self, client: Watched, now_ns: int) -> Iterator[tuple[int, Breach | None]]:
        """Equity at the marks of now: (an instrument of each currency at risk, the breach if there is one)."""
        if not client.wires.is_set:
            return
        seen: set[str] = set()
        for (owner, instrument_id), held in list(self._ledger.holdings.items()):
            currency = held.position.terms.settle_currency
            if owner != client.name or currency in seen or not held.position.qty:
                continue
            seen.add(currency)
            yield instrument_id, client.wires.of(currency).equity(self._equity(client, currency), now_ns)

    def news(self, client: Watched, instrument_id: int, now_ns: int) -> RiskEvent | None:
        """What the journal must hear of the breakers of an instrument's currency; None: it knows."""
        if not client.wires.is_set:
            return None
        currency = self._ledger.terms[instrument_id].settle_currency
        breakers = client.wires.of(currency)
        lasting = breakers.measured[1:]
        if client.wires.noted.get(currency) == lasting:
            return None
        client.wires.noted[currency] = lasting
        return measurement(client.name, instrument_id, breakers, now_ns)

    def is_at_risk(self, client: Watched) -> bool:
        """Whether a look could tell anything."""
        return client.wires.is_set and any(
            owner == client.name and held.position.qty for (owner, _), held in self._ledger.holdings.items()
        )

    def begin(self, client: Watched) -> None:
        """Round trips go on from the positions that are there."""
        for (owner, instrument_id), held in self._ledger.holdings.items():
            if owner == client.name:
                client.wires.trips.begin(
                    instrument_id, held.position.qty, held.position.realized - held.position.fees
                )

    def _equity(self, client: Watched, currency: str) -> int:
        total = 0
        for instrument_id, held in self._held(client.name, currency):
            market = self._view(instrument_id)
            if market is not None and market.reference:
                client.wires.marks[instrument_id] = market.reference
            position = held.position
            mark = client.wires.marks.get(instrument_id) or position.average_price
            total += position.realized - position.fees + (position.unrealized(mark) if mark else 0)
        return total

    def _held(self, owner: str, currency: str) -> Iterator[tuple[int, Holding]]:
        for (name, instrument_id), held in self._ledger.holdings.items():
            if name == owner and held.position.terms.settle_currency == currency:
                yield instrument_id, held
