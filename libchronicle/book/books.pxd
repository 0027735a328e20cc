"""books.h for Cython: the books of many instruments, and what a gap does to them."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from libchronicle.book.l2 cimport chr_l2
from libchronicle.book.l3 cimport chr_l3
from libchronicle.native.hot cimport chr_frame

cdef extern from "books.h" nogil:
    enum:
        CHR_FED, CHR_FED_DROP, CHR_FED_STOP
        CHR_GAP_STOP, CHR_GAP_QUARANTINE, CHR_GAP_RESYNC, CHR_GAP_IGNORE

    ctypedef struct chr_book_entry:
        uint64_t instrument_id
        chr_l2 *l2
        chr_l3 *l3
        uint64_t hash, records, levels, gaps, refused, dropped
        int64_t next_sample_ns
        uint32_t source
        uint8_t quarantined, unwanted

    ctypedef struct chr_books:
        chr_book_entry *entries
        uint32_t count, policy
        uint64_t gaps, refused, expected, received
        const char *reason

    int chr_books_init(chr_books *t, uint32_t policy)
    void chr_books_free(chr_books *t)
    int64_t chr_books_find(chr_books *t, uint64_t id)
    int64_t chr_books_add(chr_books *t, uint64_t id)
    int chr_books_break_source(chr_books *t, uint32_t source, const char *reason)
    int chr_books_feed(chr_books *t, int64_t place, uint32_t source, const chr_frame *f)
    uint64_t chr_books_hash(const chr_books *t)
