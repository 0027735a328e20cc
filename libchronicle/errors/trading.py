"""Messages, orders, strategies and money."""

from __future__ import annotations

from libchronicle.errors.tree import CorruptError, InternalError, MisuseError, NotReadyError

# ---------------------------------------------------------------- messages


class EncodeError(MisuseError):
    template = "{message}.{field}: {reason}"
    message: str
    field: str
    reason: str


class UnknownInstrument(MisuseError):
    template = "instrument {instrument!r} is not defined; write venue:SYMBOL of one the feed has defined"
    instrument: int | str


class InstrumentCollision(CorruptError):
    template = "instrument id {id:#018x} of {name} belongs to {other}; one of the two cannot be used"
    id: int
    name: str
    other: str


class ExponentChanged(CorruptError):
    template = "{name}: exponents (price, qty) {wanted} differ from the frozen {frozen}; they never change"
    name: str
    frozen: tuple[int, int]
    wanted: tuple[int, int]


class BookModeMismatch(CorruptError):
    template = "{message} record for instrument {instrument_id:#018x}, whose book is {mode}"
    message: str
    instrument_id: int
    mode: str


# ---------------------------------------------------------------- orders: the caller


class OrderError(MisuseError):
    """An order that cannot be built. Nothing was sent."""

    template = "{instrument}: {reason}"
    instrument: str
    reason: str


class FloatAmount(OrderError):
    """A float where an exact amount is needed."""

    template = "{instrument}: {what} is the float {value!r}; write an int mantissa, a string or a Decimal"
    what: str
    value: float


class BadPrice(OrderError):
    """A price that is not above zero, off the tick, or not exact."""

    template = "{instrument}: price {value} {reason}"
    value: object


class BadQuantity(OrderError):
    """A quantity off the lot, outside the limits, or worth too little."""

    template = "{instrument}: quantity {value} {reason}"
    value: object


class BadCombination(OrderError):
    """Options that mean nothing together."""

    template = "{instrument}: {reason}"


# ---------------------------------------------------------------- strategies: the caller


class UnknownParameter(MisuseError):
    """A parameter the strategy's TOML does not have."""

    template = "no parameter {name!r}; there are: {known}"
    name: str
    known: str


class NotSubscribed(MisuseError):
    """An instrument of which the strategy gets nothing."""

    template = "{instrument} is not subscribed: name it in the TOML's subscribe or in ctx.subscribe; subscribed: {known}"
    instrument: str
    known: str


class BadParameter(MisuseError):
    """A value of another type than the parameter's."""

    template = "parameter {name}: {value!r} is no {wanted}"
    name: str
    value: str
    wanted: str


class AlreadyThere(MisuseError):
    """A file that would have been overwritten."""

    template = "{path}: is there already; take another name, or remove it first"
    path: str


class BadFeature(MisuseError):
    """A feature that breaks its contract."""

    template = "feature {feature}: {reason}"
    feature: str
    reason: str


class StrategyFileError(MisuseError):
    """A strategy file that cannot be loaded."""

    template = "{file}: {reason}"
    file: str
    reason: str


class StrategyFailed(MisuseError):
    """A strategy raised so often that its host will not be started again by itself."""

    template = "{strategy} raised {count} times within {window_s:.0f} s; mend it and run `chronicle up`; the last: {reason}"
    strategy: str
    count: int
    window_s: float
    reason: str


class DaemonsFailed(MisuseError):
    """Daemons of the suite ended and will not be started again by themselves."""

    template = "ended for good: {daemons}; `chronicle errors` says why, their logs are in {logs}"
    daemons: str
    logs: str


class StrategyAway(NotReadyError):
    """A command for a strategy that does not run."""

    template = "strategy {strategy} does not run; known here: {known}. Start it with `chronicle up`, or change its TOML"
    strategy: str
    known: str


class CommandRefused(MisuseError):
    """The strategy's host could not obey."""

    template = "strategy {strategy} refused: {reason}"
    strategy: str
    reason: str


class NotAcknowledged(NotReadyError):
    """Nobody said that a command was obeyed."""

    template = "strategy {strategy} said nothing within {seconds:g} s; see `chronicle status`. The command stands for a minute"
    strategy: str
    seconds: float


class GuardTripped(MisuseError):
    """A callback did what it must not: see `libchronicle.strategy.guard`."""

    template = "{place} {what} ({call}): {remedy}"
    place: str
    what: str
    call: str
    remedy: str


class StrategyHung(MisuseError):
    """A stop was asked for and the strategy's code did not return; it was interrupted."""

    template = "{strategy}: {reason} did not return when the host was stopped; its orders were cancelled"
    strategy: str
    reason: str


# ---------------------------------------------------------------- money and orders


class FixedPointOverflow(MisuseError):
    template = "{what} does not fit {bits} bits: money ends at 92,233,720,368.54775807 of its currency; fund or trade less"
    what: str
    bits: int


class BadAmount(MisuseError):
    """An amount of an account, a fee or a limit that is no number, or outside what it may be."""

    template = "{what}: {value!r} {reason}"
    what: str
    value: object
    reason: str


class InvalidTransition(InternalError):
    template = "{machine}: no transition from {state} on {event}"
    machine: str
    state: str
    event: str


class CorruptJournal(CorruptError):
    template = "the router's journal contradicts itself: {reason}; run `chronicle queue verify` on sessions/queue/router"
    reason: str


class CorruptSession(CorruptError):
    """A session's journal lacks what is needed to run it again."""

    template = (
        "session {session} cannot be run again: {reason}; `chronicle queue verify` tells what its queues lack"
    )
    session: str
    reason: str


class CannotRerun(CorruptError):
    """The program that runs a session again gave up."""

    template = "session {session} cannot be run again: {reason}"
    session: str
    reason: str


class DecodeError(CorruptError):
    template = "{message}: {reason} (template {template_id}, {size} bytes)"
    message: str
    template_id: int
    size: int
    reason: str


class DecimalError(CorruptError):
    template = "{text!r} is no decimal with exponent {exponent}: {reason}"
    text: str
    exponent: int
    reason: str


# ---------------------------------------------------------------- backtests


class NoData(MisuseError):
    """Nothing to run a backtest on."""

    template = "{where}: {reason}"
    where: str
    reason: str


class BadRows(CorruptError):
    """Rows of market data that cannot be a recording."""

    template = "row {row}: {reason}; mend the rows or leave them out"
    row: int
    reason: str


class BacktestFailed(MisuseError):
    """A strategy raised in a backtest; `result` is what there was until then, None where it did not start."""

    template = "{strategy} raised {reason}; the traceback is that of the cause, and stands in result.failure"
    strategy: str
    reason: str
    result: object
