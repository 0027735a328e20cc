"""Recorded messages again: in their order, with every book as it was, at any pace.

from libchronicle.replay import Replay, SpanSource

replay = Replay([SpanSource(spans)], gaps="resync")
report = replay.run()
"""

from __future__ import annotations

from libchronicle.replay.archived import archive_replay, follow, replay_parallel
from libchronicle.replay.event import ReplayEvent
from libchronicle.replay.pace import RealTime
from libchronicle.replay.replayer import GapPolicy, Replay
from libchronicle.replay.report import InstrumentReport, ReplayReport
from libchronicle.replay.session import session_source, sessions
from libchronicle.replay.sinks import CsvSink, NullSink, ParquetSink, QueueSink
from libchronicle.replay.snapshots import Snapshot, SnapshotStore, Snapshotter, load_snapshot
from libchronicle.replay.source import FrameSource, ReadingSource, RecordSource, SpanSource

__all__ = [
    "CsvSink",
    "FrameSource",
    "GapPolicy",
    "InstrumentReport",
    "NullSink",
    "ParquetSink",
    "QueueSink",
    "ReadingSource",
    "RealTime",
    "RecordSource",
    "Replay",
    "ReplayEvent",
    "ReplayReport",
    "Snapshot",
    "SnapshotStore",
    "Snapshotter",
    "SpanSource",
    "archive_replay",
    "follow",
    "load_snapshot",
    "replay_parallel",
    "session_source",
    "sessions",
]
