"""`KillSwitch.word` for other Cython modules: `chr_killed(switch.word)` is one load and needs no GIL."""

from libc.stdint cimport uint64_t

from libchronicle.native.binding cimport Mapping


cdef extern from "killswitch.h" nogil:
    const uint64_t CHR_TRADING_ALLOWED
    bint chr_killed(const uint64_t *word) noexcept


cdef class KillSwitch:
    cdef const uint64_t *word
    cdef Mapping _mapping
    cdef object _path
    cdef unsigned long long _device, _inode
    cdef str _reason
    cdef void _unmap(self) noexcept
    cdef str _map(self)
