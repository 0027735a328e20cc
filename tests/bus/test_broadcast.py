import subprocess
import sys
from pathlib import Path

from libchronicle.queue import Queue


def test_broadcast_every_reader_process_receives_the_identical_sequence(tmp_path: Path) -> None:
    code = (
        "import hashlib, sys; from libchronicle.queue import Queue\n"
        "reader = Queue.open_subscriber(sys.argv[1], sys.argv[2]); print('up', flush=True); digest = hashlib.sha256()\n"
        "count = 0\n"
        "while count < 5000:\n"
        "    message = reader.next()\n"
        "    if message is None: reader.wait(1); continue\n"
        "    digest.update(b'%d %d ' % (message.seq, message.ts_ns) + bytes(message)); count += 1\n"
        "print(digest.hexdigest(), flush=True)"
    )
    with Queue.open_publisher(tmp_path / "q") as publisher:
        readers = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(tmp_path / "q"), f"r{n}"], stdout=subprocess.PIPE
            )
            for n in range(3)
        ]
        for reader in readers:
            assert reader.stdout is not None
            assert reader.stdout.readline() == b"up\n"
        for n in range(5000):
            publisher.append(1, b"%d" % n)
        digests = {reader.communicate(timeout=100)[0] for reader in readers}
    assert len(digests) == 1
    assert len(digests.pop().strip()) == 64
