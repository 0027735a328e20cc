"""What an importer hands over: which import it is, and how to fill the staging directory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from libchronicle.protocol import Instrument
from libchronicle.storage.importers.record import ImportReport, Staged
from libchronicle.storage.importers.staging import StagedQueues
from libchronicle.venues.batch import RecordBatch

__all__ = ["Plan", "Written", "stage_batches"]


class Plan(NamedTuple):
    key: str
    stage: Callable[[Path], Staged]


Written = tuple[RecordBatch, Mapping[int, Instrument]]
FLUSH_BYTES = 4 << 20


def stage_batches(
    work: Path, batches: Iterable[Written], report: Callable[[dict[str, int]], ImportReport]
) -> Staged:
    """Writes every batch as it comes; it may be cleared and used again after. `report` is asked when all are written, with the
    number of records by stream."""
    queues = StagedQueues(work)
    try:
        for batch, instruments in batches:
            queues.write(batch, instruments)
        made = queues.finish()
        told = msgspec.structs.replace(report(queues.records), injected=queues.injected)
        return Staged(queues=made, report=told)
    finally:
        queues.close()
