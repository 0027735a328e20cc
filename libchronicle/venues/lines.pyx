"""LineParser: text that comes in chunks, cut anywhere, taken apart into lines. See lines.pyi."""

from libc.string cimport memchr

__all__ = ["LineParser"]


cdef class LineParser:
    def __cinit__(self, *_, **__):
        self.tail = b""

    cdef int line(self, const char *p, size_t n) except -1:
        """One line, without its line feed; maybe empty."""
        return 0

    cdef int last(self) except -1:
        """After the last line."""
        return 0

    def feed(self, data):
        cdef bytes text = self.tail + data if self.tail else bytes(data)
        cdef const char *p = text
        cdef const char *end = p + len(text)
        cdef const char *stop
        while p < end:
            stop = <const char *>memchr(p, c"\n", end - p)
            if stop == NULL:
                break
            self.line(p, stop - p)
            p = stop + 1
        self.tail = text[len(text) - (end - p):]

    def finish(self):
        cdef bytes text = self.tail
        self.tail = b""
        self.line(text, len(text))
        self.last()
