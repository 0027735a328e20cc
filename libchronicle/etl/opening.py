"""Going on with a raw queue where an earlier life stopped.

    reader's page                        begins at                    what it means
    none                                 the oldest record            a new group, or the first start
    sound                                its position                 all before it is in
    sound, of another boot of the host   the lowest seq not in        tails of clean queues may have been lost with the power
    sound, and another refinery's of     that one's position          its instruments may be ours by now ([etl.groups])
    this raw queue stands further back
    its place was evicted                the oldest record            a Gap
    of a queue that is gone, damaged,    the oldest record            what is in already is told by the clean queues
    or beyond the queue's end

Wherever it begins, what the clean queues hold already is not written again (stream.pyx), so beginning too early costs time
only. Definitions stand at the head of each raw segment; one that does not is looked for further back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec

from libchronicle.bus.names import decode_name
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import Corrupt, CorruptControl, CorruptReader, Evicted, QueueReplaced, Rewound
from libchronicle.etl.groups import Group
from libchronicle.etl.refinery import Refinery
from libchronicle.etl.shelf import Shelf, clean_config, first_seq_of, read_origin
from libchronicle.etl.symbols import SymbolTable
from libchronicle.native.binding import boot_id, parse_control, parse_reader
from libchronicle.protocol import Instrument
from libchronicle.queue import Queue, QueueConfig, Subscriber
from libchronicle.queue.names import decode_name as decode_reader
from libchronicle.queue.names import encode_name
from libchronicle.queue.reader_pages import read_reader_page
from libchronicle.runtime.config import EtlConfig

__all__ = ["Policy", "open_refinery"]

_END = (1 << 63) - 1

DEPTH = 16
"""Raw segments looked through at a start for an instrument's definition; its next record looks through all."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What a refinery goes by. Segments and snapshots follow from these and the raw records alone."""

    snapshot_interval_s: float = 60.0
    snapshot_levels: int = 20_000
    segment_size: int = 1 << 20
    segment_age_s: float = 3600.0
    late_limit_s: float = 1800.0
    sync: bool = True  # put sealed segments on the medium

    @classmethod
    def of(cls, config: EtlConfig) -> Policy:
        return cls(**{field: getattr(config, field) for field in cls.__struct_fields__})


def open_refinery(
    paths: BusPaths,
    raw: Path,
    reader: str,
    *,
    policy: Policy | None = None,
    symbols: SymbolTable | None = None,
    group: Group | None = None,
) -> Refinery:
    """Refine the raw queue at `raw` into the clean queues of `paths`, reading it as `reader`.

    The Refinery's `raw` is the caller's to close, after the Refinery. Raises NotReady while there is no raw queue,
    ReaderAlreadyActive, WriterAlreadyActive, and what opening queues raises.
    """
    policy = policy or Policy()
    safe = _page_is_of_this_boot(raw, reader)
    source, lost, sound = _open(raw, reader)
    config = clean_config(policy.segment_size, policy.sync)
    refinery = None
    try:
        refinery = Refinery(
            source,
            partial(_shelf, paths, config),
            symbols or SymbolTable(),
            group or Group(),
            snapshot_interval_ns=int(policy.snapshot_interval_s * 1e9),
            snapshot_levels=policy.snapshot_levels,
            segment_age_ns=int(policy.segment_age_s * 1e9),
            late_limit_ns=int(policy.late_limit_s * 1e9),
        )
        refinery.finder = partial(_find, raw)
        _learn(refinery, paths, raw, source.next_seq)
        _adopt(refinery, paths, raw, source.next_seq)
        if not (safe and sound) or refinery.damaged:
            _step_back(refinery, paths, raw, refinery.behind(source.next_seq), told=True)
        _step_back(refinery, paths, raw, _least_of_others(raw, reader, source), told=False)
        if lost is not None:
            refinery.missing(lost.from_seq, lost.to_seq, True)
    except BaseException:
        if refinery is not None:
            refinery.close()
        source.close()
        raise
    return refinery


def _shelf(paths: BusPaths, config: QueueConfig, venue: str, symbol: str) -> Shelf:
    return Shelf(paths, venue, symbol, config)


def _page_is_of_this_boot(raw: Path, reader: str) -> bool:
    page, _ = read_reader_page(raw / "readers" / f"{encode_name(reader)}.meta")
    facts = parse_reader(page)
    return facts is not None and facts["slot"] >= 0 and facts["boot_id"] == boot_id()


def _open(raw: Path, reader: str) -> tuple[Subscriber, Evicted | None, bool]:
    """The reader, what was evicted before it came, and whether its page told it where to begin."""
    try:
        return Queue.open_subscriber(raw, reader), None, True
    except Evicted as error:
        return Queue.open_subscriber(raw, reader, start="resume_or_oldest"), error, True
    except (QueueReplaced, Rewound, CorruptReader):
        return Queue.open_subscriber(raw, reader, start="earliest"), None, False


