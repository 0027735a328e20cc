import os
import subprocess
import sys
from pathlib import Path

import pytest

from libchronicle.bus.control import CONTROL_CONFIG, ControlReceiver, send_command
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import Busy, ConfigError
from libchronicle.protocol import Command
from libchronicle.queue import Queue


@pytest.fixture
def paths(tmp_path: Path) -> BusPaths:
    return BusPaths(tmp_path)


def receiver(paths: BusPaths, **options: float) -> ControlReceiver:
    return ControlReceiver(paths, "router", cadence_s=0, **options)  # type: ignore[arg-type]


def test_a_command_arrives_with_who_from_where_and_why(paths: BusPaths) -> None:
    daemon = receiver(paths)
    assert daemon.poll() == []
    send_command(
        paths, "router", Command.SET_PARAMETER, target="threshold", value="0.7", reason="volatile night"
    )
    (command,) = daemon.poll()
    assert (command.command, command.target, command.value) == (Command.SET_PARAMETER, "threshold", "0.7")
    assert (command.reason, command.pid, command.uid) == ("volatile night", os.getpid(), os.getuid())
    assert command.user
    assert command.host
    assert daemon.poll() == []
    daemon.close()


def test_what_was_sent_while_the_daemon_was_down_waits_for_it_unless_it_is_old(paths: BusPaths) -> None:
    send_command(paths, "router", Command.PAUSE, reason="lunch")
    later = int(1e9 * 3600) + 2**62
    old = ControlReceiver(paths, "router", cadence_s=0, time_ns=lambda: later)
    assert old.poll() == []
    assert old.passed_over == 1
    old.close()
    send_command(paths, "router", Command.RESUME, reason="back")
    young = receiver(paths)
    assert [command.command for command in young.poll()] == [Command.RESUME]
    young.close()


def test_a_daemon_killed_while_handling_gets_the_command_again(paths: BusPaths) -> None:
    send_command(paths, "router", Command.PAUSE, reason="test")
    first = receiver(paths)
    assert len(first.poll()) == 1
    assert first._reader is not None
    first._reader.close()  # killed: no commit
    second = receiver(paths)
    assert len(second.poll()) == 1
    second.close()
    assert receiver(paths).poll() == []


def test_many_senders_at_once_all_get_through(paths: BusPaths) -> None:
    code = (
        "import sys; from libchronicle.bus.control import send_command; from libchronicle.bus.paths import BusPaths\n"
        "from libchronicle.protocol import Command\n"
        "for n in range(5): send_command(BusPaths(sys.argv[1]), 'router', Command.RESYNC, target=sys.argv[2] + str(n),"
        " reason='load', patience_s=60)"
    )
    senders = [subprocess.Popen([sys.executable, "-c", code, str(paths.root), letter]) for letter in "abcd"]
    assert [sender.wait(100) for sender in senders] == [0, 0, 0, 0]
    targets = [command.target for command in receiver(paths).poll()]
    assert sorted(targets) == sorted(letter + str(n) for letter in "abcd" for n in range(5))


def test_a_sender_that_never_lets_go_is_named(paths: BusPaths) -> None:
    with Queue.open_publisher(paths.control("router"), CONTROL_CONFIG), pytest.raises(Busy) as caught:
        send_command(paths, "router", Command.PAUSE, reason="test", patience_s=0.05)
    assert caught.value.pid == os.getpid()


def test_a_strangers_record_and_a_damaged_one_are_passed_over(paths: BusPaths) -> None:
    with Queue.open_publisher(paths.control("router"), CONTROL_CONFIG) as publisher:
        publisher.append(1, b"no command")
        publisher.append(30, b"short")
    send_command(paths, "router", Command.STOP, reason="done")
    daemon = receiver(paths)
    assert [command.command for command in daemon.poll()] == [Command.STOP]
    assert daemon.passed_over == 2


def test_a_command_without_a_reason_is_refused(paths: BusPaths) -> None:
    with pytest.raises(ConfigError, match="reason"):
        send_command(paths, "router", Command.KILL, reason="")


def test_a_reason_that_is_too_long_is_cut_at_a_character(paths: BusPaths) -> None:
    send_command(paths, "router", Command.PAUSE, reason="ü" * 100)
    (command,) = receiver(paths).poll()
    assert command.reason == "ü" * 64


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become other users")
def test_two_users_of_the_group_write_in_turn_and_a_stranger_may_not(paths: BusPaths) -> None:
    root = Path("/dev/shm") / f"chronicle-control-{os.getpid()}"
    control = BusPaths(root).control("router")
    code = (
        "import sys; from libchronicle.bus.control import send_command; from libchronicle.bus.paths import BusPaths\n"
        "from libchronicle.protocol import Command\n"
        "send_command(BusPaths(sys.argv[1]), 'router', Command.PAUSE, reason='test')"
    )
    try:
        control.mkdir(parents=True)
        for directory in (control, *control.parents[:3]):
            os.chown(directory, 0, 60001)
            directory.chmod(0o2770)
        assert [run_as(user, 60001, code, root) for user in (60002, 60003, 60002)] == [0, 0, 0]
        assert run_as(60004, 60004, code, root) != 0
        assert len(receiver(BusPaths(root)).poll()) == 3
    finally:
        subprocess.run(["rm", "-rf", str(root)], check=True)


def run_as(user: int, group: int, code: str, root: Path) -> int:
    as_user = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"]
    return subprocess.run(
        [*as_user, sys.executable, "-c", code, str(root)], check=False, timeout=60, stderr=subprocess.DEVNULL
    ).returncode
