"""The archive: partitions, tiers, manifest, and one reader over all of them.

with Archive("run") as archive:
    for message in archive.read("binance-spot", "BTCUSDT", "trade", "2024-08-08", "2024-08-09"): ...
"""

from libchronicle.storage.archive import Archive
from libchronicle.storage.catalog import Catalog, SegmentRef, Stream
from libchronicle.storage.chain import Chain, Merge
from libchronicle.storage.facts import SegmentFacts
from libchronicle.storage.layout import ArchiveLayout, Partition, SegmentId, StoredFile
from libchronicle.storage.manifest import Manifest, SegmentRecord
from libchronicle.storage.objects import ObjectStore
from libchronicle.storage.reading import Reading
from libchronicle.storage.seekable import SeekableZstd, open_seekable, write_seekable
from libchronicle.storage.walk import SegmentSpan, SpanWalk

__all__ = [
    "Archive",
    "ArchiveLayout",
    "Catalog",
    "Chain",
    "Manifest",
    "Merge",
    "ObjectStore",
    "Partition",
    "Reading",
    "SeekableZstd",
    "SegmentFacts",
    "SegmentId",
    "SegmentRecord",
    "SegmentRef",
    "SegmentSpan",
    "SpanWalk",
    "StoredFile",
    "Stream",
    "open_seekable",
    "write_seekable",
]
