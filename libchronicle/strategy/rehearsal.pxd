from libchronicle.native.hot cimport chr_map, chr_reader
from libchronicle.strategy.context cimport Context
from libchronicle.strategy.dispatch cimport Dispatcher
from libchronicle.strategy.recorder cimport Recorder
from libchronicle.strategy.source cimport Source


cdef class Rehearsal:
    cdef Context ctx
    cdef Dispatcher dispatcher
    cdef Recorder recorder
    cdef Source source
    cdef list books
    cdef bytes frames
    cdef chr_map map
    cdef chr_reader reader

    cdef void rewind(self) noexcept
