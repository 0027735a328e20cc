"""One way between two Python processes, 64 bytes, both spinning.

`p50_ns` and its kin are half a round trip: a record goes to the other process, which answers it by one in a queue of its
own, and the next leaves when the answer is there. `paced_*` is one way by the clock, a record every 10 µs whatever the
machine does: from the record's timestamp, taken inside append, to next() having returned it. Where the machine stands
still for 1 ms, that is one slow round trip but a hundred slow paced records, so the paced tail describes the machine.
`socket_*` is the same over Unix datagram sockets, spun on too.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from statistics import median
from time import perf_counter_ns
from typing import Any

from libchronicle.cli.bench import _queue_peer
from libchronicle.cli.bench.append import PAYLOAD
from libchronicle.cli.bench.harness import BenchOptions, undisturbed
from libchronicle.clock import now_ns
from libchronicle.queue import Queue, QueueConfig

SEGMENT = QueueConfig(segment_size=64 << 20)
_INTERVAL_NS = 10_000
_WARM = 1000


def _round_trips(options: BenchOptions, core: int, count: int) -> list[int]:
    took = [0] * (count + _WARM)
    with options.scratch() as where, Queue.open_publisher(where / "q", SEGMENT) as writer:
        peer = _queue_peer.start("pong", where / "q", core, count + _WARM)
        with Queue.open_subscriber(where / "q.back", None, start="earliest") as reader:
            append, next_record, clock = writer.append, reader.next, perf_counter_ns
            began = clock()
            for n in range(count + _WARM):
                append(1, PAYLOAD)
                while next_record() is None:
                    pass
                ended = clock()
                took[n] = ended - began
                began = ended
        _queue_peer.result(peer)
    return sorted(nanoseconds // 2 for nanoseconds in took[_WARM:])


def _socket_round_trips(options: BenchOptions, core: int, count: int) -> list[int]:
    took = [0] * (count + _WARM)
    with options.scratch() as where, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.bind(str(where / "s.back"))
        own.setblocking(False)
        peer = _queue_peer.start("socket-pong", where / "s", core, count + _WARM)
        own.connect(str(where / "s"))
        send, receive, view, clock = own.send, own.recv_into, bytearray(64), perf_counter_ns
        began = clock()
        for n in range(count + _WARM):
            send(PAYLOAD)
            while True:
                try:
                    receive(view)
                    break
                except BlockingIOError:
                    continue
            ended = clock()
            took[n] = ended - began
            began = ended
        _queue_peer.result(peer)
    return sorted(nanoseconds // 2 for nanoseconds in took[_WARM:])


def _paced(options: BenchOptions, core: int, count: int) -> list[int]:
    with options.scratch() as where, Queue.open_publisher(where / "q", SEGMENT) as writer:
        peer = _queue_peer.start("latency", where / "q", core, count + _WARM)
        append, clock = writer.append, now_ns
        due = clock()
        for _ in range(count + _WARM):
            due += _INTERVAL_NS
            while clock() < due:
                pass
            append(1, PAYLOAD)
        took = _queue_peer.result(peer)["took"]
        assert isinstance(took, list)
        return sorted(took[_WARM:])


def _paced_socket(options: BenchOptions, core: int, count: int) -> list[int]:
    with options.scratch() as where, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        peer = _queue_peer.start("socket", where / "s", core, count + _WARM)
        out.connect(str(where / "s"))
        send, clock, rest = out.send, now_ns, PAYLOAD[8:]
        due = clock()
        for _ in range(count + _WARM):
            due += _INTERVAL_NS
            while clock() < due:
                pass
            send(clock().to_bytes(8, "little") + rest)
        took = _queue_peer.result(peer)["took"]
        assert isinstance(took, list)
        return sorted(took[_WARM:])


def _at(runs: Sequence[Sequence[int]], share: float) -> int:
    return round(median(took[min(len(took) - 1, int(share * len(took)))] for took in runs))


def _figures(prefix: str, runs: Sequence[Sequence[int]]) -> dict[str, int]:
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
    result = {f"{prefix}{name}_ns": _at(runs, share) for name, share in shares.items()}
    result[f"{prefix}max_ns"] = max(took[-1] for took in runs)
    return result


def run(options: BenchOptions) -> dict[str, Any]:
    count, repeats = (3_000, 1) if options.tiny else (200_000, options.repeats)
    own_core, peer_core = options.pair()
    with undisturbed(own_core):
        trips = [_round_trips(options, peer_core, count) for _ in range(repeats)]
        paced = [_paced(options, peer_core, count // 2) for _ in range(repeats)]
        socket_trips = [_socket_round_trips(options, peer_core, count // 4)]
        socket_paced = [_paced_socket(options, peer_core, count // 4)]
    return {
        **_figures("", trips),
        **_figures("paced_", paced),
        **_figures("socket_", socket_trips),
        **_figures("socket_paced_", socket_paced),
        "n": count,
        "hash": f"{sum(map(len, trips)) + sum(map(len, paced)):x}",
    }
