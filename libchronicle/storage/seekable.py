"""A segment's cold form: independent zstd frames, what the manifest needs to know, and a seek table.

    ┌──────────────┬──────────────┬─────┬─────────────────────┬──────────────────────────────┐
    │ zstd frame 0 │ zstd frame 1 │  …  │ skippable 184D2A5D: │ skippable 184D2A5E:          │
    │ block 0      │ block 1      │     │ facts               │ seek table, 9 bytes of foot  │
    └──────────────┴──────────────┴─────┴─────────────────────┴──────────────────────────────┘

Each frame holds one block of the segment (all of one size but the last), its own content checksum and its size. The
seek table is that of the zstd project (contrib/seekable_format, version 0.1.0): per frame u32 compressed and u32
decompressed size, then u32 number of frames, u8 descriptor (0), u32 0x8F92EAB1. The facts count as a frame that holds
nothing: "CHRFACTS", u32 CRC-32 of the JSON, 16 bytes BLAKE2b of all frames before, JSON. `zstd -d` gives back the
segment; any reader of the seekable format can seek in it.

Bytes are read in two ways only: the tail, once, and one frame at a time. So a file in an object store costs what it
would cost here.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from zlib import crc32

from libchronicle.errors import BadSegment, ForeignFile, InvalidArgument

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["BLOCK_SIZE", "LEVEL", "SeekableZstd", "open_seekable", "write_seekable"]

BLOCK_SIZE: Final = 1 << 20
LEVEL: Final = 9

_FACTS_MAGIC: Final = 0x184D2A5D
_TABLE_MAGIC: Final = 0x184D2A5E
_FOOT_MAGIC: Final = 0x8F92EAB1
_SKIPPABLE: Final = struct.Struct("<II")
_ENTRY: Final = struct.Struct("<II")
_FOOT: Final = struct.Struct("<IBI")
_FACTS: Final = struct.Struct("<8sI16s")
_FACTS_HEAD: Final = b"CHRFACTS"
_TAIL: Final = 64 << 10
_READ: Final = 1 << 20
_MAX_BLOCK: Final = 1 << 28
_MAX_FRAMES: Final = 1 << 21

ReadRange = Callable[[int, int], bytes]
"""(offset, size) -> that many bytes of the file."""


def _zstd() -> Any:
    """The library: part of Python from 3.14 on."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


def write_seekable(
    data: Buffer,
    out: BinaryIO,
    facts: bytes = b"",
    *,
    level: int = LEVEL,
    block_size: int = BLOCK_SIZE,
    step: Callable[[str], object] = lambda name: None,
) -> int:
    """Write `data` in seekable form to `out`; the bytes written. `step` is called before each block.

    Raises InvalidArgument for a block size that is none.
    """
    if not 1 <= block_size <= _MAX_BLOCK:
        raise InvalidArgument(
            where="write_seekable", field="block_size", value=block_size, allowed=f"1 to {_MAX_BLOCK}"
        )
    zstd = _zstd()
    options = {
        zstd.CompressionParameter.compression_level: level,
        zstd.CompressionParameter.checksum_flag: 1,
        zstd.CompressionParameter.content_size_flag: 1,
    }
    view = memoryview(data).cast("B")
    entries = bytearray()
    digest = blake2b(digest_size=16)
    frames = written = 0
    for start in range(0, len(view), block_size):
        step("block")
        block = view[start : start + block_size]
        packed = zstd.compress(block, options=options)
        out.write(packed)
        digest.update(packed)
        entries += _ENTRY.pack(len(packed), len(block))
        frames, written = frames + 1, written + len(packed)
    if facts:
        body = _FACTS.pack(_FACTS_HEAD, crc32(facts), digest.digest()) + facts
        out.write(_SKIPPABLE.pack(_FACTS_MAGIC, len(body)))
        out.write(body)
        entries += _ENTRY.pack(_SKIPPABLE.size + len(body), 0)
        frames, written = frames + 1, written + _SKIPPABLE.size + len(body)
    table = bytes(entries) + _FOOT.pack(frames, 0, _FOOT_MAGIC)
    out.write(_SKIPPABLE.pack(_TABLE_MAGIC, len(table)))
    out.write(table)
    return written + _SKIPPABLE.size + len(table)


