from libc.stdint cimport uint64_t


cdef class LineParser:
    cdef readonly uint64_t rows     # lines that were rows, so far
    cdef str file                   # as messages name it
    cdef bytes tail                 # of a line whose end has not come
    cdef int line(self, const char *p, size_t n) except -1
    cdef int last(self) except -1
