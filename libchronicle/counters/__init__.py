"""Memory-mapped counters, histograms and the deduplicated error log.

counters = CounterFile.create("run/services/feed.counters", "feed")
frames = counters.counter("feed_frames_total", "frames received", {"kind": "depth"})
frames.add(1)            # one store
counters.heartbeat()     # by the loop that does the work
"""

from libchronicle.counters._counters import Counter, CounterFile, Histogram
from libchronicle.counters.errorlog import ErrorLog, LoggedError, read_errors
from libchronicle.counters.reader import Sample, Snapshot, read_counters

__all__ = [
    "Counter",
    "CounterFile",
    "ErrorLog",
    "Histogram",
    "LoggedError",
    "Sample",
    "Snapshot",
    "read_counters",
    "read_errors",
]
