from libc.stdint cimport int64_t, uint32_t, uint64_t

from libchronicle.backtest.outbox cimport Outbox
from libchronicle.portfolio.account cimport Account
from libchronicle.risk.gate cimport RiskGate
from libchronicle.sim.matcher cimport chr_sim


cdef struct chr_market:
    int64_t heard_ns             # the last market record
    uint32_t lane                # of its venue


cdef class Listing(Outbox):
    cdef chr_sim sim
    cdef readonly Account account
    cdef readonly RiskGate gate
    cdef list books              # of the venue's own, where it has any: they must live as long
    cdef list queue_models       # they must live as long as the simulator asks them
    cdef object queues, chances
    cdef readonly object misfit  # why an instrument was refused, not the strategy's fault
    cdef list names, currencies  # by slot
    cdef readonly dict definitions   # name -> protocol Instrument
    cdef bint asks_python        # a queue model is one of the user's
    cdef bytes account_name
    cdef chr_market *markets     # by slot
    cdef dict lanes              # by venue; empty where there is one lane

    cdef int slot_of(self, uint64_t instrument_id) noexcept
