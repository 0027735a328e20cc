"""Features of the archive's records, instrument by instrument, into a sink."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from libchronicle.errors import InvalidArgument
from libchronicle.etl.sinks import ROW_GROUP, RowSink
from libchronicle.protocol import Instrument, instrument_id
from libchronicle.replay import ReadingSource, Replay
from libchronicle.signals import Feature, FeatureEngine, Trigger, feature_named
from libchronicle.storage.archive import Archive, Time, to_ns
from libchronicle.storage.catalog import Stream
from libchronicle.storage.definitions import definition_of

__all__ = ["DEFAULT_FEATURES", "ExtractReport", "extract", "extract_raw", "features_named"]

DEFAULT_FEATURES = "time,touch,mid,spread,microprice,imbalance:1,imbalance:5,flow"
STREAMS = ("book", "trade", "quote")


class ExtractReport(msgspec.Struct, frozen=True, kw_only=True):
    """`invalid` rows are flagged: their book is not whole, or records were missing since the row before."""

    instrument: str
    records: int
    rows: int
    invalid: int
    gaps: int
    files: list[str]


def extract(
    archive: Archive,
    venue: str,
    symbol: str,
    features: Sequence[Feature],
    trigger: Trigger,
    sink: RowSink,
    *,
    start: Time | None = None,
    end: Time | None = None,
    streams: Sequence[str] = STREAMS,
) -> ExtractReport:
    """Rows with start <= ts < end, in order of ts, from clean queues and archive alike. The book is whole from the first row on
    where it was at `start`. On an error nothing appears. Raises what reading, features and the sink raise."""
    since = None if start is None else to_ns(start)
    warm = since
    if since is not None and "book" in streams:
        found = archive.find_book(f"{venue}:{symbol}", since)
        warm = found.from_ns if found.book is not None else since
    sources = [
        ReadingSource(
            archive.read(venue, symbol, stream, warm if stream == "book" else since, end, damage="skip")
        )
        for stream in streams
    ]
    name = f"{venue}:{symbol}"
    definition = next(
        filter(None, (definition_of(archive, Stream(venue, symbol, one)) for one in streams)), None
    )
    return _run(
        sources, name, definition, features, trigger, sink, since, None if end is None else to_ns(end)
    )


def extract_raw(
    archive: Archive,
    feed: str,
    instrument: str,
    features: Sequence[Feature],
    trigger: Trigger,
    sink: RowSink,
    *,
    start: Time | None = None,
    end: Time | None = None,
) -> ExtractReport:
    """As `extract`, from the raw records of a feed. The book is read from the feed's first record on."""
    since = None if start is None else to_ns(start)
    until = None if end is None else to_ns(end)
    source = ReadingSource(archive.read("_raw", feed, "raw", None, end, damage="skip"))
    definition = definition_of(archive, Stream("_raw", feed, "raw"), instrument)
    return _run([source], instrument, definition, features, trigger, sink, since, until)


def _run(
    sources: list[ReadingSource],
    instrument: str,
    definition: Instrument | None,
    features: Sequence[Feature],
    trigger: Trigger,
    sink: RowSink,
    since: int | None,
    until: int | None,
) -> ExtractReport:
    engine = FeatureEngine(
        features,
        trigger,
        sink.write,
        instrument_id=instrument_id(instrument),
        definition=definition,
        batch_rows=ROW_GROUP,
    )
    replay = Replay(sources, gaps="resync", symbols=[instrument], start_ns=since, end_ns=until)
    try:
        sink.begin(engine.columns)
        report = replay.run(engine)
        engine.finish()
        sink.close()
    except BaseException:
        sink.abandon()
        raise
    return ExtractReport(
        instrument=instrument,
        records=report.given,
        rows=engine.rows,
        invalid=engine.invalid,
        gaps=report.gaps,
        files=[str(path) for path in sink.files],
    )


def features_named(text: str) -> list[Feature]:
    """`mid,imbalance:5,my_features.py:Momentum`: built-in ones by name, your own by file and class. Raises InvalidArgument."""
    return [_feature(part.strip()) for part in text.split(",") if part.strip()]


def _feature(text: str) -> Feature:
    file, colon, name = text.rpartition(":")
    if not colon or not file.endswith(".py"):
        return feature_named(text)
    found: Any = getattr(_module(Path(file)), name, None)
    if not (isinstance(found, type) and issubclass(found, Feature)):
        raise InvalidArgument(
            where="features", field=file, value=name, allowed="a class of that file derived from Feature"
        )
    made: Feature = found()
    return made


def _module(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"chronicle_features_{file.stem}", file)
    if spec is None or spec.loader is None or not file.is_file():
        raise InvalidArgument(
            where="features", field="file", value=str(file), allowed="a Python file that is there"
        )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
