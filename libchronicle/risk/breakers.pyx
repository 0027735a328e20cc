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
    """Results of round trips, from what a position was and is."""

    cdef dict _bases

    def __init__(self):
        self._bases = {}

    def filled(self, key, int64_t before, int64_t after, int64_t net):
        """A fill took a position from `before` to `after`; `net` is realised less fees so far. The result, if a round trip ended."""
        cdef int64_t base = self._bases.get(key, 0), result = 0
        if not chr_round_trip(before, after, net, &base, &result):
            return None
        self._bases[key] = base
        return result
