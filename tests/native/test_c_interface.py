"""The stable C interface: the example as printed, beside Python and both ways; the library by its own symbols only."""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from libchronicle.cli.native_build import EXAMPLE, NATIVE
from libchronicle.queue import Queue, QueueConfig, check, inspect

CHRONICLE = str(Path(sys.executable).parent / "chronicle")
CONFIG = QueueConfig(segment_size=1 << 16, retain_segments=10_000)

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler is installed")


def shell(command: str, directory: Path) -> str:
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=directory,
        env={**os.environ, "PATH": f"{Path(CHRONICLE).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the command that its own comment gives."""
    directory = tmp_path_factory.mktemp("example")
    shutil.copy(EXAMPLE, directory)
    (line,) = [line for line in EXAMPLE.read_text().splitlines() if "cc -O2" in line]
    shell(line.strip("* "), directory)
    return directory / "both_ways"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("library")
    made = shell(f"chronicle native --build {directory}", directory).split()
    assert {Path(name).name for name in made} == {
        "libchronicle.a",
        "libchronicle.so",
        "chronicle.h",
        "chronicle.pc",
    }
    return directory


def test_the_example_is_short() -> None:
    assert len(EXAMPLE.read_text().splitlines()) <= 60


def test_c_reads_what_python_writes_and_python_reads_what_c_writes_at_the_same_time(
    tmp_path: Path, example: Path
) -> None:
    count, seed = 20_000, random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    payloads = [rng.randbytes(rng.randrange(0, 300)) for _ in range(count)]
    inbound, outbound = tmp_path / "in", tmp_path / "out"
    with Queue.open_publisher(inbound, CONFIG) as writer:
        process = subprocess.Popen([str(example), str(inbound), str(outbound), str(count)])

        def write() -> None:
            for number, payload in enumerate(payloads):
                writer.append(1 + number % 7, payload)

        thread = threading.Thread(target=write)
        thread.start()
        got: list[tuple[int, bytes]] = []
        while (reader := Queue.try_open_subscriber(outbound, "python", CONFIG)) is None:
            assert process.poll() in (None, 0)
            time.sleep(0.001)
        with reader:
            deadline = time.monotonic() + 60
            while len(got) < count:
                assert time.monotonic() < deadline, f"{len(got)} of {count}"
                reader.wait(0.1)
                got += [(m.type_id, bytes(m)) for m in reader]
        thread.join()
        assert process.wait(30) == 0
    assert got == [(1 + n % 7, payload[::-1]) for n, payload in enumerate(payloads)]
    assert len(inspect(inbound).segments) > 10
    assert len(inspect(outbound).segments) > 10
    for path in (inbound, outbound):
        assert check(path).faults == []
    (page,) = inspect(inbound).readers
    assert (page.name, page.seq) == ("example", count)


def test_the_example_resumes_after_kill_9(tmp_path: Path, example: Path) -> None:
    inbound, outbound = tmp_path / "in", tmp_path / "out"
    with Queue.open_publisher(inbound, CONFIG) as writer:
        for n in range(3000):
            writer.append(1, n.to_bytes(4, "little"))
    process = subprocess.Popen([str(example), str(inbound), str(outbound), "1000000"])
    while not (outbound / "READY").exists() or inspect(outbound).next_seq < 3000:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with Queue.open_publisher(inbound, CONFIG) as writer:
        for n in range(3000, 3100):
            writer.append(1, n.to_bytes(4, "little"))
    assert subprocess.run([str(example), str(inbound), str(outbound), "100"], check=False).returncode == 0
    with Queue.open_subscriber(outbound, None, start="earliest") as reader:
        values = [int.from_bytes(bytes(m), "big") for m in reader]
    assert values[:3000] == list(range(3000))
    assert values[-1] in (3098, 3099), "at most the record in hand was done twice"


def test_errors_have_a_code_and_a_sentence(tmp_path: Path, example: Path) -> None:
    missing = subprocess.run(
        [str(example), str(tmp_path / "absent"), str(tmp_path / "o"), "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert missing.returncode == 75
    assert "no queue yet" in missing.stderr
    Queue.open_publisher(tmp_path / "in", CONFIG).close()
    with Queue.open_publisher(tmp_path / "out", CONFIG):
        taken = subprocess.run(
            [str(example), str(tmp_path / "in"), str(tmp_path / "out"), "1"],
            capture_output=True,
            text=True,
            check=False,
        )
    assert taken.returncode == 1
    assert f"a writer is already active ({os.getpid()}, 0, 0)" in taken.stderr


def test_the_header_is_plain_c_and_c_plus_plus(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text(
        '#include "chronicle.h"\nint main(void) { return chronicle_abi() != CHRONICLE_ABI; }\n'
    )
    shell(f"cc -std=c99 -pedantic -Wall -Wextra -Werror -fsyntax-only -I{NATIVE} a.c", tmp_path)
    if shutil.which("c++"):
        shell(f"c++ -x c++ -Wall -Werror -fsyntax-only -I{NATIVE} a.c", tmp_path)


def test_the_library_exports_its_own_names_only_and_links_both_ways(tmp_path: Path, library: Path) -> None:
    if shutil.which("nm"):
        exported = shell(f"nm -D --defined-only {library}/libchronicle.so", tmp_path)
        names = {line.split()[-1] for line in exported.splitlines()}
        assert {name for name in names if not name.startswith(("chronicle_", "_"))} == set()
        assert len(names) > 20
    source = '#include "chronicle.h"\nint main(void) { return chronicle_abi() - 1; }\n'
    (tmp_path / "a.c").write_text(source)
    shell(f"cc -o static a.c -I{library} {library}/libchronicle.a -pthread && ./static", tmp_path)
    shell(
        f"cc -o shared a.c -I{library} -L{library} -lchronicle && LD_LIBRARY_PATH={library} ./shared",
        tmp_path,
    )


class Error(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_int32),
        ("sys_errno", ctypes.c_int32),
        ("facts", ctypes.c_uint64 * 3),
        ("path", ctypes.c_char * 512),
        ("reason", ctypes.c_char * 96),
    )


class Message(ctypes.Structure):
    _fields_ = (
        ("payload", ctypes.c_void_p),
        ("size", ctypes.c_uint32),
        ("type_id", ctypes.c_uint16),
        ("flags", ctypes.c_uint8),
        ("version", ctypes.c_uint8),
        ("seq", ctypes.c_uint64),
        ("ts_ns", ctypes.c_int64),
        ("epoch", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    )


@pytest.fixture
def lib(library: Path) -> ctypes.CDLL:
    """The shared library as a foreign language sees it: by names and layouts of version 1, written down here."""
    found = ctypes.CDLL(str(library / "libchronicle.so"))
    for name in ("open_writer", "open_reader", "reserve", "writer_error", "reader_error"):
        getattr(found, f"chronicle_{name}").restype = ctypes.c_void_p
    for name in ("append", "commit"):
        getattr(found, f"chronicle_{name}").restype = ctypes.c_int64
    found.chronicle_code_name.restype = ctypes.c_char_p
    return found


def test_every_function_by_its_version_1_signature(tmp_path: Path, lib: ctypes.CDLL) -> None:
    path = os.fsencode(tmp_path / "q")
    error, message = Error(), Message()
    assert lib.chronicle_abi() == 1
    w = ctypes.c_void_p(lib.chronicle_open_writer(path, None, ctypes.byref(error)))
    assert w.value
    assert lib.chronicle_append(w, 7, b"hello", 5, ctypes.c_int64(1000)) == 0
    at = lib.chronicle_reserve(w, 8, 4)
    ctypes.memmove(at, b"abcd", 4)
    assert lib.chronicle_commit(w, 3, ctypes.c_int64(-1)) == 1
    assert lib.chronicle_reserve(w, 8, 4)
    lib.chronicle_abort(w)
    assert lib.chronicle_append(w, 0xFFFF, b"", 0, ctypes.c_int64(-1)) == -1
    told = Error.from_address(lib.chronicle_writer_error(w))
    assert (lib.chronicle_code_name(told.code), told.facts[0]) == (b"RESERVED_TYPE", 0xFFFF)
    assert lib.chronicle_append(w, 7, b"", 0, ctypes.c_int64(5)) == -1
    assert lib.chronicle_code_name(Error.from_address(lib.chronicle_writer_error(w)).code) == b"TIME_ORDER"
    assert [lib.chronicle_heartbeat(w), lib.chronicle_flush(w), lib.chronicle_roll(w)] == [0, 0, 0]
    r = ctypes.c_void_p(
        lib.chronicle_open_reader(path, "é t".encode(), None, 0, ctypes.c_int64(0), ctypes.byref(error))
    )
    assert lib.chronicle_wait(r, ctypes.c_int64(10**9)) == 1
    assert lib.chronicle_next(r, ctypes.byref(message)) == 1
    assert ctypes.string_at(message.payload, message.size) == b"hello"
    assert (message.seq, message.ts_ns, message.type_id, message.epoch) == (0, 1000, 7, 1)
    assert lib.chronicle_commit_cursor(r) == 0
    assert lib.chronicle_next(r, ctypes.byref(message)) == 1
    assert ctypes.string_at(message.payload, message.size) == b"abc"
    assert lib.chronicle_next(r, ctypes.byref(message)) == 0
    assert lib.chronicle_seek_seq(r, ctypes.c_uint64(1)) == 0
    assert lib.chronicle_seek_time(r, ctypes.c_int64(0)) == 0
    assert lib.chronicle_next(r, ctypes.byref(message)) == 1
    assert message.seq == 0
    assert [(page.name, page.active) for page in inspect(tmp_path / "q").readers] == [("é t", True)]
    assert not lib.chronicle_open_reader(path, b"..", None, 0, ctypes.c_int64(0), ctypes.byref(error))
    assert lib.chronicle_code_name(error.code) == b"MISUSE"
    lib.chronicle_close_reader(r)
    lib.chronicle_close_writer(w)
    with Queue.open_subscriber(tmp_path / "q", "é t") as reader:
        assert bytes(reader.next()) == b"abc"


def test_the_layouts_of_version_1_stay_as_they_are(tmp_path: Path) -> None:
    """Other languages have them written down."""
    program = """
        #include <stdio.h>
        #include "chronicle.h"
        #define AT(t, f) (int)offsetof(chronicle_##t, f)
        int main(void) {
            printf("%d %d %d\\n", (int)sizeof(chronicle_error), (int)sizeof(chronicle_message), (int)sizeof(chronicle_config));
            printf("%d %d %d\\n", AT(error, facts), AT(error, path), AT(error, reason));
            printf("%d %d %d\\n", AT(message, seq), AT(message, ts_ns), AT(message, epoch));
            printf("%d %d %d\\n", AT(config, budget_bytes), AT(config, spin_ns), AT(config, durable));
            printf("%d %d %d\\n", CHRONICLE_EVICTED, CHRONICLE_NOT_READY, CHRONICLE_HOST);
            return 0;
        }
    """
    (tmp_path / "a.c").write_text(program)
    assert shell(f"cc -o a a.c -I{NATIVE} && ./a", tmp_path).split() == [
        *("640", "40", "104"),
        *("8", "32", "544"),
        *("16", "24", "32"),
        *("32", "88", "96"),
        *("15", "18", "23"),
    ]
