"""Reads recordings from disk: the one module of this package that does I/O."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Generator

from libchronicle.errors import HostError
from libchronicle.sim.recording import RecordingCorrupt


def read_lines(path: str) -> Generator[bytes, None, None]:
    """Lines of a recording, gzipped or plain. Raises HostError, RecordingCorrupt."""
    try:
        with open(path, "rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not zipped:
                yield from raw
                return
            with gzip.open(raw) as lines:
                yield from lines
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RecordingCorrupt(path=path, line=-1, reason=f"the gzip stream is damaged: {error}") from error
    except FileNotFoundError:
        reason = "no such recording; check the path, relative to the working directory"
        raise HostError(path=path, reason=reason) from None
    except OSError as error:
        raise HostError(path=path, reason=f"cannot be read: {error.strerror}") from error
