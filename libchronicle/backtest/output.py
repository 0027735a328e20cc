"""Where reports, sweeps and envelopes go."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from libchronicle.errors import HostError

__all__ = ["Put", "output_dir", "together", "writing"]

Put = Callable[[str, bytes | Callable[[Path], object]], None]
"""A file by its name: what it holds, or what writes it to a path."""


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


@contextlib.contextmanager
def together(where: Path) -> Iterator[Put]:
    """Files of a directory that are written aside and appear when the block ends, in the order they were put; none of them
    if it fails. One that would be the same again is left alone. Raises HostError."""
    parts: dict[Path, Path] = {}

    def put(name: str, content: bytes | Callable[[Path], object]) -> None:
        path = where / name
        if isinstance(content, bytes) and _holds(path, content):
            return
        part = parts[path] = where / f".{name}.{os.getpid()}.part"
        with writing(part):
            if isinstance(content, bytes):
                part.write_bytes(content)
            else:
                content(part)

    try:
        yield put
        for path, part in parts.items():
            with writing(part):
                os.replace(part, path)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def _holds(path: Path, content: bytes) -> bool:
    with contextlib.suppress(OSError):
        return path.stat().st_size == len(content) and path.read_bytes() == content
    return False
