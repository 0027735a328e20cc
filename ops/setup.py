"""Extension modules: every .pyx under libchronicle/ becomes the module of the same dotted name.

Run by build_backend.py from the project's root.
A .pyx that needs more than itself says so in a `# distutils:` comment at its top (sources = C files of the core).
Everything is compiled against the C headers of libchronicle/native and libchronicle/protocol.
"""

import multiprocessing
import os
import platform
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

FLAGS = [
    "-O3",
    "-g1",
    "-std=gnu11",
    "-fno-strict-aliasing",
    "-fvisibility=hidden",
    "-Wall",
    "-Wno-unused-function",
]
if platform.machine() in ("x86_64", "AMD64"):
    FLAGS += ["-msse4.2", "-mpclmul"]  # CRC32C in hardware; every x86-64 server since 2011 has both
elif platform.machine() in ("aarch64", "arm64"):
    FLAGS += ["-march=armv8-a+crc"]

if os.environ.get(
    "CHRONICLE_PORTABLE"
):  # as on a host without futexes, OFD locks, fallocate: what macOS gets
    FLAGS.append("-DCHR_PORTABLE")

extensions = [
    Extension(
        ".".join(path.with_suffix("").parts),
        [str(path)],
        include_dirs=[
            "libchronicle/native",
            "libchronicle/protocol",
            "libchronicle/book",
            "libchronicle/sim",
            "libchronicle/portfolio",
            "libchronicle/venues",
            "libchronicle/replay",
            "libchronicle/backtest",
        ],
        extra_compile_args=FLAGS,
        extra_link_args=["-pthread"],
    )
    for path in sorted(Path("libchronicle").rglob("*.pyx"))
]

JOBS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
"""Compilers at once. No two modules share a source, so none writes another's object file."""

setup(
    options={"build_ext": {"parallel": JOBS}},
    ext_modules=cythonize(
        extensions,
        nthreads=JOBS if multiprocessing.get_start_method() == "fork" else 0,
        build_dir="build/cython",
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "freethreading_compatible": False,
        },
    ),
)
