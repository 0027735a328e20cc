from libc.stdint cimport int64_t

from libchronicle.protocol.layout cimport chr_new_order_t


cdef class Order:
    cdef readonly object instrument
    cdef chr_new_order_t body      # as it goes out; cause, account and validity are filled in when it is sent
    cdef int64_t valid_for_ns      # 0 = the router's default
