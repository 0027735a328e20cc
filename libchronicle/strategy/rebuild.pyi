from collections.abc import Iterable

from libchronicle.queue import Subscriber
from libchronicle.strategy.dispatch import Dispatcher
from libchronicle.strategy.instrument import Instrument
from libchronicle.strategy.recorder import Recorder
from libchronicle.strategy.source import Source

def rebuild_books(
    dispatcher: Dispatcher, recorder: Recorder, source: Source, instruments: Iterable[Instrument]
) -> int: ...
def rebuild_orders(
    dispatcher: Dispatcher, sent: Subscriber | None, reports: Subscriber | None, recorder: Recorder, rank: int
) -> tuple[int, int]: ...
