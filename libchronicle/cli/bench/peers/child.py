"""One of the two processes of a measurement: `python child.py ADAPTER ROLE DIRECTORY`.

It runs under whatever interpreter has the peer's package, by path, and so imports the standard library and the adapter only.
Prints `open` when its handles are open, waits for a line, does its part and prints one JSON object.

facts      version of the package; fails where it is not installed
serve      what the peer needs beside the two processes, until a line comes
ping, echo round trips over channels `there` and `back`
pump, take COUNT messages over channel `there`, one call each
pump_many, take_many   the same with the peer's calls for many at once
leave      COUNT numbered messages, then wait to be killed
find       how many of them a process that opens afterwards can read
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import importlib.util
import json
import os
import platform
import sys
import time
from array import array
from typing import Any

PAYLOAD = bytes(range(64))
BATCH = 1000
_WARM = 2000
_SILENT_NS = 500_000_000  # a peer that loses messages ends its run by falling silent

# As timeit does, the adapter's own calls are put into the text of the loop, so that no peer pays for a wrapper:
#   NOT_SENT   an expression that is true while `payload` found no room, built on `send`
#   NOTHING    one that is true while nothing has come, built on `receive`
#   LOOKED     what a receiver does when it has found nothing or has a batch behind it: the commit of a peer that has one
#   POLL       one that is the number of messages a call of `receive` has handled, for peers that hand over several
_LOOPS = """
def ping(send, receive, payload, took, clock):
    for i in range(len(took)):
        began = clock()
        while NOT_SENT:
            pass
        while NOTHING:
            pass
        took[i] = clock() - began

def echo(send, receive, payload):
    while True:
        while NOTHING:
            pass
        while NOT_SENT:
            pass

def pump(send, payload, count):
    done = 0
    while done < count:
        try:
            for done in range(done, count):
                while NOT_SENT:
                    pass
            done = count
        except FULL:
            pass

def take(receive, count, silence):
    got = seen = 0
    while got < count:
        while not NOTHING:
            got += 1
        LOOKED
        if got != seen:
            seen = got
            silence.broken()
        elif silence.lasts():
            break
    return got

def poll(receive, count, silence):
    got = seen = 0
    while got < count:
        got += POLL
        LOOKED
        if got != seen:
            seen = got
            silence.broken()
        elif silence.lasts():
            break
    return got
