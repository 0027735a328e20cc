"""Drawdown, daily loss and losses in a row; the rules are in breakers.h."""

from libc.string cimport memset

from libchronicle.risk.checks cimport CHR_NO_LIMIT

from libchronicle.errors import BadAmount
from libchronicle.portfolio.fixed import money
from libchronicle.protocol import RejectCode
from libchronicle.risk.situation import Breach

RESETS = {"manual": CHR_RESET_MANUAL, "day": CHR_RESET_DAY, "cooldown": CHR_RESET_COOLDOWN}


cdef class Breakers:
    """Amounts are money as a person writes it, None = no limit. `reset`: "manual", "day" or "cooldown". Raises BadAmount."""

    def __init__(self, *, max_drawdown=None, max_daily_loss=None, max_losses_in_a_row=None, str reset="manual", cooldown_s=0.0):
        memset(&self.b, 0, sizeof(self.b))
        if reset not in RESETS:
            raise BadAmount(what="breaker_reset", value=reset, reason=f"is none of {', '.join(RESETS)}")
        self.b.max_drawdown = CHR_NO_LIMIT if max_drawdown is None else money(max_drawdown, "max_drawdown")
        self.b.max_daily_loss = CHR_NO_LIMIT if max_daily_loss is None else money(max_daily_loss, "max_daily_loss")
        self.b.max_losses = CHR_NO_LIMIT if max_losses_in_a_row is None else max_losses_in_a_row
        self.b.reset = RESETS[reset]
        self.b.cooldown_ns = round(cooldown_s * 1_000_000_000)

    cdef int watch(self, int64_t equity, int64_t now) noexcept:
        return chr_breakers_equity(&self.b, equity, now)

    cdef int ended(self, int64_t result, int64_t now) noexcept:
        return chr_breakers_result(&self.b, result, now)

    cdef int at(self, int64_t now) noexcept:
        return chr_breakers_at(&self.b, now)

    @property
    def is_set(self):
        """Whether there is any limit."""
        return self.b.max_drawdown >= 0 or self.b.max_daily_loss >= 0 or self.b.max_losses >= 0

    def equity(self, int64_t equity, int64_t now_ns):
        """Equity as of now (money); the Breach that this is, or None."""
        return self._breach() if self.watch(equity, now_ns) else None

    def result(self, int64_t result, int64_t now_ns):
        """A round trip has brought this much (money); the Breach that this is, or None."""
        return self._breach() if self.ended(result, now_ns) else None

    def tripped(self, int64_t now_ns):
        """The Breach that holds at this time, or None."""
        return self._breach() if self.at(now_ns) else None

    def reset(self):
        """By a person: all of them start anew from the equity of now."""
        chr_breakers_reset(&self.b)

    def trip(self, code, int64_t limit, int64_t actual, int64_t now_ns):
        """Take up what a restart has interrupted."""
        self.b.tripped, self.b.limit, self.b.actual, self.b.tripped_at = code, limit, actual, now_ns
        self.b.day = now_ns // (86_400 * 1_000_000_000)

    def take_over(self, Breakers other not None):
        """Go on from what another one with other limits has measured; what it has tripped stays tripped."""
        self.b.equity, self.b.peak, self.b.losses = other.b.equity, other.b.peak, other.b.losses
        self.b.day, self.b.day_start, self.b.seen = other.b.day, other.b.day_start, other.b.seen
        self.b.tripped, self.b.tripped_at = other.b.tripped, other.b.tripped_at
        self.b.limit, self.b.actual = other.b.limit, other.b.actual

    @property
    def measured(self):
        """(equity, peak, equity at the day's start, day since 1970, losses in a row): all that has been measured."""
        return self.b.equity, self.b.peak, self.b.day_start, self.b.day, self.b.losses

    def go_on(self, int64_t equity, int64_t peak, int64_t day_start, int64_t day, int64_t losses):
        """Take up what a restart has interrupted."""
        self.b.equity, self.b.peak, self.b.day_start, self.b.day, self.b.losses = equity, peak, day_start, day, losses
        self.b.seen = 1

    @property
    def tripped_at(self):
        """When, ns; of the last one that tripped."""
        return self.b.tripped_at

    @property
    def has_begun(self):
        """Whether it has been told an equity."""
        return bool(self.b.seen)

    def _breach(self):
        return Breach(RejectCode(self.b.tripped), self.b.limit, self.b.actual)

    @property
    def peak(self):
        return self.b.peak

    @property
    def losses(self):
        """Round trips in a row that lost."""
        return self.b.losses


cdef class RoundTrips:
    """Results of round trips by key (an instrument), from what each position has come to."""

    cdef dict _known  # key -> (quantity, realised less fees when the round trip began)

    def __init__(self):
        self._known = {}

    def begin(self, key, int64_t qty, int64_t net):
        """Go on from here: nothing before counts."""
        self._known[key] = (qty, net)

    def moved(self, key, int64_t qty, int64_t net):
        """A position has come to `qty`, `net` is realised less fees so far. The result, if a round trip ended."""
        before, start = self._known.get(key, (0, 0))
        cdef int64_t base = start, result = 0
        ended = chr_round_trip(before, qty, net, &base, &result)
        self._known[key] = (qty, base)
        return result if ended else None
