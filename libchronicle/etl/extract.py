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
from libchronicle.replay import ReadingSource, Replay, archive_replay
from libchronicle.signals import Feature, FeatureEngine, Trigger, feature_named
from libchronicle.signals import features_named as named
from libchronicle.storage.archive import Archive, Time, to_ns
from libchronicle.storage.catalog import Stream
from libchronicle.storage.definitions import definition_of
from libchronicle.storage.layout import RAW_VENUE

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
    name = f"{venue}:{symbol}"
    definitions = (definition_of(archive, Stream(venue, symbol, stream)) for stream in streams)
    replay = archive_replay(archive, [name], streams, start, end, symbols=[name])
    return _run(replay, name, next(filter(None, definitions), None), features, trigger, sink)


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
    source = ReadingSource(archive.read(RAW_VENUE, feed, "raw", None, end))
    definition = definition_of(archive, Stream(RAW_VENUE, feed, "raw"), instrument)
    replay = Replay([source], symbols=[instrument], start_ns=since, end_ns=until)
    return _run(replay, instrument, definition, features, trigger, sink)


def _run(
    replay: Replay,
    instrument: str,
    definition: Instrument | None,
    features: Sequence[Feature],
    trigger: Trigger,
    sink: RowSink,
) -> ExtractReport:
    engine = FeatureEngine(
        features,
        trigger,
        sink.write,
        instrument_id=instrument_id(instrument),
        definition=definition,
        batch_rows=ROW_GROUP,
    )
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
    """`mid,imbalance:5,vector,mine.py:Momentum`: built-in ones by name, your own by file and class. Raises InvalidArgument."""
    return named(text, _feature)


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
