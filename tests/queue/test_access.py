"""Who may read and write what: modes on disk, other users, read-only mounts, names."""

import os
import pwd
import stat
import subprocess
import sys
import textwrap

import pytest

from libchronicle.errors import HostError, InvalidName, NoPermission, UnsupportedVersion
from libchronicle.native.binding import platform_facts
from libchronicle.queue import Queue, QueueConfig, inspect

SMALL = QueueConfig(segment_size=1 << 16)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_files_have_the_modes_of_the_access_rules(tmp_path):
    path = tmp_path / "q"
    old = os.umask(0o077)
    try:
        with Queue.open_publisher(path, SMALL), Queue.open_subscriber(path, "a"):
            assert mode(path) == 0o2750
            assert mode(path / "readers") == 0o3770
            assert mode(path / "notify.meta") == 0o660
            for name in ("control.meta", "000000000.q", "000000000.idx", "READY", "readers/a.meta"):
                assert mode(path / name) == 0o640, name
    finally:
        os.umask(old)


STRANGER = """
    import os, sys
    os.setgid(int(sys.argv[3])); os.setgroups([int(sys.argv[3])]); os.setuid(int(sys.argv[2]))
    from libchronicle.errors import NoPermission
    from libchronicle.queue import Queue, QueueConfig
    path = sys.argv[1]
    with Queue.open_subscriber(path, "stranger") as reader:
        assert bytes(reader.next()) == b"x"
        assert reader.wait(0.01) is False
        reader.commit()
    for name in ("control.meta", "000000000.q"):
        try:
            open(os.path.join(path, name), "r+b")
        except PermissionError:
            pass
        else:
            raise SystemExit(f"{name} is writable")
    try:
        os.unlink(os.path.join(path, "readers", "owner.meta"))
    except PermissionError:
        pass
    else:
        raise SystemExit("another reader's page can be removed")
    try:
        Queue.open_publisher(path, QueueConfig())
    except NoPermission:
        print("fine")
"""


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
def test_a_member_of_the_group_reads_and_can_damage_nothing(tmp_path):
    nobody = pwd.getpwnam("nobody")
    probe = [sys.executable, "-c", "import libchronicle.queue"]
    try:
        done = subprocess.run(
            probe, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[], capture_output=True, check=False
        )
    except PermissionError:
        pytest.skip(f"{sys.executable} may not be run by nobody")
    if done.returncode:
        pytest.skip("this checkout may not be read by nobody")
    path = tmp_path / "q"
    for parent in (tmp_path, *tmp_path.parents):
        if not os.access(parent, os.X_OK) or not parent.stat().st_mode & stat.S_IXOTH:
            parent.chmod(parent.stat().st_mode | stat.S_IXOTH)
    with Queue.open_publisher(path, SMALL) as writer, Queue.open_subscriber(path, "owner"):
        for file in (path, *path.rglob("*")):
            os.chown(file, -1, nobody.pw_gid)
        (path).chmod(0o2750)
        (path / "readers").chmod(0o3770)
        writer.append(1, b"x")
        command = [
            sys.executable,
            "-c",
            textwrap.dedent(STRANGER),
            str(path),
            str(nobody.pw_uid),
            str(nobody.pw_gid),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("fine\n", "")


@pytest.fixture
def read_only(tmp_path):
    mounted = tmp_path / "ro"
    mounted.mkdir()

    def mount(source):
        for command in (["mount", "--bind", source, mounted], ["mount", "-o", "remount,bind,ro", mounted]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"may not mount here: {done.stderr.strip()}")
        return mounted

    yield mount
    subprocess.run(["umount", "-l", mounted], check=False, capture_output=True)


def test_anonymous_readers_work_on_a_read_only_mount(tmp_path, read_only):
    with Queue.open_publisher(tmp_path / "q", SMALL) as writer:
        writer.append_many(1, [b"x"] * 5000)
        mounted = read_only(tmp_path / "q")
        with Queue.open_subscriber(mounted, None) as reader:
            assert len(reader.drain()) == 5000
            assert reader.wait(0.01) is False
            writer.append(1, b"y")
            assert reader.wait(10)
        with pytest.raises(NoPermission):
            Queue.open_subscriber(mounted, "named")
        assert inspect(mounted).next_seq == 5001


def test_an_anonymous_reader_leaves_no_trace(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, QueueConfig(segment_size=1 << 20)) as writer:
        writer.append(1, b"x")
        before = sorted(path.rglob("*"))
        with Queue.open_subscriber(path, None) as reader:
            reader.next()
            reader.commit()
            reader.wait(0.01)
        assert sorted(path.rglob("*")) == before
        writer.append(1, b"y")
        assert writer.metrics()["wakes"] == 0


@pytest.mark.parametrize("name", ["", ".", "..", "x" * 200])
def test_names_that_are_none_are_refused(tmp_path, name):
    Queue.open_publisher(tmp_path / "q", SMALL).close()
    with pytest.raises(InvalidName):
        Queue.open_subscriber(tmp_path / "q", name)


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "ü", "a b", "100%"])
def test_strange_names_are_encoded(tmp_path, name):
    path = tmp_path / "q"
    Queue.open_publisher(path, SMALL).close()
    with Queue.open_subscriber(path, name):
        assert len(list((path / "readers").iterdir())) == 1
        assert [r.name for r in inspect(path).readers] == [name]


@pytest.mark.parametrize(("file", "offset"), [("control.meta", 8), ("000000000.q", 8), ("readers/a.meta", 8)])
def test_another_version_of_the_format_is_refused(tmp_path, file, offset):
    path = tmp_path / "q"
    with Queue.open_publisher(path, SMALL) as writer:
        writer.append(1, b"x")
        Queue.open_subscriber(path, "a").close()
    with (path / file).open("r+b") as handle:
        handle.seek(offset)
        handle.write(b"\x02\0\0\0")
    with pytest.raises(UnsupportedVersion) as caught:
        Queue.open_subscriber(path, "a")
    assert (caught.value.version, caught.value.supported) == (2, 1)


def test_a_strangers_read_lock_is_no_writer(tmp_path, spawn):
    """Who may read control.meta may also lock it for reading: no second writer comes, and it is told why."""
    path = tmp_path / "q"
    Queue.open_publisher(path, SMALL).close()
    with (path / "control.meta").open("rb") as page:
        if platform_facts(page.fileno())["shared_words"] != 0:
            pytest.skip("the core locks as Linux alone can")
    code = """
        import fcntl, struct, sys
        page = open(sys.argv[1], "rb")
        fcntl.fcntl(page, fcntl.F_OFD_SETLK, struct.pack("hhqqixxxx", fcntl.F_RDLCK, 0, 0, 0, 0))
        print("locked")
        sys.stdin.readline()
    """
    child = spawn(code, path / "control.meta")
    assert child.stdout.readline() == "locked\n"
    with Queue.open_subscriber(path, "a") as reader:
        assert reader.writer_status() == "closed"
        assert reader.detect_disconnect() == "lock lost"
    with pytest.raises(HostError, match="read lock"):
        Queue.open_publisher(path, SMALL)
    child.stdin.write("\n")
    child.stdin.flush()
    child.wait()
    Queue.open_publisher(path, SMALL).close()
