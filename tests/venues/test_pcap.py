"""The PCAP reader beside dpkt, an independent implementation; and what damaged files get."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest

from libchronicle.errors import ImportRejected
from libchronicle.venues.pcap import Packet, packets, udp_payload

dpkt = pytest.importorskip("dpkt")


def capture(
    frames: list[tuple[int, bytes]], magic: int = 0xA1B23C4D, order: str = "<", link: int = 1
) -> bytes:
    scale = 1 if magic == 0xA1B23C4D else 1000
    text = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for ts, data in frames:
        text += struct.pack(order + "IIII", ts // 10**9, ts % 10**9 // scale, len(data), len(data)) + data
    return text


def udp(payload: bytes, options: bytes = b"", tags: int = 0, fragment: int = 0) -> bytes:
    datagram = struct.pack(">HHHH", 1, 2, 8 + len(payload), 0) + payload
    length = 20 + len(options) + len(datagram)
    head = struct.pack(">BBHHHBBH8s", 0x45 + len(options) // 4, 0, length, 0, fragment, 9, 17, 0, bytes(8))
    vlan = b"".join(b"\x81\x00\x00\x05" for _ in range(tags))
    return bytes(12) + vlan + b"\x08\x00" + head + options + datagram


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("magic", [0xA1B2C3D4, 0xA1B23C4D])
def test_every_byte_order_and_resolution(order: str, magic: int) -> None:
    ts = 1_692_711_000_123_456_000
    made = capture([(ts, udp(b"one")), (ts + 1_000_000, udp(b"two"))], magic, order)
    for chunk in (1, 5, 1 << 20):
        found = list(packets(made[i : i + chunk] for i in range(0, len(made), chunk)))
        assert [p.ts_ns for p in found] == [ts, ts + 1_000_000]
        assert [udp_payload(p) for p in found] == [b"one", b"two"]


@pytest.mark.recording
def test_the_fixtures_read_as_dpkt_reads_them(chronicle_data: Path) -> None:
    for file in sorted((chronicle_data / "itch").glob("*.pcap")):
        text = file.read_bytes()
        oracle = list(dpkt.pcap.Reader(io.BytesIO(text)))
        mine = list(packets([text]))
        assert [p.data for p in mine] == [data for _, data in oracle]
        assert [p.ts_ns / 1e9 for p in mine] == pytest.approx([float(ts) for ts, _ in oracle])
        for packet, (_, data) in zip(mine, oracle, strict=True):
            assert udp_payload(packet) == bytes(dpkt.ethernet.Ethernet(data).data.data.data)


def test_tags_options_and_other_links() -> None:
    assert udp_payload(Packet(0, 1, udp(b"x", tags=2))) == b"x"
    assert udp_payload(Packet(0, 1, udp(b"x", options=bytes(8)))) == b"x"
    assert udp_payload(Packet(0, 1, udp(b"x") + bytes(20))) == b"x"  # Ethernet fills short packets up
    assert udp_payload(Packet(0, 101, udp(b"x")[14:])) == b"x"
    assert udp_payload(Packet(0, 113, bytes(14) + b"\x08\x00" + udp(b"x")[14:])) == b"x"
    v6 = struct.pack(">IHBB", 6 << 28, 9, 17, 64) + bytes(32) + struct.pack(">HHHH", 1, 2, 9, 0) + b"x"
    assert udp_payload(Packet(0, 1, bytes(12) + b"\x86\xdd" + v6)) == b"x"


def test_what_is_no_whole_udp_packet_is_passed_over() -> None:
    assert udp_payload(Packet(0, 1, udp(b"x", fragment=0x2000))) is None
    assert udp_payload(Packet(0, 1, udp(b"x", fragment=5))) is None
    assert udp_payload(Packet(0, 147, udp(b"x"))) is None
    assert udp_payload(Packet(0, 1, b"")) is None
    whole = udp(b"payload")
    assert all(udp_payload(Packet(0, 1, whole[:n])) is None for n in range(len(whole)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"no capture at all, but long enough", "no PCAP"),
        (b"", "no PCAP"),
        (b"\x0a\x0d\x0d\x0a" + bytes(30), "editcap"),
        (capture([(1, b"abc")])[:-1], "cut off within a packet"),
        (capture([(1, b"abc")])[:30], "cut off within the head"),
        (capture([])[:24] + struct.pack("<4I", 1, 1, 1 << 30, 1), "no head of a packet"),
    ],
)
def test_a_damaged_capture_is_refused_with_its_place(text: bytes, reason: str) -> None:
    with pytest.raises(ImportRejected, match=reason):
        list(packets([text], "x.pcap"))
