"""Where reports, sweeps and envelopes go."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from libchronicle.errors import HostError

__all__ = ["output_dir", "writing"]


def output_dir(directory: str | os.PathLike[str]) -> Path:
    """The directory, made if need be. Raises HostError if it cannot be made or written to."""
    where = Path(directory)
    with writing(where):
        where.mkdir(parents=True, exist_ok=True)
    if not os.access(where, os.W_OK | os.X_OK):
        raise HostError(path=str(where), reason="may not be written to")
    return where


@contextlib.contextmanager
def writing(where: Path) -> Iterator[None]:
    """What the system refuses within is a HostError that names the file."""
    try:
        yield
    except OSError as error:
        raise HostError(path=error.filename or str(where), reason=error.strerror or str(error)) from error
