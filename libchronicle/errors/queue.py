"""Queues, the bus, the daemons and the host they run on."""

from __future__ import annotations

from libchronicle.errors.tree import CorruptError, EnvironmentFault, MisuseError, NotReadyError

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
