"""The system clock is set back or forward under a live queue: timestamps never decrease, and nobody is thought dead."""

import textwrap

import pytest

# Steps CLOCK_REALTIME of a process, and of it alone.
STEPPED_CLOCK = r"""
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <fcntl.h>
    #include <stdint.h>
    #include <stdlib.h>
    #include <sys/mman.h>
    #include <time.h>

    static const volatile int64_t *step; /* seconds, in the file CLOCK_STEP names */

    int clock_gettime(clockid_t id, struct timespec *t)
    {
        static int (*real)(clockid_t, struct timespec *);
        if (real == NULL) {
            real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
            int fd = open(getenv("CLOCK_STEP"), O_RDONLY);
            step = mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0);
        }
        int rc = real(id, t);
        if (id == CLOCK_REALTIME)
            t->tv_sec += *step;
        return rc;
    }
"""

PRELUDE = """
    import os, struct, sys, time
    from libchronicle.queue import Queue, QueueConfig, WriterStatus
    path, clock = sys.argv[1:]
    config = QueueConfig(segment_size=1 << 16, clock=clock, reader_ttl_s=5)
    HOUR = 3600

    def step(seconds):
        with open(os.environ["CLOCK_STEP"], "r+b") as file:
            file.write(struct.pack("<q", seconds))

    def append_for(writer, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            writer.append(1, b"x")
            time.sleep(0.001)

    def records():
        with Queue.open_subscriber(path, None, config, start="earliest") as reader:
            return [(m.ts_ns, m.flags & 1) for m in reader]

    def check_order():
        times = [ts for ts, _ in records()]
        assert times == sorted(times)
        return times
"""


@pytest.fixture
def stepped(under, tmp_path):
    """stepped(code, clock): runs it in a process whose step(seconds) moves its system clock."""

    def run(code: str, clock: str) -> None:
        offset = tmp_path / "step"
        if not offset.exists():
            offset.write_bytes(bytes(8))
        whole = textwrap.dedent(PRELUDE) + textwrap.dedent(code)
        done = under(STEPPED_CLOCK, whole, tmp_path / "q", clock, CLOCK_STEP=str(offset))
        assert done.returncode == 0, done.stderr

    return run


@pytest.mark.parametrize("clock", ["system", "tsc"])
def test_a_clock_set_back_stands_still_in_the_queue_and_says_so(stepped, clock):
    stepped(
        """
        with Queue.open_publisher(path, config) as writer:
            append_for(writer, 0.1)
            step(-HOUR)
            append_for(writer, 1.4)  # the TSC clock looks at the system's once a second
            assert records()[-1] == (max(check_order()), 1), "the last record is clamped"
            step(+HOUR)
            append_for(writer, 1.4)
            times = check_order()
            assert times[-1] - times[0] > HOUR * 1e9 / 2, "time goes on from where the clock is then"
            assert records()[-1][1] == 0
        """,
        clock,
    )


@pytest.mark.parametrize("clock", ["system", "tsc"])
def test_a_writer_started_after_the_clock_was_set_back_goes_on_at_the_last_timestamp(stepped, clock):
    stepped(
        """
        with Queue.open_publisher(path, config) as writer:
            append_for(writer, 0.05)
        step(-HOUR)
        """,
        clock,
    )
    stepped(
        """
        last = records()[-1][0]
        assert time.time() < last / 1e9 - HOUR / 2
        with Queue.open_publisher(path, config) as writer:
            assert writer.last_ts_ns == last
            writer.append(1, b"y")
            writer.roll()
            writer.append(1, b"y")
        assert check_order()[-2:] == [last, last]
        with Queue.open_subscriber(path, None, config, time_ns=last) as reader:
            assert [bytes(m) for m in reader] == [b"x", b"y", b"y"]
        """,
        clock,
    )


def test_nobody_is_thought_dead_because_the_clock_was_stepped(stepped):
    stepped(
        """
        config = QueueConfig(segment_size=1 << 16, clock=clock, reader_ttl_s=1, retain_segments=1)
        with Queue.open_publisher(path, config) as writer, Queue.open_subscriber(path, "a", config) as reader:
            for seconds in (HOUR, -HOUR, 0):
                step(seconds)
                writer.append_many(1, [bytes(1000)] * 200)
                writer.heartbeat()
                reader.heartbeat()
                assert reader.writer_status(1) is WriterStatus.ALIVE
                time.sleep(0.1)
            assert len(reader.drain()) == 600, "nothing was removed under a reader that lives"
        """,
        "system",
    )
