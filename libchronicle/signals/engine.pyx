"""From a replay's events to rows of features. See engine.pyi.

For each record:  bars that ended before it -> rows      (the state as it was then)
                  record -> market -> features' see and on_event
                  trigger -> row                         (the state with the record)

Bars go on while nothing comes, but not over UTC dates of which there is no record at all: those were not recorded.
"""

from libc.stdint cimport INT64_MAX, int64_t, uint16_t, uint64_t

from libchronicle.book.l2 cimport L2Book
from libchronicle.native.hot cimport chr_frame
from libchronicle.protocol.layout cimport (
    CHR_BEST_BID_ASK,
    CHR_BOOK_RESET,
    CHR_BOOK_SNAPSHOT,
    CHR_GAP,
    CHR_INSTRUMENT,
    CHR_ORDER_ADD,
    CHR_ORDER_EXECUTE,
    chr_level_t,
)
from libchronicle.protocol.event_time cimport chr_is_injected
from libchronicle.replay.event cimport ReplayEvent
from libchronicle.signals.core cimport ColumnBuffer, Feature, FeatureBatch, Market, NumericFeature

from libchronicle.errors import InvalidArgument
from libchronicle.signals.core import Column
from libchronicle.signals.triggers import flatten

__all__ = ["FeatureEngine"]

BATCH_ROWS = 65_536

cdef enum:
    LOST = 0xFFFE

cdef int64_t DAY = 86_400_000_000_000


cdef class FeatureEngine:
    """Rows of one instrument: the callback of a replay."""

    cdef readonly Market market
    cdef readonly tuple columns
    cdef readonly uint64_t rows, invalid
    cdef list features, listeners, resets, buffers
    cdef list places
    cdef FeatureBatch batch
    cdef object on_batch
    cdef uint64_t instrument_id
    cdef Py_ssize_t batch_rows
    cdef list bars
    cdef int64_t next_bar, midnight  # the latter: of the end of the last record's UTC date
    cdef uint64_t types[64]
    cdef bint every, begun, blank

    def __init__(
        self,
        features,
        trigger,
        on_batch,
        *,
        uint64_t instrument_id=0,
        definition=None,
        Py_ssize_t batch_rows=BATCH_ROWS,
    ):
        self.features = list(features)
        self.listeners = [f for f in self.features if type(f).on_event is not Feature.on_event]
        self.resets = [f for f in self.features if type(f).reset is not Feature.reset]
        self.on_batch = on_batch
        self.instrument_id = instrument_id
        self.batch_rows = batch_rows
        self.market = Market()
        if definition is not None:
            self.market.define(definition.encode())
        types, self.bars, self.every = flatten(trigger)
        for number in types:
            if number < 4096:
                self.types[<uint16_t>number >> 6] |= <uint64_t>1 << (<uint16_t>number & 63)
        self.next_bar = INT64_MAX
        self.blank = True
        self.lay_out()

    cdef int lay_out(self) except -1:
        columns = [Column("ts", "time")]
        self.places = []
        for feature in self.features:
            if not isinstance(feature, Feature):
                raise TypeError(f"{feature!r} is no Feature")
            if isinstance(feature, NumericFeature):
                self.market.deepen((<NumericFeature>feature).depth)
            self.places.append(len(columns))
            columns.extend(Column(*column) for column in feature.columns)
        columns.append(Column("valid", "bool"))
        names = [column.name for column in columns]
        doubled = next((name for name in names if names.count(name) > 1), None)
        if doubled is not None:
            raise InvalidArgument(where="features", field="column", value=doubled, allowed="names that are not taken yet")
        self.columns = tuple(columns)
        self.batch = FeatureBatch(columns)
        self.buffers = self.batch.columns
        return 0

    def __call__(self, ReplayEvent event not None):
        cdef const chr_frame *frame = event.frame
        cdef Market market = self.market
        if frame == NULL:
            return
        if event.instrument_id:
            if self.instrument_id and event.instrument_id != self.instrument_id:
                return
            market.book = event.book
            if frame.type_id == CHR_ORDER_ADD and chr_is_injected(frame.type_id, frame.payload, frame.size) and (
                market.whole or market.book is None or not market.book.b.valid
            ):
                return  # one of many records of a snapshot: nothing has happened, unless it makes a wrong book right
        if frame.ts_ns >= self.midnight:
            self.new_date(frame.ts_ns)
        while frame.ts_ns >= self.next_bar:
            self.bar()
        market.take(frame)
        if frame.type_id == CHR_INSTRUMENT:
            return
        if not self.begun and self.bars:
            self.begin_bars(frame.ts_ns)
        self.show(frame)
        if self.fires(frame.type_id):
            self.row(frame.ts_ns)

    cdef int show(self, const chr_frame *frame) except -1:
        """The record to the features. What windows span must not have a hole."""
        cdef const chr_level_t *levels
        cdef Market market = self.market
        if frame.type_id == CHR_GAP or frame.type_id == CHR_BOOK_RESET or frame.type_id == LOST or not market.whole:
            if not self.blank:
                for feature in self.features:
                    feature.forget()
                self.blank = True
        else:
            self.blank = False
            for feature in self.features:
                (<Feature>feature).see(market)
        if self.bars:
            market.top(0, &levels)  # a bar may end before the book's next record, which the book will have taken by then
        for feature in self.listeners:
            feature.on_event(market)
        return 0

    cdef bint fires(self, uint16_t type_id) noexcept:
        if self.every and CHR_BOOK_SNAPSHOT <= type_id <= CHR_GAP:
            return True
        return type_id < 4096 and self.types[type_id >> 6] >> (type_id & 63) & 1

    cdef void new_date(self, int64_t ts_ns) noexcept:
        """The first record of a UTC date. After dates without one, bars begin anew; before them, they ended with the last record."""
        if self.begun and ts_ns - self.midnight >= DAY:
            self.begun = False
            self.next_bar = INT64_MAX
        self.midnight = ts_ns - ts_ns % DAY + DAY

    cdef int begin_bars(self, int64_t ts_ns) except -1:
        self.begun = True
        self.next_bar = min([ts_ns - ts_ns % interval + interval for interval in self.bars])
        return 0

    cdef int bar(self) except -1:
        """The bars that end at `next_bar`: one row, however many of them."""
        cdef int64_t at = self.next_bar
        self.row(at)
        self.next_bar = min([at - at % interval + interval for interval in self.bars])
        return 0

    cdef int row(self, int64_t ts_ns) except -1:
        cdef Py_ssize_t i
        cdef Market market = self.market
        cdef bint valid = not market.broken and market.whole
        cdef int64_t seen = market.ts_ns
        market.ts_ns = ts_ns
        (<ColumnBuffer>self.buffers[0]).put_int(ts_ns)
        for i in range(len(self.features)):
            (<Feature>self.features[i]).emit(market, self.buffers, self.places[i])
        (<ColumnBuffer>self.buffers[len(self.buffers) - 1]).put_int(valid)
        market.ts_ns = seen
        market.row_done()
        for feature in self.resets:
            feature.reset()
        self.rows += 1
        self.invalid += not valid
        if (<ColumnBuffer>self.buffers[0]).count >= self.batch_rows:
            self.flush()
        return 0

    cdef int flush(self) except -1:
        if (<ColumnBuffer>self.buffers[0]).count:
            self.on_batch(self.batch)
            self.batch.clear()
        return 0

    def finish(self):
        self.flush()
