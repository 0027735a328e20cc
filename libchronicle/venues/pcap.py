"""Captured packets: the classic PCAP file, and the way down to the payload of a UDP packet. Bytes in, no I/O.

    file     magic u32 | version u16 u16 | zone i32 | sigfigs u32 | snaplen u32 | link type u32        24 bytes
    packet   seconds u32 | fraction u32 | captured u32 | original u32 | captured bytes
             The magic tells the byte order and whether the fraction is µs (a1b2c3d4) or ns (a1b23c4d).
    link     1 Ethernet, any number of VLAN tags (802.1Q, 802.1ad) · 101 bare IP · 113 and 276 Linux "cooked"
    IP       version 4 with options, or 6 without extension headers; then UDP

Sources: "PCAP Capture File Format" (draft-ietf-opsawg-pcap), "Link-layer header types" of tcpdump.org, RFC 791, 8200, 768.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from libchronicle.errors import ImportRejected

__all__ = ["Packet", "packets", "udp_payload"]

_MAGICS: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
_PCAPNG: Final = b"\x0a\x0d\x0d\x0a"
_LARGEST: Final = 1 << 20  # of one packet: more is damage

_LINKS: Final = {1: (12, 14), 113: (14, 16), 276: (0, 20)}  # type: (where the protocol stands, length of the header)
_RAW_IP: Final = (12, 14, 101)
_VLAN: Final = (0x8100, 0x88A8)
_IPV4: Final = 0x0800
_IPV6: Final = 0x86DD
_UDP: Final = 17


class Packet(NamedTuple):
    """`ts_ns`: when it was captured, ns since the Unix epoch."""

    ts_ns: int
    link: int
    data: bytes


def packets(chunks: Iterable[bytes], file: str = "PCAP") -> Iterator[Packet]:
    """Packets of a capture given in chunks, cut anywhere. Raises ImportRejected: no PCAP file, or damaged."""
    source = _Source(chunks, file)
    order, scale, link = _head(source)
    packet_head = struct.Struct(order + "4I")
    while head := source.take(16, "the head of a packet"):
        seconds, fraction, captured, _ = packet_head.unpack(head)
        if captured > _LARGEST or fraction * scale >= 1_000_000_000:
            raise source.rejected(f"no head of a packet: {captured} bytes, fraction {fraction}")
        data = source.take(captured, "a packet") if captured else b""
        if len(data) < captured:
            raise source.rejected("the file ends before a packet's bytes")
        yield Packet(seconds * 1_000_000_000 + fraction * scale, link, data)


def _head(source: _Source) -> tuple[str, int, int]:
    head = source.take(24, "the head of the file")
    if head[:4] == _PCAPNG:
        raise source.rejected("this is pcapng; convert it: editcap -F nsecpcap in.pcapng out.pcap")
    if head[:4] not in _MAGICS:
        raise source.rejected("this is no PCAP file")
    order, scale = _MAGICS[head[:4]]
    return order, scale, struct.unpack_from(order + "I", head, 20)[0] & 0xFFFF


class _Source:
    """Chunks as one run of bytes."""

    def __init__(self, chunks: Iterable[bytes], file: str) -> None:
        self._chunks = iter(chunks)
        self._data = b""
        self._at = 0
        self._before = 0
        self._file = file

    def take(self, count: int, what: str) -> bytes:
        """So many bytes, or none at the end. Raises ImportRejected when the end comes within them."""
        while len(self._data) - self._at < count:
            more = next(self._chunks, None)
            if more is None:
                if len(self._data) == self._at:
                    return b""
                raise self.rejected(f"the file is cut off within {what}")
            self._before += self._at
            self._data, self._at = self._data[self._at :] + more, 0
        self._at += count
        return self._data[self._at - count : self._at]

    def rejected(self, reason: str) -> ImportRejected:
        return ImportRejected(file=self._file, place=f"byte {self._before + self._at}", reason=reason)


def udp_payload(packet: Packet) -> bytes | None:
    """What a UDP packet carries; None for anything else, for fragments, and for packets captured in part."""
    found = _network(packet)
    if found is None:
        return None
    protocol, data = found
    carried = _ipv4(data) if protocol == _IPV4 else _ipv6(data) if protocol == _IPV6 else None
    if carried is None or len(carried) < 8:
        return None
    length = int.from_bytes(carried[4:6], "big")
    return carried[8:length] if 8 <= length <= len(carried) else None


def _network(packet: Packet) -> tuple[int, bytes] | None:
    data = packet.data
    if packet.link in _RAW_IP and data:
        return (_IPV4 if data[0] >> 4 == 4 else _IPV6), data
    if packet.link not in _LINKS:
        return None
    at, end = _LINKS[packet.link]
    protocol = int.from_bytes(data[at : at + 2], "big")
    while protocol in _VLAN and len(data) >= end + 4:
        protocol = int.from_bytes(data[end + 2 : end + 4], "big")
        end += 4
    return protocol, data[end:]


def _ipv4(data: bytes) -> bytes | None:
    if len(data) < 20 or data[0] >> 4 != 4 or data[9] != _UDP:
        return None
    head, total = (data[0] & 15) * 4, int.from_bytes(data[2:4], "big")
    fragment = int.from_bytes(data[6:8], "big") & 0x3FFF  # more to come, or not the first
    return None if fragment or head < 20 or not head <= total <= len(data) else data[head:total]


def _ipv6(data: bytes) -> bytes | None:
    if len(data) < 40 or data[0] >> 4 != 6 or data[6] != _UDP:
        return None
    total = 40 + int.from_bytes(data[4:6], "big")
    return data[40:total] if total <= len(data) else None
