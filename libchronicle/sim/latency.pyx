"""How long requests, replies and market data travel.

    ConstantLatency(entry_us, response_us, feed_us=0)
    JitterLatency(entry_us, response_us, jitter="lognormal" | "uniform", ...)
    SpikeLatency(base, ...)                  another model, with spells in which everything takes longer
    InterpolatedLatency(rows)                between measured (time, entry, response); `latency_fit` makes them from a recorded session
    PythonLatency(model)                     any object with entry(now_ns) and response(now_ns)

A draw is a function of the run's seed and of the time it is asked for, never of how often it was asked before: the same run gives the
same delays, and two requests of one callback travel together. Order is the caller's: what was sent later never arrives earlier.
"""

from libc.math cimport M_PI, cos, exp, llrint, log, sqrt
from libc.stdint cimport INT64_MAX, int64_t, uint64_t
from libc.stdlib cimport free, malloc

from libchronicle.errors import InvalidArgument

__all__ = [
    "ConstantLatency",
    "InterpolatedLatency",
    "JitterLatency",
    "LatencyModel",
    "PythonLatency",
    "SpikeLatency",
]

cdef extern from "l2.h" nogil:
    uint64_t chr_mix64(uint64_t x)

cdef enum:
    ENTRY = 1
    RESPONSE = 2
    FEED = 3
    SPELL = 4

cdef double LONGEST_NS = 86400e9  # a day


cdef double _number(str where, str field, object value, double least, double most) except? -1:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not least <= number <= most:
        raise InvalidArgument(where=where, field=field, value=value, allowed=f"{least:g} to {most:g}")
    return number


cdef int64_t _ns(str where, str field, object value) except -1:
    """Of microseconds."""
    return llrint(_number(where, field, value, 0, LONGEST_NS / 1e3) * 1e3)


cdef inline double _uniform(uint64_t seed, int64_t now, int what) noexcept:
    """In (0, 1), from 53 bits."""
    return (<double> (chr_mix64(chr_mix64(seed + <uint64_t> what) + <uint64_t> now) >> 11) + 0.5) * 1.1102230246251565e-16


cdef class LatencyModel:
    """Base of the models: no latency at all."""

    cdef int start(self, uint64_t seed) except -1:
        self.seed = seed
        return 0

    cdef int64_t entry(self, int64_t now) except? -1:
        return 0

    cdef int64_t response(self, int64_t now) except? -1:
        return 0

    cdef int64_t feed(self, int64_t now) except? -1:
        return 0

    def sample(self, int64_t now_ns, *, seed=1) -> tuple:
        """(entry, response, feed) in ns at a time, of a run with that seed."""
        self.start(seed)
        return self.entry(now_ns), self.response(now_ns), self.feed(now_ns)


cdef class ConstantLatency(LatencyModel):
    """The same delay for all requests, replies, and market records. Microseconds. Raises InvalidArgument."""

    cdef readonly int64_t entry_ns, response_ns, feed_ns

    def __init__(self, entry_us=0, response_us=0, feed_us=0):
        self.entry_ns = _ns("ConstantLatency", "entry_us", entry_us)
        self.response_ns = _ns("ConstantLatency", "response_us", response_us)
        self.feed_ns = _ns("ConstantLatency", "feed_us", feed_us)
        self.delays_feed = self.feed_ns != 0

    cdef int64_t entry(self, int64_t now) except? -1:
        return self.entry_ns

    cdef int64_t response(self, int64_t now) except? -1:
        return self.response_ns

    cdef int64_t feed(self, int64_t now) except? -1:
        return self.feed_ns

    def __repr__(self) -> str:
        return (
            f"ConstantLatency(entry_us={self.entry_ns / 1e3:g}, response_us={self.response_ns / 1e3:g}, "
            f"feed_us={self.feed_ns / 1e3:g})"
        )


