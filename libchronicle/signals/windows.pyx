"""What windowed features remember: rings that forget as fast as they learn. See windows.pyi.

    FeatureBuffer  the last N numbers, with their sum, mean and standard deviation
    SumWindow      exact integer sums over the last N buckets of a grid of time, several lanes at once
    MidSamples     the mid at each point of a grid of time, as it was before the first record at or past that point

Rules
  - A push costs the same however long the window is; nothing is allocated after the first.
  - Running sums of doubles drift, since what leaves is subtracted from what was rounded. So each buffer keeps a second, young pair of sums
    that began `since` pushes ago and never had anything subtracted; when they span the whole window they take the old ones'
    place. Error: that of adding up one window, for ever. Squares are taken of the distance to `shift`, a value of the window:
    a standard deviation of 1e-6 around 60,000 keeps its digits. `run` equal values in a row deviate by exactly 0.
  - Sums of quantities are 128-bit integers: exact, so that a window that has become empty is exactly 0.
  - Grids are aligned to the Unix epoch, so that runs begun at different times agree.
"""

from libc.math cimport NAN, isfinite, sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from libchronicle.book.l2 cimport chr_int128

from libchronicle.errors import InvalidArgument

__all__ = ["FeatureBuffer", "MidSamples", "SumWindow"]

LARGEST = 10_000_000


def bounded(str where not None, str field not None, value, int64_t least, int64_t most):
    """`value` as an int within bounds. Raises InvalidArgument."""
    if type(value) is not int or not least <= value <= most:
        raise InvalidArgument(where=where, field=field, value=value, allowed=f"{least:,} to {most:,}")
    return value


cdef class FeatureBuffer:
    """The last `capacity` numbers."""

    def __cinit__(self, capacity):
        self.capacity = bounded("FeatureBuffer", "capacity", capacity, 1, LARGEST)
        self.data = <double *>malloc(self.capacity * sizeof(double))
        if self.data == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.data)

    cdef void put(self, double value) noexcept:
        cdef double away
        if self.count == 0:
            self.shift = self.young_shift = value
        self.run = self.run + 1 if self.count and self.nth(0) == value else 1
        if self.count == self.capacity:
            away = self.data[self.head] - self.shift
            self.sum1 -= away
            self.sum2 -= away * away
        else:
            self.count += 1
        self.data[self.head] = value
        self.head += 1
        if self.head == self.capacity:
            self.head = 0
        away = value - self.shift
        self.sum1 += away
        self.sum2 += away * away
        away = value - self.young_shift
        self.young1 += away
        self.young2 += away * away
        self.since += 1
        if self.since == self.capacity:
            self.shift, self.sum1, self.sum2 = self.young_shift, self.young1, self.young2
            self.young_shift = value
            self.young1 = self.young2 = 0.0
            self.since = 0

    cdef double nth(self, Py_ssize_t age) noexcept:
        """0 = the newest; age < count."""
        cdef Py_ssize_t at = self.head - 1 - age
        return self.data[at if at >= 0 else at + self.capacity]

    cdef double total(self) noexcept:
        return self.sum1 + self.shift * self.count

    cdef double average(self) noexcept:
        return self.shift + self.sum1 / self.count if self.count else NAN

    cdef double spread(self) noexcept:
        """Standard deviation of a sample; NaN below two values."""
        cdef double square
        if self.count < 2:
            return NAN
        if self.run >= self.count:
            return 0.0
        square = (self.sum2 - self.sum1 * self.sum1 / self.count) / (self.count - 1)
        return sqrt(square) if square > 0 else 0.0

    cdef void empty(self) noexcept:
        self.head = self.count = self.since = self.run = 0
        self.sum1 = self.sum2 = self.young1 = self.young2 = 0.0

    def push(self, double value):
        if not isfinite(value):
            raise InvalidArgument(where="FeatureBuffer.push", field="value", value=value, allowed="a finite number")
        self.put(value)

    def clear(self):
        self.empty()

    def __len__(self):
        return self.count

    def __getitem__(self, Py_ssize_t index):
        """As of a list, oldest first; -1 is the newest."""
        cdef Py_ssize_t age = -1 - index if index < 0 else self.count - 1 - index
        if not 0 <= age < self.count:
            raise IndexError(index)  # what ends an iteration
        return self.nth(age)

    @property
    def full(self):
        return self.count == self.capacity

    @property
    def sum(self):
        return self.total()

    @property
    def mean(self):
        return self.average() if self.count else None

    @property
    def std(self):
        return self.spread() if self.count > 1 else None