"""


class Silence:
    """Whether nothing has come for half a second after something has. Looks at the clock at every 1024th empty poll only."""

    def __init__(self) -> None:
        self.polls = 0
        self.began_ns = 0

    def broken(self) -> None:
        self.polls = 0
        self.began_ns = 1

    def lasts(self) -> bool:
        self.polls += 1
        if self.began_ns == 0 or self.polls % 1024:
            return False
        now = time.monotonic_ns()
        if self.began_ns == 1:
            self.began_ns = now
        return now - self.began_ns > _SILENT_NS


def load(path: str) -> Any:
    """The adapter, a module beside nothing else."""
    spec = importlib.util.spec_from_file_location("adapter", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def loops(adapter: Any, poll: str = "POLL") -> dict[str, Any]:
    """The loops of this file around the adapter's calls; they see the adapter's names."""
    text = _LOOPS
    for word, otherwise in (("NOT_SENT", "send(payload) is NEVER"), ("NOTHING", "receive() is None")):
        text = text.replace(word, f"({getattr(adapter, word, otherwise)})")
    text = text.replace("POLL", f"({getattr(adapter, poll, 'receive()')})")
    text = text.replace("LOOKED", getattr(adapter, "LOOKED", "pass"))
    names: dict[str, Any] = {"NEVER": object(), "FULL": (), **vars(adapter)}
    exec(compile(text, adapter.__file__, "exec"), names)
    return names


def ready() -> None:
    """Both sides are open before either begins."""
    gc.collect()
    gc.freeze()
    gc.disable()
    print("open", flush=True)
    sys.stdin.readline()


def warmed_up(run: Any, send: Any, receive: Any, seconds: float) -> float:
    """Round trips until 2,000 are done or a fifth of `seconds` is over; nanoseconds of one."""
    began = time.monotonic_ns()
    done = 0
    while done < _WARM and time.monotonic_ns() - began < seconds * 2e8:
        run(send, receive, PAYLOAD, array("q", bytes(8 * 50)), time.perf_counter_ns)
        done += 50
    return (time.monotonic_ns() - began) / done


def ping(adapter: Any, where: str, options: argparse.Namespace) -> dict[str, Any]:
    send = adapter.open_sender(where, "there")
    receive = adapter.open_receiver(where, "back")
    run = loops(adapter)["ping"]
    ready()
    one_ns = warmed_up(run, send, receive, options.seconds)
    count = max(100, min(options.count, round(options.seconds * 1e9 / one_ns)))
    took = array("q", bytes(8 * count))
    run(send, receive, PAYLOAD, took, time.perf_counter_ns)
    ordered = sorted(took)
    return {"p50_ns": ordered[count // 2], "p99_ns": ordered[count * 99 // 100], "n": count}


def echo(adapter: Any, where: str, _options: argparse.Namespace) -> dict[str, Any]:
    send = adapter.open_sender(where, "back")
    receive = adapter.open_receiver(where, "there")
    run = loops(adapter)["echo"]
    ready()
    run(send, receive, PAYLOAD)  # until it is ended
    return {}


def pump(adapter: Any, where: str, options: argparse.Namespace) -> dict[str, Any]:
    send = adapter.open_sender(where, "there")
    run = loops(adapter)["pump"]
    ready()
    began = time.monotonic_ns()
    run(send, PAYLOAD, options.count)
    return linger({"began_ns": began})


def take(adapter: Any, where: str, options: argparse.Namespace) -> dict[str, Any]:
    receive = adapter.open_receiver(where, "there")
    run = loops(adapter)["poll" if hasattr(adapter, "POLL") else "take"]
    ready()
    return taken(run, receive, options.count)


def pump_many(adapter: Any, where: str, options: argparse.Namespace) -> dict[str, Any]:
    send_many = adapter.open_batch_sender(where, "there")
    batch = [PAYLOAD] * BATCH
    ready()
    began = time.monotonic_ns()
    for _ in range(options.count // BATCH):
        send_many(batch)
    return linger({"began_ns": began})


def take_many(adapter: Any, where: str, options: argparse.Namespace) -> dict[str, Any]:
    receive_many = adapter.open_batch_receiver(where, "there")
    run = loops(adapter, "POLL_MANY")["poll"]
    ready()
    return taken(run, receive_many, options.count)


def linger(result: dict[str, Any]) -> dict[str, Any]:
    """A sender that leaves early would take with it what some peers still hold for the receiver."""
    print(json.dumps(result), flush=True)
    sys.stdin.readline()
    return {}


def taken(run: Any, receive: Any, count: int) -> dict[str, Any]:
    silence = Silence()
    got = run(receive, count, silence)
    return {"got": got, "ended_ns": silence.began_ns if got < count else time.monotonic_ns()}


def leave(adapter: Any, where: str, options: argparse.Namespace) -> dict[str, Any]:
    send = adapter.open_sender(where, "there")
    run = loops(adapter)["pump"]
    ready()
    for n in range(options.count):
        run(send, numbered(n), 1)
    return linger({"sent": options.count})


def hold(adapter: Any, where: str, _options: argparse.Namespace) -> dict[str, Any]:
    receive = adapter.open_receiver(where, "there")
    ready()
    return linger({"held": receive is not None})


def find(adapter: Any, where: str, options: argparse.Namespace) -> dict[str, Any]:
    receive = getattr(adapter, "open_finder", adapter.open_receiver)(where, "there")
    ready()
    until = time.monotonic() + 1
    found = 0
    while found < options.count and time.monotonic() < until:
        message = receive()
        if message is not None:
            if bytes(getattr(adapter, "payload", bytes)(message)) != numbered(found):
                break
            found += 1
    return {"found": found}


def numbered(n: int) -> bytes:
    return n.to_bytes(8, "little") + PAYLOAD[8:]


def facts(adapter: Any, where: str, _options: argparse.Namespace) -> dict[str, Any]:
    if where:
        adapter.open_sender(where, "facts")
    version = importlib.metadata.version(adapter.PACKAGE)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return {
        "version": version,
        "python": python,
        "batches": hasattr(adapter, "open_batch_sender"),
        "serves": hasattr(adapter, "serve"),
    }


def serve(adapter: Any, where: str, _options: argparse.Namespace) -> dict[str, Any]:
    stop = adapter.serve(where)
    ready()
    stop()
    return {}


_ROLES = (facts, serve, ping, echo, pump, take, pump_many, take_many, leave, hold, find)


def main() -> None:
    roles = {role.__name__: role for role in _ROLES}
    parser = argparse.ArgumentParser()
    parser.add_argument("adapter")
    parser.add_argument("role", choices=roles)
    parser.add_argument("where")
    parser.add_argument("--core", type=int, default=-1)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.0)
    options = parser.parse_args()
    sys.path.pop(0)  # this directory's names are not the peers'
    if options.core >= 0:
        os.sched_setaffinity(0, {options.core})
    print(json.dumps(roles[options.role](load(options.adapter), options.where, options)), flush=True)
    os._exit(0)  # peers' own threads may still wait for one another


if __name__ == "__main__":
    main()
