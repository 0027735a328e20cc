"""Features of one instrument while its records come, see vector.pyi.

    record -> book (whose it is) -> market -> each feature's see         per record, native
    a value is asked for -> each feature's compute -> the array          once per record and time, however many are asked for
"""

from cpython cimport array
from libc.math cimport NAN, isnan
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from libchronicle.book.l2 cimport L2Book, chr_l2_apply
from libchronicle.native.hot cimport chr_frame
from libchronicle.protocol.layout cimport CHR_BOOK_RESET, CHR_GAP, CHR_INSTRUMENT
from libchronicle.protocol.sbe cimport chr_instrument_of
from libchronicle.signals.core cimport Feature, Market, NumericFeature

import array
import hashlib

from libchronicle.errors import InvalidArgument
from libchronicle.signals.registry import vector_features

__all__ = ["FeatureSet", "fingerprint_of"]

cdef enum:
    LOST = 0xFFFE


def spec_of(feature):
    """What a feature computes, in words that are equal for equal features."""
    if isinstance(feature, NumericFeature):
        return (<NumericFeature>feature).spec
    kind = type(feature)
    return f"{kind.__qualname__} {','.join([column[0] for column in feature.columns])}"


def fingerprint_of(specs):
    """Of features in their order."""
    return hashlib.sha256("\n".join(specs).encode()).hexdigest()


cdef class FeatureSet:
    """Values of features, by order or by name."""

    def __init__(self, features=None):
        cdef NumericFeature numeric
        self.features = tuple(vector_features() if features is None else features)
        self.market = Market()
        self.listeners, self.starts, names = [], [], []
        for feature in self.features:
            self.starts.append(len(names))
            if isinstance(feature, NumericFeature):
                numeric = feature
                self.market.deepen(numeric.depth)
            elif not isinstance(feature, Feature) or type(feature).values is Feature.values:
                raise InvalidArgument(
                    where="FeatureSet", field="feature", value=feature, allowed="features of a moment, not of a row"
                )
            elif type(feature).on_event is not Feature.on_event:
                self.listeners.append(feature)
            names.extend([column[0] for column in feature.columns])
        doubled = next((name for name in names if names.count(name) > 1), None)
        if doubled is not None or not names:
            raise InvalidArgument(
                where="FeatureSet", field="column", value=doubled, allowed="at least one, of names that are not taken yet"
            )
        self.names = tuple(names)
        self.places = {name: place for place, name in enumerate(names)}
        self.fingerprint = fingerprint_of([spec_of(feature) for feature in self.features])
        self.out = array.array("d", [NAN] * len(names))
        self.values = (<array.array>self.out).data.as_doubles
        self.blank = True
        self.own = None

    # ------------------------------------------------------------ records come

    def scale(self, int price_exponent, int qty_exponent):
        self.market.price_scale = 10.0 ** -price_exponent
        self.market.qty_scale = 10.0 ** -qty_exponent

    cdef int take(self, const chr_frame *frame, L2Book book) except -1:
        """After `book` took the frame."""
        cdef Market market = self.market
        market.book = book
        market.row_done()
        market.take(frame)
        if frame.type_id == CHR_INSTRUMENT:
            return 0
        self.records += 1
        if frame.type_id == CHR_GAP or frame.type_id == CHR_BOOK_RESET or frame.type_id == LOST or not market.whole:
            self.lose()
        else:
            self.blank = False
            for feature in self.features:
                (<Feature>feature).see(market)
        for feature in self.listeners:
            feature.on_event(market)
        return 0

    cdef int lose(self) except -1:
        if not self.blank:
            for feature in self.features:
                feature.forget()
            self.blank = True
        return 0

    def forget(self):
        self.market.whole = False
        self.records += 1
        self.lose()

    def feed(self, int type_id, payload, int64_t ts_ns):
        cdef const unsigned char[::1] view = payload
        self.feed_bytes(type_id, &view[0], view.shape[0], ts_ns)

    def feed_all(self, records, *, bint each=False):
        cdef bytes payload
        cdef uint64_t before = self.records
        for type_id, given, ts_ns in records:
            payload = given
            self.feed_bytes(type_id, <const unsigned char *><char *>payload, len(payload), ts_ns)
            if each:
                self.refresh(0)
        return self.records - before

    cdef int feed_bytes(self, int type_id, const unsigned char *payload, Py_ssize_t size, int64_t ts_ns) except -1:
        cdef chr_frame frame
        cdef uint64_t id = chr_instrument_of(<uint16_t>type_id, payload, <uint32_t>size)
        if self.own is None:
            self.own = L2Book()
        if id and self.own.b.instrument_id and id != self.own.b.instrument_id:
            return 0
        memset(&frame, 0, sizeof(frame))
        frame.payload = payload
        frame.size = <uint32_t>size
        frame.type_id = <uint16_t>type_id
        frame.ts_ns = ts_ns
        chr_l2_apply(self.own.b, frame.type_id, frame.payload, frame.size)
        self.take(&frame, self.own)
        self.market.frame = NULL
        return 0

    # ------------------------------------------------------------ values are asked for

    cdef int refresh(self, int64_t ts_ns) except -1:
        cdef Market market = self.market
        cdef int64_t seen = market.ts_ns
        cdef Py_ssize_t i, at
        ts_ns = max(ts_ns, seen, self.computed_ns)  # windows never go back
        if self.computed == self.records and self.computed_ns == ts_ns:
            return 0
        market.ts_ns = ts_ns
        for i in range(len(self.features)):
            at = self.starts[i]
            feature = self.features[i]
            if isinstance(feature, NumericFeature):
                (<NumericFeature>feature).compute(market, self.values + at)
            else:
                self.ask(feature, at)
        market.ts_ns = seen
        self.computed, self.computed_ns = self.records, ts_ns
        return 0

    cdef int ask(self, Feature feature, Py_ssize_t at) except -1:
        """A feature written in Python. Raises BadFeature."""
        for column, value in zip(feature.columns, feature.row(self.market)):
            try:
                self.values[at] = NAN if value is None else value
            except TypeError:
                raise feature.bad(f"{value!r} is no number for column {column[0]}") from None
            at += 1
        return 0

    def vector(self, int64_t now_ns=0):
        self.refresh(now_ns)
        return self.out

    def __getitem__(self, name):
        cdef double value
        place = self.places.get(name)
        if place is None:
            raise InvalidArgument(where="FeatureSet", field="name", value=name, allowed=", ".join(self.names))
        self.refresh(0)
        value = self.values[<Py_ssize_t>place]
        return None if isnan(value) else value

    def get(self, name):
        return self[name]

    def __len__(self):
        return len(self.names)

    def __contains__(self, name):
        return name in self.places

    def __iter__(self):
        return iter(self.names)

    def ready(self, int64_t now_ns=0):
        cdef Py_ssize_t i
        self.refresh(now_ns)
        for i in range(len(self.names)):
            if isnan(self.values[i]):
                return False
        return True

    def to_dict(self, int64_t now_ns=0):
        self.refresh(now_ns)
        return {name: None if isnan(value) else value for name, value in zip(self.names, self.out)}
