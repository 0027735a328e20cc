"""A file somebody recorded: its bytes in chunks, unpacked, with a progress that knows how far the packed file is."""

from __future__ import annotations

import gzip
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any, Final

from libchronicle.bus.files import host_error
from libchronicle.errors import ImportRejected

__all__ = ["InputFile", "Progress"]

CHUNK: Final = 1 << 20

Progress = Callable[[str, int, int], object]
"""(what is being done, bytes of the file done, bytes of the file)."""

LONGEST_LINE: Final = 8 << 20
"""Bytes; the vendors' longest lines are snapshots of some 100 KB."""

_DAMAGE: Final = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, ValueError)


def _quiet(what: str, done: int, total: int) -> None:
    return None


class InputFile:
    """Packed with gzip, xz or zstd (told by the first bytes), or not at all. Raises NoPermission or HostError."""

    def __init__(self, path: Path, progress: Progress = _quiet) -> None:
        self.path: Final = path
        self._progress = progress
        try:
            self.size: Final = path.stat().st_size
            if not path.is_file():
                raise IsADirectoryError(21, "not a file")
        except OSError as error:
            raise host_error(error, path) from error

    @property
    def name(self) -> str:
        """Without the ending of the packer."""
        return self.path.stem if self.path.suffix in (".gz", ".xz", ".zst") else self.path.name

    def chunks(self, what: str = "reading") -> Iterator[bytes]:
        """All bytes, unpacked. Raises ImportRejected where the packed file is damaged or cut off."""
        try:
            with open(self.path, "rb") as packed, _unpacked(packed) as file:
                done = 0
                while chunk := self._read(file, done):
                    done += len(chunk)
                    self._progress(what, packed.tell(), self.size)
                    yield chunk
        except OSError as error:
            raise host_error(error, self.path) from error

    def text_chunks(self, what: str = "reading") -> Iterator[bytes]:
        """The same of a file of lines: none grows without end in who waits for the line's end. Raises ImportRejected."""
        done = line = 0
        for chunk in self.chunks(what):
            first, last = chunk.find(b"\n"), chunk.rfind(b"\n")
            if line + (first if first >= 0 else len(chunk)) > LONGEST_LINE:
                raise ImportRejected(
                    file=str(self.path),
                    place=f"byte {done - line} unpacked",
                    reason=f"a line of more than {LONGEST_LINE >> 20} MiB: this is no such file",
                )
            line = len(chunk) - last - 1 if last >= 0 else line + len(chunk)
            done += len(chunk)
            yield chunk

    def _read(self, file: IO[bytes], done: int) -> bytes:
        try:
            return file.read(CHUNK)
        except (*_DAMAGE, _zstd().ZstdError) as error:
            reason = f"the packed file is damaged or cut off: {error}"
            raise ImportRejected(file=str(self.path), place=f"byte {done} unpacked", reason=reason) from None
        except OSError as error:
            if error.errno is None:  # the packer's own complaint, not the host's
                raise ImportRejected(
                    file=str(self.path), place=f"byte {done} unpacked", reason=str(error)
                ) from None
            raise

    def tell(self, what: str, done: int, total: int) -> None:
        """Progress of who reads the file by other means."""
        self._progress(what, done * self.size // max(total, 1), self.size)

    def head(self, size: int = 1 << 16) -> bytes:
        """The first bytes, unpacked."""
        found = b""
        for chunk in self.chunks("looking"):
            found += chunk
            if len(found) >= size:
                break
        return found[:size]

    def digest(self) -> str:
        """BLAKE2b of the unpacked bytes, 16 bytes in hexadecimal: the same for the same data however it is packed."""
        digest = blake2b(digest_size=16)
        for chunk in self.chunks("looking"):
            digest.update(chunk)
        return digest.hexdigest()


def _unpacked(packed: IO[bytes]) -> Any:
    magic = packed.read(6)
    packed.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=packed)
    if magic == b"\xfd7zXZ\x00":
        return lzma.LZMAFile(packed)
    if magic[:4] == b"\x28\xb5\x2f\xfd":
        return _zstd_file(packed)
    return packed


def _zstd_file(packed: IO[bytes]) -> Any:
    return _zstd().ZstdFile(packed)


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd
