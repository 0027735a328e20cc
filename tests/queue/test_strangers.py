"""Other users: a member of the group may read and never damage; one who is not in it sees nothing; nobody poses as a reader.

owner      the writer's user           queue 2750, control, segments, index, READY 0640, notify.meta 0660
member     reads by the group          readers/ 3770: makes a page of its own, touches no other's
outsider   in no group of the queue
"""

import json
import os
import stat
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest

from libchronicle.errors import Broken, CorruptReader
from libchronicle.queue import Queue, QueueConfig, inspect, repair, verify

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root to become other users")

OWNER, MEMBER, OTHER, OUTSIDER = 61001, 61002, 61003, 61004
GROUP = 61100
GROUPS = {OWNER: [GROUP], MEMBER: [GROUP], OTHER: [GROUP], OUTSIDER: []}
SMALL = QueueConfig(segment_size=1 << 16)

# Everything is imported as root, for a checkout need not be open to others; then there is no way back.
BECOME = """
    import json, os, stat, sys, time
    from libchronicle.errors import *
    from libchronicle.queue import Queue, QueueConfig, inspect, verify
    uid, path = int(sys.argv[1]), sys.argv[2]
    groups = json.loads(sys.argv[3])
    os.setgroups(groups)
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    config = QueueConfig(segment_size=1 << 16)

    def refused(call, *args):
        try:
            result = call(*args)
        except PermissionError:
            return True
        if isinstance(result, int) and call is os.open:
            os.close(result)
        return False
"""


@pytest.fixture
def place():
    """A directory that OWNER may make queues in; not under pytest's own, which it closes to others again and again."""
    with tempfile.TemporaryDirectory(prefix="chronicle-strangers-") as top:
        os.chmod(top, 0o755)
        place = Path(top, "bus")
        place.mkdir()
        os.chown(place, OWNER, GROUP)
        place.chmod(0o2755)
        yield place


