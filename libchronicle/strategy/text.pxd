"""Fixed-size text fields of messages."""

cdef extern from "<string.h>" nogil:
    size_t strnlen(const char *text, size_t room)


cdef inline str text_of(const char *field, size_t room):
    """Text up to the first zero byte or the field's end."""
    return field[:strnlen(field, room)].decode("utf-8", "replace")
