import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from libchronicle.bus.kill_word import KillSwitch, KillWord
from libchronicle.bus.killswitch import FILE_SIZE, WORD_ALLOWED
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import ConfigError


@pytest.fixture
def paths(tmp_path: Path) -> BusPaths:
    return BusPaths(tmp_path)


@pytest.fixture
def word(paths: BusPaths) -> KillWord:
    word = KillWord(paths)
    word.initialise()
    return word


def test_a_missing_word_means_killed(paths: BusPaths) -> None:
    assert KillWord(paths).killed
    assert KillSwitch(paths.kill_word).killed


def test_a_fresh_run_directory_may_trade(word: KillWord) -> None:
    assert not word.killed
    word.initialise()
    assert len(word.history()) == 1


def test_a_mapped_switch_sees_every_change_with_its_next_load(word: KillWord) -> None:
    switch = KillSwitch(word.path)
    for _ in range(3):
        assert not switch.killed
        word.kill("fat finger")
        assert switch.killed
        word.allow("checked by hand")
    assert not switch.killed


def test_another_process_stops_this_one(word: KillWord, paths: BusPaths) -> None:
    switch = KillSwitch(word.path)
    code = (
        "import sys; from libchronicle.bus.kill_word import KillWord; from libchronicle.bus.paths import BusPaths\n"
        "KillWord(BusPaths(sys.argv[1])).kill('from outside')"
    )
    subprocess.run([sys.executable, "-c", code, str(paths.root)], check=True, timeout=60)
    assert switch.killed
    assert word.history()[-1].reason == "from outside"


def test_a_lost_word_stays_killed_until_a_person_allows(word: KillWord) -> None:
    switch = KillSwitch(word.path)
    word.path.unlink()
    assert switch.refresh()
    word.initialise()
    assert switch.refresh(), "the log shows that there was one: losing it must not allow"
    word.allow("restored after disk trouble")
    assert not switch.refresh()


@pytest.mark.parametrize(
    "content", [b"", b"\0" * FILE_SIZE, b"x" * FILE_SIZE, WORD_ALLOWED.to_bytes(8, "little")]
)
def test_a_word_that_is_not_whole_means_killed(word: KillWord, content: bytes) -> None:
    word.path.write_bytes(content)
    switch = KillSwitch(word.path)
    assert switch.killed
    assert word.killed
    word.allow("made anew")
    assert not switch.refresh()


def test_a_word_cut_short_while_it_is_mapped_kills_trading_and_not_the_process(word: KillWord) -> None:
    switch = KillSwitch(word.path)
    assert not switch.killed
    os.truncate(word.path, 0)
    assert switch.killed
    assert switch.refresh()
    word.allow("made anew")
    assert not switch.refresh()
    switch.close()


def test_a_closed_switch_is_killed(word: KillWord) -> None:
    switch = KillSwitch(word.path)
    switch.close()
    assert switch.killed
    assert switch.reason == "closed"


def test_every_change_leaves_who_when_and_why(word: KillWord) -> None:
    word.kill("position runs away")
    word.allow("flat again")
    first, second, third = word.history()
    assert [record.killed for record in (first, second, third)] == [False, True, False]
    assert (second.reason, third.reason) == ("position runs away", "flat again")
    assert first.ts_ns <= second.ts_ns <= third.ts_ns
    assert all(record.user and record.host for record in word.history())


def test_a_torn_line_of_the_log_hides_no_other(word: KillWord) -> None:
    with word.log_path.open("ab") as log:
        log.write(b'{"ts_ns": 1, "kil\n')
    word.kill("later")
    assert [record.reason for record in word.history()][-1] == "later"


def test_a_change_without_a_reason_is_refused(word: KillWord) -> None:
    with pytest.raises(ConfigError, match="reason"):
        word.kill("  ")
    assert not word.killed


def test_writers_at_once_leave_one_line_each(word: KillWord) -> None:
    threads = [threading.Thread(target=word.kill, args=(f"t{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert word.killed
    assert {record.reason for record in word.history()[1:]} == {f"t{n}" for n in range(8)}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_a_word_that_may_not_be_read_means_killed(word: KillWord) -> None:
    code = (
        "import os, sys; from libchronicle.bus.kill_word import KillSwitch\n"
        "os.setgid(65534); os.setuid(65534); print(KillSwitch(sys.argv[1]).killed)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(word.path)], capture_output=True, timeout=60, check=True
    )
    assert done.stdout == b"True\n"
