"""breakers.h for Cython."""

from libc.stdint cimport int64_t, uint8_t, uint16_t

cdef extern from "../risk/breakers.h" nogil:
    enum:
        CHR_RESET_MANUAL, CHR_RESET_DAY, CHR_RESET_COOLDOWN

    ctypedef struct chr_breakers:
        int64_t max_drawdown, max_daily_loss, max_losses, cooldown_ns, equity, peak, day, day_start, losses, tripped_at, limit, actual
        uint16_t tripped
        uint8_t reset, seen

    void chr_breakers_reset(chr_breakers *b)
    int chr_breakers_at(chr_breakers *b, int64_t now)
    int chr_breakers_equity(chr_breakers *b, int64_t equity, int64_t now)
    int chr_breakers_result(chr_breakers *b, int64_t result, int64_t now)
    int chr_round_trip(int64_t before, int64_t after, int64_t net, int64_t *base, int64_t *result)


cdef class Breakers:
    cdef chr_breakers b

    # All three: the code of a breaker that this has tripped (at: that holds), 0 = none.
    cdef int watch(self, int64_t equity, int64_t now) noexcept
    cdef int ended(self, int64_t result, int64_t now) noexcept
    cdef int at(self, int64_t now) noexcept