cdef class SumWindow:
    """Sums over buckets (k - buckets, k] of time, k the open one: between buckets - 1 and buckets steps long."""

    def __cinit__(self, step_ns, buckets, lanes=1):
        self.step_ns = bounded("SumWindow", "step_ns", step_ns, 1_000, 86_400_000_000_000)
        self.buckets = bounded("SumWindow", "buckets", buckets, 1, LARGEST)
        self.lanes = bounded("SumWindow", "lanes", lanes, 1, 8)
        self.ring = <chr_int128 *>calloc(self.buckets * self.lanes, sizeof(chr_int128))
        self.sums = <chr_int128 *>calloc(self.lanes, sizeof(chr_int128))
        if self.ring == NULL or self.sums == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.ring)
        free(self.sums)

    cdef void enter(self, int64_t ts_ns) noexcept:
        """A record came at `ts_ns`: as roll, and where nothing has come before, the window begins."""
        if self.begun:
            self.roll(ts_ns)
        else:
            self.begun = True
            self.first = self.last = ts_ns // self.step_ns

    cdef void roll(self, int64_t ts_ns) noexcept:
        """To the bucket of `ts_ns`; what is older than the window leaves its sums."""
        cdef int64_t number = ts_ns // self.step_ns
        cdef chr_int128 *bucket
        cdef Py_ssize_t lane
        if not self.begun:
            return
        if number - self.last >= self.buckets:
            memset(self.ring, 0, self.buckets * self.lanes * sizeof(chr_int128))
            memset(self.sums, 0, self.lanes * sizeof(chr_int128))
            self.last = number
        while self.last < number:
            self.last += 1
            bucket = self.ring + (self.last % self.buckets) * self.lanes
            for lane in range(self.lanes):
                self.sums[lane] -= bucket[lane]
                bucket[lane] = 0

    cdef void empty(self) noexcept:
        self.begun = False
        memset(self.ring, 0, self.buckets * self.lanes * sizeof(chr_int128))
        memset(self.sums, 0, self.lanes * sizeof(chr_int128))


cdef class MidSamples:
    """The mids at the last `count` points of a grid. Points at which the market was quiet repeat the mid of before."""

    def __cinit__(self, step_ns, count):
        self.step_ns = bounded("MidSamples", "step_ns", step_ns, 1_000, 86_400_000_000_000)
        self.ring = FeatureBuffer(count)

    cdef Py_ssize_t roll(self, int64_t ts_ns) noexcept:
        """Past every point up to `ts_ns`, itself included. How many samples were taken, at most as many as are kept."""
        cdef int64_t points
        cdef Py_ssize_t i, taken
        if self.next_ns == 0 or ts_ns < self.next_ns:
            return 0
        points = (ts_ns - self.next_ns) // self.step_ns + 1
        self.next_ns += points * self.step_ns
        taken = <Py_ssize_t>points if points < self.ring.capacity else self.ring.capacity
        for i in range(taken):
            self.ring.put(self.last)
        return taken

    cdef void seen(self, int64_t ts_ns, double mid) noexcept:
        """After roll(ts_ns): the mid from now on."""
        if self.next_ns == 0:
            self.next_ns = ts_ns - ts_ns % self.step_ns + self.step_ns
        self.last = mid

    cdef void empty(self) noexcept:
        self.next_ns = 0
        self.ring.empty()
