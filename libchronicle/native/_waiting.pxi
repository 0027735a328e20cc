"""wait_any. Included by binding.pyx."""

def wait_any(readers, timeout=None):
    """Wait until one of `readers` has something to tell; returns those that have, [] on time-out.

    Any number of readers; of more than 128 those beyond are looked at each millisecond. Raises Closed, within a second, when one of them is closed
    meanwhile.
    """
    cdef int64_t deadline = deadline_in("wait_any", timeout)
    cdef chr_reader **handles
    cdef int rc = -1
    readers = list(readers)
    if not readers:
        raise errors.InvalidArgument(where="wait_any", field="readers", value=readers, allowed="one reader or more")
    for reader in readers:
        if not isinstance(reader, Subscriber):
            raise TypeError(f"wait_any takes readers, not {type(reader).__name__}")
    handles = <chr_reader **>PyMem_Malloc(len(readers) * sizeof(chr_reader *))
    if handles == NULL:
        raise MemoryError
    try:
        while rc < 0:
            rc = wait_once(readers, handles, time_left(deadline))
            if rc < 0:
                PyErr_CheckSignals()
    finally:
        PyMem_Free(handles)
    return [s for s in readers if has_news(s)]


cdef int wait_once(list readers, chr_reader **handles, int64_t left) except? -1:
    cdef Subscriber s
    cdef int count = 0
    cdef int rc
    try:
        for s in readers:
            handles[count] = s.enter()
            count += 1
        if any_pending(readers):
            left = 0
        with nogil:
            rc = chr_readers_wait(handles, count, left)
    finally:
        for s in readers[:count]:
            s.leave()
    for s in readers:
        s.check()
    return rc


cdef bint any_pending(list readers):
    cdef Subscriber s
    for s in readers:
        if s.pending is not None:
            return True
    return False


cdef bint has_news(Subscriber s):
    return s.pending is not None or chr_reader_peek(s.r) != 0
