# distutils: include_dirs = libchronicle/runtime
# distutils: depends = libchronicle/runtime/lastresort.h
"""The process ends some time after a signal, whatever the interpreter does; see lastresort.h."""

import os

from libchronicle.errors import HostError

cdef extern from "lastresort.h" nogil:
    int chr_resort_arm(int number, long after_ms)
    void chr_resort_disarm()


def arm(int number, long after_ms):
    """End the process by SIGXCPU `after_ms` after the signal `number`, unless `disarm` is called before. To be called after
    the signal's handler was installed, which goes on as before. Raises HostError."""
    cdef int code = chr_resort_arm(number, after_ms)
    if code:
        raise HostError(path="timer", reason=os.strerror(code))


def disarm():
    """Whatever was armed: the process is ending, or need not end."""
    chr_resort_disarm()