cdef class JitterLatency(LatencyModel):
    """Delays that vary from request to request; market data by the constant `feed_us`.

    lognormal    median * exp(sigma * Z), Z standard normal: `entry_us` and `response_us` are medians, the mean is exp(sigma^2 / 2) times that
    uniform      between x - spread_us and x + spread_us, never below 0

    Raises InvalidArgument.
    """

    cdef readonly int64_t entry_ns, response_ns, feed_ns
    cdef readonly double sigma, spread_ns
    cdef readonly str jitter

    def __init__(self, entry_us, response_us, *, jitter="lognormal", sigma=0.3, spread_us=0, feed_us=0):
        if jitter not in ("lognormal", "uniform"):
            raise InvalidArgument(where="JitterLatency", field="jitter", value=jitter, allowed="lognormal, uniform")
        self.entry_ns = _ns("JitterLatency", "entry_us", entry_us)
        self.response_ns = _ns("JitterLatency", "response_us", response_us)
        self.feed_ns = _ns("JitterLatency", "feed_us", feed_us)
        self.sigma = _number("JitterLatency", "sigma", sigma, 0, 3)
        self.spread_ns = _ns("JitterLatency", "spread_us", spread_us)
        self.jitter = jitter
        self.delays_feed = self.feed_ns != 0

    cdef int64_t vary(self, int64_t middle, int64_t now, int what) noexcept:
        cdef double u = _uniform(self.seed, now, what), found
        if self.jitter == "uniform":
            found = <double> middle + (2.0 * u - 1.0) * self.spread_ns
        else:  # Box-Muller
            found = <double> middle * exp(
                self.sigma * sqrt(-2.0 * log(u)) * cos(2.0 * M_PI * _uniform(self.seed, now, what + 8))
            )
        return 0 if found <= 0 else llrint(found if found < LONGEST_NS else LONGEST_NS)

    cdef int64_t entry(self, int64_t now) except? -1:
        return self.vary(self.entry_ns, now, ENTRY)

    cdef int64_t response(self, int64_t now) except? -1:
        return self.vary(self.response_ns, now, RESPONSE)

    cdef int64_t feed(self, int64_t now) except? -1:
        return self.feed_ns

    def __repr__(self) -> str:
        shape = f"sigma={self.sigma:g}" if self.jitter == "lognormal" else f"spread_us={self.spread_ns / 1e3:g}"
        return (
            f"JitterLatency(entry_us={self.entry_ns / 1e3:g}, response_us={self.response_ns / 1e3:g}, "
            f"jitter={self.jitter!r}, {shape}, feed_us={self.feed_ns / 1e3:g})"
        )