@pytest.fixture
def become():
    """become(uid, path, code): what a process of that user prints, as JSON; `start` gives the process instead."""
    children = []

    def start(uid, path, code):
        command = [sys.executable, "-c", textwrap.dedent(BECOME) + textwrap.dedent(code)]
        child = subprocess.Popen(
            [*command, str(uid), str(path), json.dumps(GROUPS[uid])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        return child

    def run(uid, path, code):
        out, err = start(uid, path, code).communicate(timeout=60)
        assert not err, err
        return json.loads(out)

    run.start = start
    yield run
    for child in children:
        child.kill()
        child.communicate()


WRITE = """
    with Queue.open_publisher(path, config) as writer:
        writer.append_many(1, [b"%d" % i + bytes(500) for i in range(300)])
        with Queue.open_subscriber(path, "owner", config) as reader:
            reader.drain(100)
            reader.commit()
        print("{}", flush=True)
        sys.stdin.readline()
        writer.append(1, b"still alive")
"""


@pytest.fixture
def queue(place, become):
    """A queue of OWNER, whose writer lives in another process; `finish()` has it append once more and leave."""
    path = place / "q"
    child = become.start(OWNER, path, WRITE)
    assert child.stdout.readline() == "{}\n", child.stderr.read()

    def finish():
        _, err = child.communicate("\n", timeout=60)
        assert (child.returncode, err) == (0, "")
        assert [one for one in verify(path) if one.part not in ("reader", "notify")] == []

    return SimpleNamespace(path=path, finish=finish)


ATTEMPTS = """
    R, W = os.O_RDONLY, os.O_RDWR
    found = {}
    for name in ("control.meta", "notify.meta", "READY", "writer.lock", "000000000.q", "000000000.idx", "readers/owner.meta"):
        file = os.path.join(path, name)
        found[name] = "".join([
            "-" if refused(os.open, file, R) else "r",
            "-" if refused(os.open, file, W) else "w",
            "-" if refused(os.truncate, file, os.stat(file).st_size if not refused(os.stat, file) else 0) else "t",
            "-" if refused(os.chmod, file, 0o777) else "m",
            "-" if refused(os.rename, file, file + ".gone") else "n",
            "-" if refused(os.unlink, file) else "u",
        ])
    found["make"] = "-" if refused(os.open, os.path.join(path, "000000009.q"), os.O_CREAT | W) else "c"
    found["rmdir"] = "-" if refused(os.rename, os.path.join(path, "readers"), os.path.join(path, "gone")) else "n"
    found["list"] = "-" if refused(os.listdir, path) else "l"
    print(json.dumps(found))
"""


@pytest.mark.parametrize(
    ("who", "data", "notify", "listed"),
    [(MEMBER, "r-----", "rwt---", "l"), (OUTSIDER, "------", "------", "-")],
)
def test_the_matrix_of_who_may_do_what(queue, become, who, data, notify, listed):
    found = become(who, queue.path, ATTEMPTS)
    assert found.pop("notify.meta") == notify
    assert found == {
        **dict.fromkeys(
            ("control.meta", "READY", "writer.lock", "000000000.q", "000000000.idx", "readers/owner.meta"),
            data,
        ),
        "make": "-",
        "rmdir": "-",
        "list": listed,
    }
    queue.finish()


def test_a_member_reads_commits_and_cannot_write(queue, become):
    found = become(
        MEMBER,
        queue.path,
        """
        with Queue.open_subscriber(path, "member", config) as reader:
            got = [int(bytes(m).rstrip(b"\\0")) for m in reader]
            reader.commit()
            page = os.path.join(path, "readers", "member.meta")
            facts = {"got": got == list(range(300)), "mode": stat.S_IMODE(os.stat(page).st_mode)}
        facts["read"] = verify(path) == [] and inspect(path).writer_active
        try:
            Queue.open_publisher(path, config)
        except NoPermission:
            facts["writes"] = False
        print(json.dumps(facts))
        """,
    )
    assert found == {"got": True, "mode": 0o640, "read": True, "writes": False}
    queue.finish()


def test_an_outsider_is_refused_by_name(queue, become):
    found = become(
        OUTSIDER,
        queue.path,
        """
        kinds = []
        for call in (
            lambda: Queue.open_subscriber(path, "x", config),
            lambda: Queue.open_subscriber(path, None, config),
            lambda: Queue.open_publisher(path, config),
        ):
            try:
                call()
            except ChronicleError as error:
                kinds.append(type(error).__name__)
        print(json.dumps(kinds))
        """,
    )
    assert found == ["NoPermission"] * 3
    queue.finish()


# ---------------------------------------------------------------- pages of others


@pytest.mark.parametrize("planted", ["page", "open page", "symlink", "fifo", "directory", "empty"])
def test_a_page_planted_under_a_readers_name_is_not_used(queue, become, planted):
    """`other` was never here; a member makes its page before it comes. It must not read by a page that a stranger can write."""
    treasure = queue.path.parent / "treasure"
    treasure.write_bytes(b"OTHER's own" + bytes(8192))
    os.chown(treasure, OTHER, OTHER)
    plant = {
        "page": "Queue.open_subscriber(path, 'other', config).close()",
        "open page": "Queue.open_subscriber(path, 'other', config).close(); os.chmod(page, 0o666)",
        "symlink": f"os.symlink({str(treasure)!r}, page)",
        "fifo": "os.mkfifo(page); os.chmod(page, 0o666)",
        "directory": "os.mkdir(page)",
        "empty": "open(page, 'w').close(); os.chmod(page, 0o666)",
    }[planted]
    become(
        MEMBER,
        queue.path,
        f"""
        page = os.path.join(path, "readers", "other.meta")
        {plant}
        print("[]")
        """,
    )
    found = become(
        OTHER,
        queue.path,
        """
        try:
            Queue.open_subscriber(path, "other", config)
        except ChronicleError as error:
            print(json.dumps([type(error).__name__, str(error)]))
        """,
    )
    assert found[0] == "NoPermission"
    assert str(queue.path / "readers" / "other.meta") in found[1]
    assert treasure.read_bytes() == b"OTHER's own" + bytes(8192)
    queue.finish()


def test_what_root_repairs_stays_its_owners(queue, become):
    queue.finish()
    (queue.path / "control.meta").write_bytes(bytes(4096))
    (queue.path / "READY").unlink()
    (queue.path / "000000000.idx").unlink()
    (queue.path / "000000001.q").unlink()
    repair(queue.path)
    made = {file.name: file.stat().st_uid for file in queue.path.iterdir()}
    assert set(made.values()) == {OWNER}, made
    written = """
        with Queue.open_publisher(path, config) as writer:
            writer.append_many(1, [bytes(1000)] * 200)
            print(writer.append(1, b"goes on"))
    """
    assert become(OWNER, queue.path, written) >= 500


@pytest.mark.parametrize("planted", ["fifo", "socket", "symlink to a fifo"])
def test_what_a_member_puts_among_the_pages_does_not_stop_the_writer(place, become, planted):
    """The writer's clean thread looks at every page: open() of a pipe would hang it, and every queue of the process."""
    path = place / "q"
    config = QueueConfig(segment_size=1 << 16, retain_segments=0)
    with Queue.open_publisher(path, config) as writer, Queue.open_subscriber(path, "here", config) as reader:
        page = path / "readers" / "trap.meta"
        if planted == "fifo":
            os.mkfifo(page)
        elif planted == "socket":
            os.mknod(page, stat.S_IFSOCK | 0o666)
        else:
            os.mkfifo(path / "readers" / "pipe")
            page.symlink_to("pipe")
        for _ in range(50):
            writer.append_many(1, [bytes(1000)] * 60)
            writer.heartbeat()
            reader.drain()
            reader.commit()
        assert [r.name for r in inspect(path).readers] == ["here", "trap"]
    with Queue.open_publisher(path, config) as writer:
        assert writer.append(1, b"x") == 3000


def test_a_reader_whose_page_was_cut_short_is_told(tmp_path):
    """What it commits goes nowhere: that must not be silent."""
    with (
        Queue.open_publisher(tmp_path / "q", SMALL) as writer,
        Queue.open_subscriber(tmp_path / "q", "a") as reader,
    ):
        writer.append_many(1, [b"x"] * 10)
        reader.drain(5)
        reader.commit()
        page = tmp_path / "q" / "readers" / "a.meta"
        os.truncate(page, 0)
        reader.drain(1)
        with pytest.raises(Broken, match=r"a\.meta"):
            reader.commit()
    with pytest.raises(CorruptReader):
        Queue.open_subscriber(tmp_path / "q", "a")


# ---------------------------------------------------------------- truncation by those who may


def busy(writer, reader):
    for _ in range(20):
        writer.append_many(1, [bytes(1000)] * 60)
        writer.heartbeat()
        reader.wait(0.01)
        reader.drain()
        reader.commit()


@pytest.mark.parametrize("file", ["notify.meta", "000000000.idx"])
def test_a_live_queue_does_without_what_is_only_a_help(tmp_path, file):
    path = tmp_path / "q"
    with Queue.open_publisher(path, SMALL) as writer, Queue.open_subscriber(path, "a") as reader:
        writer.append_many(1, [b"x"] * 100)
        os.truncate(path / file, 0)
        busy(writer, reader)
        assert reader.next_seq == writer.next_seq == 1300


def test_a_control_page_cut_short_is_broken_for_writer_and_reader(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, SMALL) as writer, Queue.open_subscriber(path, "a") as reader:
        writer.append_many(1, [b"x"] * 100)
        os.truncate(path / "control.meta", 0)
        with pytest.raises(Broken, match=r"control\.meta"):
            writer.append_many(1, [b"x"] * 3)
        reader.drain()
        with pytest.raises(Broken, match=r"control\.meta"):
            reader.commit()


def test_a_member_who_cuts_the_word_short_only_slows_its_wake_ups(queue, become):
    """notify.meta is the one file a member may write; it holds nothing that could be lost."""
    become(MEMBER, queue.path, "os.truncate(os.path.join(path, 'notify.meta'), 0); print('[]')")
    with Queue.open_subscriber(queue.path, None, SMALL, "earliest") as reader:
        assert len(reader.drain()) == 300
    queue.finish()
    with (
        Queue.open_publisher(queue.path, SMALL) as writer,
        Queue.open_subscriber(queue.path, "late", SMALL) as reader,
    ):
        assert reader.wait(1)
        assert len(reader.drain()) == 301
        writer.append(1, b"y")
        assert reader.wait(1)


def test_nothing_of_a_queue_is_open_to_everyone(queue):
    for file in (queue.path, *queue.path.rglob("*")):
        assert not stat.S_IMODE(file.stat().st_mode) & 0o007, file
    assert queue.path.stat().st_mode & stat.S_ISGID
    queue.finish()