class SeekableZstd:
    """Blocks of one file in seekable form: a `BlockSource` of a SegmentSpan.

    `size` and `block_size` are those of what was compressed, `facts` the JSON stored with it (b"" without), `stored`
    the file's bytes. Raises ForeignFile if the file is none of the kind, BadSegment where it does not hold; what
    `read` raises comes through.
    """

    def __init__(
        self, read: ReadRange, stored: int, path: str, close: Callable[[], None] | None = None
    ) -> None:
        self.path, self.stored = path, stored
        self._read = read
        self._close: Callable[[], None] | None = None  # until all is well, closing is the caller's
        tail_at = max(0, stored - _TAIL)
        tail = self._exactly(tail_at, stored - tail_at)
        if len(tail) < _FOOT.size or _FOOT.unpack(tail[-_FOOT.size :])[2] != _FOOT_MAGIC:
            raise ForeignFile(
                path=path, reason="no seek table at its end: cut short, or no file of the archive"
            )
        frames, descriptor, _ = _FOOT.unpack(tail[-_FOOT.size :])
        entry = _ENTRY.size + 4 * (descriptor >> 7)
        table_size = frames * entry + _FOOT.size
        table_at = stored - table_size - _SKIPPABLE.size
        if descriptor & 0x7F or frames > _MAX_FRAMES or table_at < 0:
            raise self._bad("seek table", stored - _FOOT.size)
        table = (
            tail[table_at - tail_at :] if table_at >= tail_at else self._exactly(table_at, stored - table_at)
        )
        if _SKIPPABLE.unpack_from(table) != (_TABLE_MAGIC, table_size):
            raise self._bad("seek table", table_at)
        self._digest: bytes | None = None
        self._upto = table_at
        self._starts: list[int] = []
        self._sizes: list[tuple[int, int]] = []
        facts_at = self._read_entries(table, frames, entry, table_at)
        self.facts = self._read_facts(facts_at, tail, tail_at, table_at) if facts_at >= 0 else b""
        self._close = close

    def _read_entries(self, table: bytes, frames: int, entry: int, table_at: int) -> int:
        """Fill the blocks' places; the place of the facts, -1 without."""
        at, size, facts_at = 0, 0, -1
        for index in range(frames):
            packed, plain = _ENTRY.unpack_from(table, _SKIPPABLE.size + index * entry)
            if plain:
                self._starts.append(at)
                self._sizes.append((packed, plain))
            else:
                facts_at = at
            at += packed
            size += plain
        if at != table_at:
            raise self._bad("seek table does not add up", table_at)
        self.size = size
        self.block_size = self._sizes[0][1] if self._sizes else 1
        plains = [plain for _, plain in self._sizes]
        uneven = any(plain != self.block_size for plain in plains[:-1])
        if uneven or (plains and plains[-1] > self.block_size) or self.block_size > _MAX_BLOCK:
            raise self._bad("blocks of uneven size", table_at)
        return facts_at

    def _read_facts(self, at: int, tail: bytes, tail_at: int, upto: int) -> bytes:
        frame = tail[at - tail_at : upto - tail_at] if at >= tail_at else self._exactly(at, upto - at)
        least = _SKIPPABLE.size + _FACTS.size
        if len(frame) < least or _SKIPPABLE.unpack_from(frame) != (
            _FACTS_MAGIC,
            len(frame) - _SKIPPABLE.size,
        ):
            raise self._bad("facts", at)
        head, crc, digest = _FACTS.unpack_from(frame, _SKIPPABLE.size)
        if head != _FACTS_HEAD or crc != crc32(frame[least:]):
            raise self._bad("facts", at)
        self._digest, self._upto = digest, at
        return frame[least:]

    def check_stored(self) -> None:
        """Read the whole file against the digest kept in it. Raises BadSegment; does nothing where none is kept."""
        if self._digest is None:
            return
        digest = blake2b(digest_size=16)
        for at in range(0, self._upto, _READ):
            digest.update(self._exactly(at, min(_READ, self._upto - at)))
        if digest.digest() != self._digest:
            raise self._bad("not the bytes that were stored", 0)

    def digest(self) -> str:
        """BLAKE2b of all bytes of the file, 16 bytes in hexadecimal. Raises BadSegment."""
        digest = blake2b(digest_size=16)
        for at in range(0, self.stored, _READ):
            digest.update(self._exactly(at, min(_READ, self.stored - at)))
        return digest.hexdigest()

    @property
    def blocks(self) -> int:
        return len(self._starts)

    def read_block(self, block: int) -> bytes:
        """Block `block`, decompressed: its frame is read, its checksum looked at. Raises BadSegment."""
        zstd = _zstd()
        start, (packed, plain) = self._starts[block], self._sizes[block]
        frame = self._exactly(start, packed)
        try:
            said = zstd.get_frame_info(frame).decompressed_size
            if said not in (
                plain,
                None,
            ):  # before a byte is unpacked: a frame of hostile size is never given room
                raise self._bad(f"a frame of {said} bytes, not {plain}", start)
            expander = zstd.ZstdDecompressor()
            data: bytes = expander.decompress(frame, -1 if said else plain + 1)
        except zstd.ZstdError as error:
            raise self._bad(f"zstd: {error}", start) from None
        if len(data) != plain or not expander.eof or expander.unused_data:
            raise self._bad(f"a frame of {len(data)} bytes, not {plain}", start)
        return data

    def read_all(self) -> bytes:
        """All of it. For tests and small files: memory is that of the whole."""
        return b"".join(self.read_block(block) for block in range(self.blocks))

    def close(self) -> None:
        """Give the file back; a block asked for afterwards fails."""
        close, self._close = self._close, None
        if close is not None:
            close()

    def __del__(self) -> None:
        self.close()

    def _exactly(self, offset: int, size: int) -> bytes:
        data = self._read(offset, size)
        if len(data) != size:
            raise self._bad(f"cut short: {len(data)} of {size} bytes", offset)
        return data

    def _bad(self, reason: str, offset: int) -> BadSegment:
        return BadSegment(path=self.path, reason=reason, offset=offset, seq=-1)


def open_seekable(path: str | os.PathLike[str]) -> SeekableZstd:
    """A file in seekable form on this host.

    It stays open, so it may be unlinked meanwhile. Raises as SeekableZstd, and OSError.
    """
    where = os.fspath(path)
    fd = os.open(where, os.O_RDONLY | os.O_CLOEXEC)

    def read(offset: int, size: int) -> bytes:
        return os.pread(fd, size, offset)

    try:
        return SeekableZstd(read, os.fstat(fd).st_size, where, lambda: os.close(fd))
    except BaseException:
        os.close(fd)
        raise