cdef class SpikeLatency(LatencyModel):
    """Another model, with spells of `lasts_us` in which requests and replies take `extra_us` longer. `share` of all time lies in such a
    spell, drawn for each piece of that length. Raises InvalidArgument."""

    cdef readonly LatencyModel base
    cdef readonly int64_t extra_ns, lasts_ns
    cdef readonly double share

    def __init__(self, base, *, extra_us, share=0.01, lasts_us=10_000):
        self.base = latency_model(base)
        self.extra_ns = _ns("SpikeLatency", "extra_us", extra_us)
        self.lasts_ns = _ns("SpikeLatency", "lasts_us", lasts_us)
        if self.lasts_ns < 1:
            raise InvalidArgument(where="SpikeLatency", field="lasts_us", value=lasts_us, allowed="at least 0.001")
        self.share = _number("SpikeLatency", "share", share, 0, 1)
        self.delays_feed = self.base.delays_feed

    cdef int start(self, uint64_t seed) except -1:
        self.seed = seed
        return self.base.start(seed)

    cdef int64_t extra(self, int64_t now) noexcept:
        return self.extra_ns if _uniform(self.seed, now // self.lasts_ns, SPELL) < self.share else 0

    cdef int64_t entry(self, int64_t now) except? -1:
        return self.base.entry(now) + self.extra(now)

    cdef int64_t response(self, int64_t now) except? -1:
        return self.base.response(now) + self.extra(now)

    cdef int64_t feed(self, int64_t now) except? -1:
        return self.base.feed(now)

    def __repr__(self) -> str:
        return (
            f"SpikeLatency({self.base!r}, extra_us={self.extra_ns / 1e3:g}, share={self.share:g}, "
            f"lasts_us={self.lasts_ns / 1e3:g})"
        )


cdef class InterpolatedLatency(LatencyModel):
    """Between rows of (time, entry, response), all in ns and ascending in time, linear; before the first and after the last as they say.
    Market data by the constant `feed_us`. Raises InvalidArgument."""

    cdef int64_t *rows      # three a row
    cdef readonly int64_t count
    cdef int64_t last       # row found last
    cdef readonly int64_t feed_ns

    def __cinit__(self, rows, *, feed_us=0):
        cdef int64_t i
        given = [tuple(int(part) for part in row) for row in rows]
        where = "InterpolatedLatency"
        if not given:
            raise InvalidArgument(where=where, field="rows", value=[], allowed="at least one (time, entry, response)")
        self.rows = <int64_t *> malloc(len(given) * 3 * sizeof(int64_t))
        if self.rows == NULL:
            raise MemoryError("no memory for latencies")
        for row in given:
            i = self.count
            allowed = "(time, entry, response) in ns: time rising, latencies of 0 to a day"
            if len(row) != 3 or not 0 <= row[1] <= LONGEST_NS or not 0 <= row[2] <= LONGEST_NS:
                raise InvalidArgument(where=where, field=f"row {i}", value=row, allowed=allowed)
            if i and row[0] <= self.rows[3 * i - 3]:
                raise InvalidArgument(where=where, field=f"row {i}", value=row, allowed=allowed)
            self.rows[3 * i], self.rows[3 * i + 1], self.rows[3 * i + 2] = row
            self.count += 1
        self.feed_ns = _ns(where, "feed_us", feed_us)
        self.delays_feed = self.feed_ns != 0

    def __dealloc__(self):
        free(self.rows)

    cdef int64_t between(self, int64_t now, int column) noexcept:
        cdef int64_t low = self.last, high = self.count, half, since, span
        cdef int64_t *a
        if low + 1 >= high or not (self.rows[3 * low] <= now < self.rows[3 * low + 3]):
            low = 0
            while high - low > 1:
                half = (low + high) // 2
                if self.rows[3 * half] <= now:
                    low = half
                else:
                    high = half
            self.last = low
        a = self.rows + 3 * low
        if now <= a[0] or low + 1 == self.count:
            return a[column]
        since, span = now - a[0], a[3] - a[0]
        return a[column] + llrint(<double> (a[column + 3] - a[column]) * (<double> since / <double> span))

    cdef int64_t entry(self, int64_t now) except? -1:
        return self.between(now, 1)

    cdef int64_t response(self, int64_t now) except? -1:
        return self.between(now, 2)

    cdef int64_t feed(self, int64_t now) except? -1:
        return self.feed_ns

    @property
    def table(self) -> list:
        """Its rows."""
        return [(self.rows[3 * i], self.rows[3 * i + 1], self.rows[3 * i + 2]) for i in range(self.count)]

    def __repr__(self) -> str:
        return f"<InterpolatedLatency of {self.count} rows>"


cdef class PythonLatency(LatencyModel):
    """A model in Python: `entry(now_ns)` and `response(now_ns)` return ns, as does `feed(now_ns)` if there is one. Seeding is the object's
    own matter. What is no whole number of 0 to a day raises InvalidArgument."""

    cdef readonly object model
    cdef object entry_of, response_of, feed_of

    def __init__(self, model):
        for name in ("entry", "response"):
            if not callable(getattr(model, name, None)):
                raise InvalidArgument(
                    where="PythonLatency", field="model", value=model, allowed="an object with entry(now_ns) and response(now_ns)"
                )
        self.model, self.entry_of, self.response_of = model, model.entry, model.response
        self.feed_of = getattr(model, "feed", None)
        self.delays_feed = self.feed_of is not None

    cdef int64_t asked(self, object function, str name, int64_t now) except? -1:
        found = function(now)
        if not isinstance(found, int) or not 0 <= found <= LONGEST_NS:
            raise InvalidArgument(where=f"{type(self.model).__name__}.{name}", field="latency", value=found, allowed="int ns, 0 to a day")
        return found

    cdef int64_t entry(self, int64_t now) except? -1:
        return self.asked(self.entry_of, "entry", now)

    cdef int64_t response(self, int64_t now) except? -1:
        return self.asked(self.response_of, "response", now)

    cdef int64_t feed(self, int64_t now) except? -1:
        return 0 if self.feed_of is None else self.asked(self.feed_of, "feed", now)

    def __repr__(self) -> str:
        return f"PythonLatency({self.model!r})"


cdef LatencyModel latency_model(object model):
    """Of what a user gave: a model, None for no latency, or an object with entry() and response(). Raises InvalidArgument."""
    if model is None:
        return LatencyModel()
    if isinstance(model, LatencyModel):
        return model
    return PythonLatency(model)
