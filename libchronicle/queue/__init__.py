"""Queues: one writer, any number of readers, every record kept.

writer = Queue.open_publisher(path, config)
seq = writer.append(type_id, payload)
reader = Queue.open_subscriber(path, "alpha")
msg = reader.next()
"""

from libchronicle.native.binding import (
    LOST_TYPE,
    Columns,
    DisconnectReason,
    Message,
    Publisher,
    Reservation,
    Subscriber,
    WriterStatus,
    wait_any,
)
from libchronicle.queue.config import QueueConfig
from libchronicle.queue.face import Queue
from libchronicle.queue.inspect import QueueInfo, ReaderInfo, SegmentInfo, inspect
from libchronicle.queue.repair import Repair, Step, repair
from libchronicle.queue.report import Finding, Report, SegmentCheck, Severity, Verdict
from libchronicle.queue.verify import check, verify

__all__ = [
    "LOST_TYPE",
    "Columns",
    "DisconnectReason",
    "Finding",
    "Message",
    "Publisher",
    "Queue",
    "QueueConfig",
    "QueueInfo",
    "ReaderInfo",
    "Repair",
    "Report",
    "Reservation",
    "SegmentCheck",
    "SegmentInfo",
    "Severity",
    "Step",
    "Subscriber",
    "Verdict",
    "WriterStatus",
    "check",
    "inspect",
    "repair",
    "verify",
    "wait_any",
]
