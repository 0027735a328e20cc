"""A disk slower than the writer: the clean thread falls behind, and nothing else does."""

from libchronicle.queue import check, inspect

# Each sync of a file takes 10 ms.
SLOW_SYNC = """
    #include <unistd.h>
    int fdatasync(int fd) { (void)fd; return usleep(10000), 0; }
"""

ROLLS = 300


def test_a_writer_faster_than_its_disk_keeps_few_descriptors_and_all_is_sealed_in_the_end(tmp_path, under):
    path = tmp_path / "q"
    code = """
        import os, sys
        from libchronicle.queue import Queue, QueueConfig, inspect
        path, rolls = sys.argv[1], int(sys.argv[2])
        config = QueueConfig(segment_size=1 << 14)
        with Queue.open_publisher(path, config) as writer:
            before, most = len(os.listdir("/proc/self/fd")), 0
            for _ in range(rolls):
                writer.append(1, bytes(1000))
                writer.roll()
                writer.heartbeat()
                most = max(most, len(os.listdir("/proc/self/fd")) - before)
            print(most)
            while any(s.state == "left" for s in inspect(path).segments):
                writer.heartbeat()
    """
    done = under(SLOW_SYNC, code, path, ROLLS)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= 2 * 64 + 16, "two for each segment that waits for the disk, up to 64 of them"
    assert check(path).faults == []
    assert sum(s.state == "sealed" for s in inspect(path).segments) == ROLLS


def test_a_flush_catches_up_with_everything(tmp_path, under):
    path = tmp_path / "q"
    code = """
        import sys
        from libchronicle.queue import Queue, QueueConfig, inspect
        with Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=1 << 14)) as writer:
            for _ in range(150):
                writer.append(1, bytes(1000))
                writer.roll()
            writer.flush()
            facts = inspect(sys.argv[1])
            assert facts.synced == facts.head, facts
    """
    done = under(SLOW_SYNC, code, path)
    assert done.returncode == 0, done.stderr