def _learn(refinery: Refinery, paths: BusPaths, raw: Path, seq: int) -> None:
    """Definitions as they are before record `seq`. They stand at the head of its segment; what is missing, further back."""
    for depth, (first, until) in enumerate(_segments_back(raw, seq)):
        with Queue.open_subscriber(raw, None, seq=first) as walk:
            alone = refinery.learn(walk, until)
        if not alone and (depth >= DEPTH or not _undefined(refinery, paths)):
            return


def _find(raw: Path, refinery: Refinery, number: int, seq: int) -> None:
    """Look for the definition of an instrument through all that is left of the raw queue."""
    for first, until in _segments_back(raw, seq):
        with Queue.open_subscriber(raw, None, seq=first) as walk:
            refinery.learn(walk, until)
        if refinery.knows(number):
            return


def _segments_back(raw: Path, seq: int) -> Iterator[tuple[int, int]]:
    """(first seq, the one behind the last) of the segment in which `seq` lies, up to it, and of those before."""
    with Queue.open_subscriber(raw, None, seq=seq) as probe:
        number = probe.position // _segment_size(raw)
    until = seq
    for back in range(number, -1, -1):
        first = first_seq_of(str(raw), back)
        if first is None:
            return
        yield first, until
        until = first


def _undefined(refinery: Refinery, paths: BusPaths) -> list[Path]:
    """Clean queues of this raw queue whose instrument has not been met, one for each instrument."""
    found: dict[Path, Path] = {}
    for file in sorted(paths.clean_dir.glob("*/*/*.origin.json")):
        if file.name.startswith("."):
            continue  # being written when its writer died
        market = file.parent
        name = f"{decode_name(market.parent.name, 'venue')}:{decode_name(market.name, 'symbol')}"
        if name in refinery.targets or not refinery.takes(name):
            continue
        origin = read_origin(file)
        if origin is not None and origin.raw_queue_id == refinery.raw.queue_id:
            found.setdefault(market, market / file.name.removesuffix(".origin.json"))
    return list(found.values())


def _adopt(refinery: Refinery, paths: BusPaths, raw: Path, seq: int) -> None:
    """What the raw queue defines no more before `seq`, since its head was evicted: by the clean queue's own word.

    What the clean queue has of raw records from `seq` on is not known yet: they define it again when they come.
    """
    undefined = _undefined(refinery, paths)
    if not undefined:
        return
    until_ns = _time_of(raw, seq)
    for queue in undefined:
        opened = Queue.try_open_subscriber(queue, None, start="earliest")
        if opened is None:
            continue
        with opened as reader:
            definitions = [(bytes(m), m.ts_ns) for m in reader if m.type_id == Instrument.TEMPLATE_ID]
        known = [definition for definition in definitions if definition[1] <= until_ns]
        if known:
            refinery.define(*known[-1])
        elif definitions:
            refinery.expect(definitions[-1][0])


def _time_of(raw: Path, seq: int) -> int:
    """Of the first record from `seq` on that can be read; without any, later than every record."""
    with Queue.open_subscriber(raw, None, seq=seq) as probe, contextlib.suppress(Corrupt, Evicted):
        first = probe.next()
        if first is not None:
            return first.ts_ns
    return _END


def _segment_size(raw: Path) -> int:
    control = parse_control((raw / "control.meta").read_bytes())
    if control is None:
        raise CorruptControl(path=str(raw), reason="magic number")
    return int(control["segment_size"])


def _least_of_others(raw: Path, reader: str, source: Subscriber) -> int:
    """The lowest raw seq at which another refinery's reader of this raw queue stands; that of `source` if none is behind it.

    Refineries are readers of one name, with their group behind a dash.
    """
    family, least = reader.partition("-")[0], source.next_seq
    for file in (raw / "readers").glob("*.meta"):
        name = decode_reader(file.stem)
        facts = parse_reader(read_reader_page(file)[0])
        if (
            name.partition("-")[0] == family
            and facts is not None
            and facts["slot"] >= 0
            and facts["queue_id"] == source.queue_id
        ):
            least = min(least, facts["seq"])
    return least


def _step_back(refinery: Refinery, paths: BusPaths, raw: Path, seq: int, *, told: bool) -> None:
    """To record `seq`, from which on some may be missing in a clean queue. `told`: those that are gone are a Gap."""
    source = refinery.raw
    if seq >= source.next_seq:
        return
    if seq < source.oldest_seq:
        if told:
            refinery.missing(seq, source.oldest_seq - 1, True)
        seq = source.oldest_seq
    if seq < source.next_seq:
        source.seek_seq(seq)
        refinery.forget()
        _learn(refinery, paths, raw, seq)
        _adopt(refinery, paths, raw, seq)
