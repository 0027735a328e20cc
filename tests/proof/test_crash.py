"""kill -9 at every step of append, roll, commit, index, retention, registration and recovery.

Covers DESIGN's faults "kill -9 of any daemon at any instruction" and "a reader that is killed".
"""

import itertools
import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import textwrap
import time

from libchronicle.queue import Queue, QueueConfig, verify

WRITER = """
    import random, sys
    from libchronicle.queue import Queue, QueueConfig
    rng = random.Random(int(sys.argv[2]))
    with Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=1 << 16, durable=("a", "b"))) as writer:
        print("open", flush=True)
        while True:
            seq = writer.next_seq
            body = seq.to_bytes(8, "little") * (1 + seq % 120)
            if seq % 5 == 0:
                with writer.reserve(seq % 100, len(body)) as view:
                    view[:] = body
            elif seq % 97 == 0:
                writer.flush()
                writer.append(seq % 100, body)
            else:
                writer.append(seq % 100, body)
"""
READER = """
    import mmap, os, random, struct, sys
    from libchronicle.queue import Queue
    with open(sys.argv[3], "r+b") as file:  # what was seen and committed outlives this process
        seen = mmap.mmap(file.fileno(), 4096)
    rng = random.Random(int(sys.argv[4]))
    with Queue.open_subscriber(sys.argv[1], sys.argv[2]) as reader:
        print("open", flush=True)
        while True:
            reader.wait(0.05)
            while (message := reader.next()) is not None:
                assert bytes(message) == message.seq.to_bytes(8, "little") * (1 + message.seq % 120), message.seq
                struct.pack_into("<Q", seen, 0, message.seq + 1)
                if rng.random() < 0.05:
                    struct.pack_into("<Q", seen, 16, reader.next_seq)  # begun
                    reader.commit()
                    struct.pack_into("<Q", seen, 8, reader.next_seq)  # returned
"""


def start(code, *args):
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, args)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "open\n"
    return child


def kill(child):
    child.send_signal(signal.SIGKILL)
    child.communicate()


def test_a_process_killed_at_any_step_leaves_a_queue_that_goes_on(run_proof, memory_dir, scale, seed, report):
    total = {}
    for script in range(scale(2, 24)):
        figures = run_proof("crash_proof", memory_dir, seed + script, 60, scale(97, 29))
        figures.pop("seed")
        for key, value in figures.items():
            total[key] = total.get(key, 0) + value
    report(seed=seed, **total)
    assert total["kills"] > scale(20, 2000)


def test_python_processes_killed_at_random_instants(tmp_path, scale, seed, report):
    rng = random.Random(seed)
    path = tmp_path / "q"
    kills, seen_all, seen = 0, 0, {}
    with Queue.open_publisher(path, QueueConfig(segment_size=1 << 16)):
        pass
    for name in "ab":
        (tmp_path / name).write_bytes(bytes(4096))
        with (tmp_path / name).open("r+b") as file:
            seen[name] = mmap.mmap(file.fileno(), 4096)
    for _ in range(scale(4, 80)):
        children = {"writer": start(WRITER, path, rng.randrange(1 << 30))}
        for name in "ab":
            children[name] = start(READER, path, name, tmp_path / name, rng.randrange(1 << 30))
        time.sleep(rng.uniform(0, 0.05))
        for name in rng.sample(sorted(children), 3):
            kill(children[name])
            time.sleep(rng.uniform(0, 0.01))
            kills += 1
        for name in "ab":
            top, returned, begun = struct.unpack_from("<QQQ", seen[name])
            seen_all = max(seen_all, top)
            with Queue.open_subscriber(path, name) as reader:
                assert reader.next_seq in (returned, begun), f"{name} goes on where it committed"
                for seq in itertools.count(reader.next_seq):
                    message = reader.next()
                    if message is None:
                        break
                    assert (message.seq, message.type_id) == (seq, seq % 100)
                    assert bytes(message) == seq.to_bytes(8, "little") * (1 + seq % 120)
                assert reader.next_seq >= seen_all, "what a reader saw is there"
                struct.pack_into("<QQQ", seen[name], 0, *[reader.next_seq] * 3)
                reader.commit()
        assert not (path / "quarantine.json").exists()
        assert verify(path) == []
    left = [name for name in os.listdir(path) if ".tmp-" in name]
    with Queue.open_publisher(path, QueueConfig(segment_size=1 << 16)) as writer:
        assert [name for name in left if (path / name).exists()] == []
        report(seed=seed, kills=kills, records=writer.next_seq)
