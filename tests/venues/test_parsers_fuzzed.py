"""Whatever bytes a file holds, a parser gives records or ImportRejected, never another error, and reads nothing else."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

import pytest

from libchronicle.errors import ImportRejected
from libchronicle.protocol import instrument_id
from libchronicle.venues.batch import RecordBatch
from libchronicle.venues.definition import Figures, recorded_instrument
from libchronicle.venues.itch import LENGTHS, ItchParser
from libchronicle.venues.lobster import LobsterParser
from libchronicle.venues.pcap import packets, udp_payload
from libchronicle.venues.tardis import TardisParser, TardisSurvey, read_header

ROUNDS = 1500
T = 1_585_699_200_000_000


def lobster(text: bytes, batch: RecordBatch) -> None:
    parser = LobsterParser(instrument_id("nasdaq:X"), 0, batch)
    parser.seed(text.partition(b"\n")[0], b"101,5,100,7")
    parser.feed(text)
    parser.finish()


def tardis(text: bytes, batch: RecordBatch) -> None:
    header, _, rows = text.partition(b"\n")
    layout = read_header(header)
    survey = TardisSurvey(layout)
    survey.feed(rows)
    survey.finish()
    parser = TardisParser(layout, recorded_instrument("x", "Y", Figures(5, 2), Figures(5, 2)), batch)
    parser.feed(rows)
    parser.finish()


def itch(text: bytes, batch: RecordBatch) -> None:
    parser = ItchParser(0, batch)
    parser.feed(text)
    parser.finish()


def mold(text: bytes, batch: RecordBatch) -> None:
    parser = ItchParser(0, batch)
    for start in range(0, len(text), 200):
        parser.packet(text[start : start + 200], start)


def pcap(text: bytes, batch: RecordBatch) -> None:
    for packet in packets([text[:50], text[50:]]):
        udp_payload(packet)


def csv_rows(header: str, row: Callable[[int], str]) -> bytes:
    return (header + "\n" + "".join(row(i) + "\n" for i in range(8))).encode()


def message(kind: str, at: int, random: Random) -> bytes:
    length = LENGTHS[kind]
    head = kind.encode() + struct.pack(">HH", 1, 0) + at.to_bytes(6, "big")
    body = head + random.randbytes(length - 11) if random.random() < 0.5 else head.ljust(length, b"\1")
    return length.to_bytes(2, "big") + body


def itch_file(random: Random) -> bytes:
    return b"".join(message(random.choice(list(LENGTHS)), at, random) for at in range(20))


def mold_packets(random: Random) -> bytes:
    return b"".join(
        (
            b"0123456789" + struct.pack(">QH", i * 3, 3) + b"".join(message("D", i, random) for _ in range(3))
        ).ljust(200, b"\0")
        for i in range(4)
    )


def capture(random: Random) -> bytes:
    frame = bytes(12) + b"\x08\x00\x45" + random.randbytes(60)
    return (
        struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)
        + (struct.pack("<IIII", 5, 5, len(frame), len(frame)) + frame) * 3
    )


L2 = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
SOURCES: dict[str, tuple[Callable[[bytes, RecordBatch], None], Callable[[Random], bytes]]] = {
    "lobster": (
        lobster,
        lambda r: csv_rows("34200,1,1,5,100,1", lambda i: f"3420{i}.5,{r.randint(1, 7)},{i},5,100,-1"),
    ),
    "tardis": (
        tardis,
        lambda r: csv_rows(
            L2, lambda i: f"x,Y,{T + i},{T + i},{'true' if i < 3 else 'false'},bid,{i}.25,{i}"
        ),
    ),
    "itch": (itch, itch_file),
    "mold": (mold, mold_packets),
    "pcap": (pcap, capture),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_damaged_input_gives_records_or_a_refusal(kind: str) -> None:
    run, make = SOURCES[kind]
    refused = 0
    for seed in range(ROUNDS):
        random = Random(seed)
        text = bytearray(make(random))
        for _ in range(random.randint(0, 4)):
            at = random.randrange(len(text))
            match random.randint(0, 3):
                case 0:
                    text[at] ^= 1 << random.randint(0, 7)
                case 1:
                    del text[at : at + random.randint(1, 30)]
                case 2:
                    text[at:at] = random.randbytes(random.randint(1, 9))
                case 3:
                    text[at:at] = b",0.\n-"[random.randint(0, 4) :]
            text = text or bytearray(b"x")
        batch = RecordBatch()
        try:
            run(bytes(text), batch)
        except ImportRejected:
            refused += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error
        batch.messages()  # what was made can be read
    assert 0 < refused < ROUNDS
