from libc.stddef cimport size_t
from libc.stdint cimport uint32_t, uint64_t

cdef extern from "csv_line.h" nogil:
    ctypedef struct chr_cell:
        const char *p
        uint32_t n

    int chr_csv_split(const char *text, size_t size, chr_cell *cells, int room)
    int chr_csv_u64(const chr_cell *cell, uint64_t *out)
