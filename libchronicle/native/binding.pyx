# distutils: sources = libchronicle/native/agents.c libchronicle/native/audit.c libchronicle/native/clock.c libchronicle/native/control.c libchronicle/native/cursor.c libchronicle/native/files.c libchronicle/native/fork.c libchronicle/native/hole.c libchronicle/native/leftovers.c libchronicle/native/liveness.c libchronicle/native/map.c libchronicle/native/mend.c libchronicle/native/notify.c libchronicle/native/page.c libchronicle/native/platform_linux.c libchronicle/native/platform_portable.c libchronicle/native/quarantine.c libchronicle/native/reader.c libchronicle/native/recover.c libchronicle/native/retain.c libchronicle/native/roll.c libchronicle/native/seal.c libchronicle/native/seek.c libchronicle/native/segment.c libchronicle/native/stock.c libchronicle/native/wait.c libchronicle/native/word.c libchronicle/native/writer.c
# distutils: depends = libchronicle/native/chr_atomic.h libchronicle/native/chr_batch.h libchronicle/native/chr_clock.h libchronicle/native/chr_core.h libchronicle/native/chr_crc.h libchronicle/native/chr_hot.h libchronicle/native/chr_layout.h libchronicle/native/chr_platform.h
"""The thin binding over the C core: Publisher, Subscriber, Message.

One native call per message and no object between. Waiting and everything that may touch a disk releases the GIL. Errors of the core become
exceptions of libchronicle.errors in one place, `raise_error`.
"""

cimport cython
from cpython.array cimport array
from cpython.array cimport clone as array_clone
from cpython.array cimport resize as array_resize
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.exc cimport PyErr_CheckSignals
from cpython.long cimport PyLong_AsLongAndOverflow
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.ref cimport PyObject
from libc.errno cimport errno
from libc.math cimport INFINITY
from libc.stdint cimport INT64_MAX, INT64_MIN, UINT64_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from libchronicle.native.core cimport *
from libchronicle.native.hot cimport (
    CHR_BATCH_RUN,
    CHR_COLUMN_SLACK,
    CHR_COMMIT_TAG,
    CHR_LENGTH_MASK,
    chr_abort,
    chr_append,
    chr_append_after,
    chr_append_batch,
    chr_batch,
    chr_clock,
    chr_columns,
    chr_commit,
    chr_control,
    chr_drain_columns,
    chr_error,
    chr_frame,
    chr_frame_header,
    chr_map,
    chr_next,
    chr_now_ns,
    chr_reader,
    chr_reserve,
    chr_tell,
    chr_writer,
)

import enum
import operator
import os
from array import array as array_type

from libchronicle import errors

cdef extern from "time.h" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int nanosleep(const timespec *request, timespec *remaining)

cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX
    Py_ssize_t PySequence_Fast_GET_SIZE(object sequence)
    PyObject *PySequence_Fast_GET_ITEM(object sequence, Py_ssize_t at)

include "_errors.pxi"
include "_arguments.pxi"
include "_publisher.pxi"
include "_messages.pxi"
include "_subscriber.pxi"
include "_batches.pxi"
include "_waiting.pxi"
include "_outside.pxi"
include "_audit.pxi"


cdef chr_clock process_clock
chr_clock_init(&process_clock, True)


def now_ns():
    """Nanoseconds since the Unix epoch, from the TSC where that is invariant."""
    return chr_now_ns(&process_clock)


def monotonic_ns():
    """CLOCK_MONOTONIC in nanoseconds, as heartbeats use it."""
    return chr_monotonic_ns()


def tsc_usable():
    """Whether this machine's TSC is invariant and shared by all cores, so that a clock may be read from it."""
    return bool(chr_clock_tsc_usable())


def live_maps():
    """Mappings of this process that are still held: for leak tests."""
    chr_map_collect()
    return chr_map_count()
