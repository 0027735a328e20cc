"""Every error Chronicle raises, in one tree.

The five branches say who must act:

    MisuseError       the caller: wrong argument, wrong order of calls, wrong configuration
    CorruptError      nobody can go on with this data: it names file and place, `chronicle queue verify` shows what is left
    NotReadyError     not yet: wait and try again
    EnvironmentFault  the operator: disk, permission, port, limits of the host
    InternalError     us: a bug; please report it

An error carries its facts as attributes; its message is rendered from them by `template`.
"""

from __future__ import annotations

from typing import Any, ClassVar


class ChronicleError(Exception):
    """Root of the tree. `fields` holds the facts the message was rendered from."""

    template: ClassVar[str] = "{reason}"
    fields: dict[str, Any]

    def __init__(self, **fields: Any) -> None:
        self.fields = fields
        for name, value in fields.items():
            setattr(self, name, value)
        super().__init__(self.template.format_map(_Lenient(fields)))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.fields)


class _Lenient(dict[str, Any]):
    """A missing fact must not hide the error it belongs to."""

    def __missing__(self, key: str) -> str:
        return "?"


def _rebuild(kind: type[ChronicleError], fields: dict[str, Any]) -> ChronicleError:
    return kind(**fields)


# ---------------------------------------------------------------- who must act


class MisuseError(ChronicleError):
    """The caller broke the contract."""


class CorruptError(ChronicleError):
    """Data on disk or on the wire is not what was written."""


class NotReadyError(ChronicleError):
    """A thing is not there yet."""


class EnvironmentFault(ChronicleError):
    """The host refuses: disk, permission, port, limits."""


class InternalError(ChronicleError):
    """A bug in Chronicle."""


# ---------------------------------------------------------------- queue: the caller


class WriterAlreadyActive(MisuseError):
    template = "{path}: a writer is already active (pid {pid}); stop it first, or open a subscriber"
    path: str
    pid: int


class ReaderAlreadyActive(MisuseError):
    template = "{path}: reader {name!r} is already active (pid {pid}); stop it, or take another name"
    path: str
    name: str
    pid: int


class PayloadTooLarge(MisuseError):
    template = "{path}: payload of {size} bytes exceeds the {limit} a frame may hold; raise segment_size for a new queue"
    path: str
    size: int
    limit: int


class TimestampOrder(MisuseError):
    template = "{path}: timestamp {ts_ns} is before the last one appended, {last_ns}"
    path: str
    ts_ns: int
    last_ns: int


class ReservedType(MisuseError):
    template = "{path}: type_id {type_id:#x} belongs to the queue (0xFF00 and above); use a smaller one"
    path: str
    type_id: int


class Fenced(MisuseError):
    template = (
        "{path}: another writer opened epoch {epoch} while this one holds {own_epoch}; this handle is dead"
    )
    path: str
    epoch: int
    own_epoch: int


class Forked(MisuseError):
    template = "{path}: the handle belongs to pid {pid}; open your own after fork"
    path: str
    pid: int


class AlreadyRunning(MisuseError):
    template = "{name} is already running as pid {pid} ({path}); stop it first"
    name: str
    pid: int
    path: str


class Closed(MisuseError):
    template = "{path}: the handle is closed"
    path: str


class QueueMisuse(MisuseError):
    template = "{path}: {reason}"
    path: str
    reason: str


class InvalidArgument(MisuseError):
    """A value that a call cannot take. Nothing was changed."""

    template = "{where}: {field} is {value!r}; allowed: {allowed}"
    where: str
    field: str
    value: object
    allowed: str


class InvalidName(MisuseError):
    template = "{name!r} is no valid {kind} name: {reason}"
    name: str
    kind: str
    reason: str


class EndpointActive(MisuseError):
    template = (
        "{path}: the endpoint is held by pid {pid}, which is alive; stop it first, or take another name"
    )
    path: str
    pid: int


class SecondProducer(MisuseError):
    template = "{channel}: commands come from thread {owner!r}, thread {caller!r} may not send; give it a channel of its own"
    channel: str
    owner: str
    caller: str


class ConfigError(MisuseError):
    template = "{file}: {key}: {reason}"
    file: str
    key: str
    reason: str


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


class StrategyHung(MisuseError):
    """A stop was asked for and the strategy's code did not return; it was interrupted."""

    template = "{strategy}: {reason} did not return when the host was stopped; its orders were cancelled"
    strategy: str
    reason: str


# ---------------------------------------------------------------- queue: data


class Corrupt(CorruptError):
    template = (
        "{path}: {reason} at offset {offset} of segment {segment} (seq {seq}); run `chronicle queue verify`"
    )
    path: str
    segment: int
    offset: int
    seq: int
    reason: str


class CorruptControl(CorruptError):
    template = "{path}: control page is not valid: {reason}; restore it, or start a new queue"
    path: str
    reason: str


class CorruptReader(CorruptError):
    template = "{path}: both slots of reader {name!r} are damaged; remove the page or open with start='earliest' or 'latest'"
    path: str
    name: str


class UnsupportedVersion(CorruptError):
    template = "{path}: written in version {version} of the format, this build reads up to {supported}; upgrade Chronicle"
    path: str
    version: int
    supported: int


class Rewound(CorruptError):
    template = "{path}: reader {name!r} stood at seq {from_seq}, the queue now has {to_seq}; seek explicitly to go on"
    path: str
    name: str
    from_seq: int
    to_seq: int


class Evicted(CorruptError):
    template = "{path}: records {from_seq} to {to_seq} were dropped before reader {name!r} read them"
    path: str
    name: str
    from_seq: int
    to_seq: int


