"""event_time.h for Python."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint16_t, uint32_t

__all__ = ["dating_ns", "event_ns"]


def event_ns(int type_id, payload, int64_t frame_ts):
    """When a market record happened, in ns; 0 for one without a time of its own, or with one that cannot be."""
    cdef Py_buffer view
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    try:
        return chr_event_ns(<uint16_t>type_id, view.buf, <uint32_t>view.len, frame_ts)
    finally:
        PyBuffer_Release(&view)


def dating_ns(int type_id, payload, int64_t frame_ts):
    """The time by which this record dates its clean segment; 0 if it does not."""
    cdef Py_buffer view
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    try:
        return chr_dating_ns(<uint16_t>type_id, view.buf, <uint32_t>view.len, frame_ts)
    finally:
        PyBuffer_Release(&view)
