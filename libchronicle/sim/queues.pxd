from libc.stdint cimport int64_t, uint32_t

from libchronicle.sim.matcher cimport chr_sim_order, chr_sim_terms


cdef class QueueModel:
    """How much of a level stands before an order; `into` writes it into the terms of an instrument."""

    cdef int kind                 # CHR_SIM_QUEUE_*
    cdef readonly double power
    cdef object error             # what a model in Python raised

    cdef int into(self, chr_sim_terms *terms) except -1
    cdef int check(self) except -1    # raises what a model in Python has raised since


cdef class FillChances:
    cdef readonly double touch, through_only, slippage
    cdef readonly uint32_t slippage_ticks

    cdef int into(self, chr_sim_terms *terms) except -1


cdef QueueModel queue_model(object model)