class QueueReplaced(CorruptError):
    template = "{path}: the queue is now {queue_id:#018x} (0: there is none), the position or handle is of {expected:#018x}"
    path: str
    queue_id: int
    expected: int


class Broken(CorruptError):
    template = "{path}: the file was truncated or cannot be read ({reason}); run `chronicle queue verify`"
    path: str
    reason: str


class ReplayGap(CorruptError):
    template = "{source}: {reason} at seq {seq} (time {ts_ns}, instrument {instrument_id:#018x}); another gap policy goes on"
    source: str
    seq: int
    ts_ns: int
    instrument_id: int
    reason: str


class UnknownSession(MisuseError):
    template = "{name}: no such session was recorded; known: {known}"
    name: str
    known: str


class BadSnapshot(CorruptError):
    template = "{path}: no snapshot to start from: {reason}; take an older one, or replay from the start"
    path: str
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


# ---------------------------------------------------------------- archive


class ArchiveError(CorruptError):
    """Something in the archive is not what was stored."""

    template = "{path}: {reason}"
    path: str
    reason: str


class BadSegment(ArchiveError):
    """A segment's file, or a place in it, that does not hold. Reading goes on behind it."""

    template = "{path}: {reason} at offset {offset} (seq {seq}); run `chronicle archive verify`"
    offset: int
    seq: int


class ForeignFile(ArchiveError):
    """A file in the archive that is none of its own, or does not belong where it lies."""

    template = "{path}: {reason}; move it out of the archive"


class ArchiveBusy(MisuseError):
    template = (
        "{path}: another process moves segments here; stop archive-tier, or wait for the command that does"
    )
    path: str


class NotSealed(NotReadyError):
    """A segment that its queue is not done with."""

    template = "{path}: not sealed yet; its queue's writer does so once it has left the segment"
    path: str


class ObjectStoreError(NotReadyError):
    """An object store refuses, stalls or cuts off. What was to go there stays on this host."""

    template = "{url}: {reason}; nothing is lost on this host, it is tried again"
    url: str
    reason: str


class SegmentMoved(NotReadyError):
    """A segment left its place while it was looked for, again and again."""

    template = "{path}: the segment moved {attempts} times while it was being opened; try again"
    path: str
    attempts: int


# ---------------------------------------------------------------- venues


class UnknownSymbol(MisuseError):
    template = "{venue} lists no symbol {symbol!r}: {hint}"
    venue: str
    symbol: str
    hint: str


class VenueDataError(CorruptError):
    template = "{venue}: {what} cannot be read: {reason}"
    venue: str
    what: str
    reason: str


class ImportRejected(CorruptError):
    """A file of recorded data that cannot be taken; nothing of it is in the archive."""

    template = "{file}, {place}: {reason}"
    file: str
    place: str  # such as "line 12" or "byte 4711"
    reason: str


class DuplicateImport(MisuseError):
    """The archive holds this very content already. Nothing was changed."""

    template = (
        "{file}: the archive holds this content already, imported from {source}; there is nothing to do"
    )
    file: str
    source: str


class ConnectFailed(NotReadyError):
    template = "{url}: no connection: {reason}"
    url: str
    reason: str


class HttpFailed(NotReadyError):
    template = "{url}: {reason}"
    url: str
    reason: str


# ---------------------------------------------------------------- not yet


class NotReady(NotReadyError):
    template = "{path}: no queue yet; wait for its writer, or use try_open_subscriber"
    path: str


class ReaderForgotten(NotReadyError):
    template = "{path}: reader {name!r} was forgotten (heartbeat {age_s:.1f} s old, lag {lag_bytes} bytes); open it again"
    path: str
    name: str
    age_s: float
    lag_bytes: int


class ChannelFull(NotReadyError):
    template = "{channel}: {capacity} commands wait already; its consumer does not keep up or stands still"
    channel: str
    capacity: int


class Busy(NotReadyError):
    template = "{path}: another process (pid {pid}) was writing for all of {waited_s:.1f} s; try again"
    path: str
    pid: int
    waited_s: float


class InstrumentNotDefined(NotReadyError):
    """The instrument's tick, lot and exponents are not known yet."""

    template = "{instrument}: its feed has not defined it yet; wait for on_feed_state CONNECTED"
    instrument: str


# ---------------------------------------------------------------- the host


class QueueFull(EnvironmentFault):
    template = "{path}: the budget of {limit_bytes} bytes is used up, no segment may go; let readers catch up or raise it"
    path: str
    limit_bytes: int


class NoSpace(EnvironmentFault):
    template = "{path}: no space left to reserve {size} bytes; free disk space, writing goes on then"
    path: str
    size: int


class NoPermission(EnvironmentFault):
    template = "{path}: permission denied ({reason}); see docs/deployment.md for the permission matrix"
    path: str
    reason: str


class HostError(EnvironmentFault):
    template = "{path}: {reason}"
    path: str
    reason: str


class CoreUnavailable(EnvironmentFault):
    template = "core {core} is not available to this process (allowed: {allowed}); check its number, cpuset and CPUAffinity="
    core: int
    allowed: str


# ---------------------------------------------------------------- money and orders


class FixedPointOverflow(MisuseError):
    template = "{what} does not fit {bits} bits; the order or price is out of any sensible range"
    what: str
    bits: int


class InvalidTransition(InternalError):
    template = "{machine}: no transition from {state} on {event}"
    machine: str
    state: str
    event: str


class CorruptJournal(CorruptError):
    template = "the router's journal contradicts itself: {reason}; run `chronicle queue verify` on sessions/queue/router"
    reason: str
