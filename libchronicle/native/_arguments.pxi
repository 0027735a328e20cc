"""What callers give, checked: each refusal is an InvalidArgument that names field, value and what is allowed. Included by binding.pyx."""

cdef object whole(object value, str where, str field, object low, object high):
    """`value` as an int from `low` to `high`."""
    number = operator.index(value)
    if not low <= number <= high:
        raise errors.InvalidArgument(where=where, field=field, value=value, allowed=f"a whole number from {low} to {high}")
    return number


cdef inline int type_of(str path, object type_id) except -1:
    """A type id that 16 bits hold; the core refuses those above 0xFEFF."""
    cdef int overflow = 0
    cdef long value = PyLong_AsLongAndOverflow(type_id, &overflow)
    if value < 0 or value > 0xFFFF or overflow:
        refuse_type(path, type_id)
    return <int>value


cdef int refuse_type(str path, object type_id) except -1:
    if operator.index(type_id) > 0xFFFF:
        raise errors.ReservedType(path=path, type_id=type_id)
    raise errors.InvalidArgument(where=path, field="type_id", value=type_id, allowed="0 to 0xFEFF")


cdef inline int64_t check_ts(str path, object ts_ns) except? -1:
    cdef int overflow = 0
    cdef long value = PyLong_AsLongAndOverflow(ts_ns, &overflow)
    if value < 0 or overflow:
        operator.index(ts_ns)
        raise errors.InvalidArgument(where=path, field="ts_ns", value=ts_ns, allowed="nanoseconds from 0 to 2**63 - 1")
    return value


cdef Py_ssize_t room_for(str path, object most) except -1:
    """How many records a call may hand out; None = as many as there are."""
    if most is None:
        return PY_SSIZE_T_MAX
    number = operator.index(most)
    if number < 0:
        raise errors.InvalidArgument(where=path, field="max", value=most, allowed="0 or more records")
    return min(number, PY_SSIZE_T_MAX)


cdef double as_seconds(object number) except? -1:
    """A float of any number; an int beyond all floats is infinite."""
    try:
        return number
    except OverflowError:
        return INFINITY if number > 0 else -INFINITY


cdef int64_t span_ns(str path, str field, object number) except -1:
    """Seconds as nanoseconds; what is longer than 64 bits hold is as long as they hold."""
    cdef double seconds = as_seconds(number)
    if not seconds >= 0:
        raise errors.InvalidArgument(where=path, field=field, value=number, allowed="0 or more seconds")
    return INT64_MAX if seconds >= 9.2e9 else <int64_t>(seconds * 1e9)


cdef int64_t deadline_in(str path, object timeout) except? -1:
    """`timeout` seconds from now; None, and more than a century, is for ever; less than nothing is now."""
    cdef double seconds
    if timeout is None:
        return -1
    seconds = as_seconds(timeout)
    if seconds != seconds:
        raise errors.InvalidArgument(where=path, field="timeout", value=timeout, allowed="seconds, or None for ever")
    if seconds > 3e9:
        return -1
    return chr_monotonic_ns() + (<int64_t>(seconds * 1e9) if seconds > 0 else 0)


cdef int64_t time_left(int64_t deadline) noexcept:
    cdef int64_t left
    if deadline < 0:
        return -1
    left = deadline - chr_monotonic_ns()
    return left if left > 0 else 0


cdef bytes as_path(str path):
    """For the core, which takes a NUL for the end."""
    raw = os.fsencode(path)
    if b"\0" in raw:
        raise errors.InvalidArgument(where="queue", field="path", value=path, allowed="a path without a NUL")
    return raw


cdef bytes as_name(object name):
    raw = b"" if name is None else os.fsencode(name)
    if b"\0" in raw or (name is not None and not raw):
        raise errors.InvalidName(name=name, kind="reader", reason="it is empty or holds a control character")
    return raw
