from collections.abc import Callable, Sequence

from libchronicle.protocol import Instrument
from libchronicle.replay import ReplayEvent
from libchronicle.signals.core import Column, Feature, FeatureBatch, Market
from libchronicle.signals.triggers import Trigger

class FeatureEngine:
    """Rows of one instrument. Give it to a replay as its callback.

    Columns: `ts` (the row's time), those of the features in order, `valid`. A row is not valid when its book is not whole,
    or when records were missing since the row before it. `on_batch(batch)` gets full batches, and what is left at
    `finish`; it must be done with a batch when it returns. `definition`: of the instrument, where its record may come
    too late or not at all; prices are mantissas until one is known.
    """

    market: Market
    columns: tuple[Column, ...]
    rows: int
    invalid: int
    def __init__(
        self,
        features: Sequence[Feature],
        trigger: Trigger,
        on_batch: Callable[[FeatureBatch], object],
        *,
        instrument_id: int = 0,
        definition: Instrument | None = None,
        batch_rows: int = ...,
    ) -> None: ...
    def __call__(self, event: ReplayEvent) -> None: ...
    def finish(self) -> None: ...
