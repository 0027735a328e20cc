"""The permission matrix, tried by other users: each attempt is a process that gave up root."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from libchronicle.bus.access import Access, StrategyAccess, apply_permissions, permission_rules
from libchronicle.bus.kill_word import KillWord
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import HostError

FEED, ROUTER, ETL, ALPHA, BETA, OPERATOR, STRANGER = range(60101, 60108)
READERS, OPERATORS, ALPHA_GROUP, BETA_GROUP, ARCHIVE_GROUP = range(60201, 60206)
ACCESS = Access(
    feed=FEED,
    router=ROUTER,
    etl=ETL,
    archive=ARCHIVE_GROUP,
    readers=READERS,
    operators=OPERATORS,
    strategies={"alpha": StrategyAccess(ALPHA, ALPHA_GROUP), "beta": StrategyAccess(BETA, BETA_GROUP)},
    daemons={"router": ROUTER},
)
GROUPS = {
    FEED: [READERS],
    ROUTER: [READERS, ALPHA_GROUP, BETA_GROUP],
    ETL: [READERS, ARCHIVE_GROUP, ALPHA_GROUP, BETA_GROUP],
    ALPHA: [READERS, ALPHA_GROUP],
    BETA: [READERS, BETA_GROUP],
    OPERATOR: [READERS, OPERATORS],
    STRANGER: [STRANGER],
}
PRELUDE = """
import sys
from libchronicle.bus.control import ControlReceiver, send_command
from libchronicle.bus.endpoint import Endpoint
from libchronicle.bus.kill_word import KillSwitch, KillWord
from libchronicle.bus.orders import ROUTER_READER, STRATEGY_READER, orders_config
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import ChronicleError
from libchronicle.protocol import Command
from libchronicle.queue import Queue
paths = BusPaths(sys.argv[1])
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become other users")


@pytest.fixture
def paths() -> Iterator[BusPaths]:
    root = (
        Path("/dev/shm") / f"chronicle-access-{os.getpid()}"
    )  # pytest's own directories keep other users out
    root.mkdir(mode=0o755)
    paths = BusPaths(root)
    apply_permissions(permission_rules(paths, ACCESS))
    yield paths
    shutil.rmtree(root)


def attempt(paths: BusPaths, user: int, code: str) -> str:
    """Run `code` as `user`; "ok", or the name of the error that ended it."""
    groups = ",".join(map(str, GROUPS[user]))
    as_user = ["setpriv", f"--reuid={user}", f"--regid={GROUPS[user][0]}", f"--groups={groups}"]
    done = subprocess.run(
        [*as_user, sys.executable, "-c", PRELUDE + code, str(paths.root)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode == 0:
        return "ok"
    return done.stderr.strip().splitlines()[-1].split(":")[0].rsplit(".", 1)[-1]


PUBLISH = "with Queue.open_publisher(paths.raw('f')) as p: p.append(1, b'x')"
READ = "assert Queue.open_subscriber(paths.raw('f'), 'r%d', start='earliest').next() is not None"


@needs_root
def test_market_data_is_written_by_the_feed_and_read_by_its_group(paths: BusPaths) -> None:
    assert attempt(paths, ALPHA, PUBLISH) == "NoPermission"
    assert attempt(paths, FEED, PUBLISH) == "ok"
    for user in (ALPHA, BETA, ROUTER, ETL):
        assert attempt(paths, user, READ % user) == "ok"
        assert attempt(paths, user, PUBLISH) == "NoPermission"
        assert (
            attempt(paths, user, "import os; os.unlink(paths.raw('f') / '000000000.q')") == "PermissionError"
        )
        assert attempt(paths, user, "open(paths.raw('f') / '000000000.q', 'r+b')") == "PermissionError"
    assert attempt(paths, STRANGER, READ % STRANGER) == "NoPermission"


@needs_root
def test_a_reader_page_belongs_to_its_reader_alone(paths: BusPaths) -> None:
    attempt(paths, FEED, PUBLISH)
    assert attempt(paths, ALPHA, READ % 1) == "ok"
    page = "paths.raw('f') / 'readers' / 'r1.meta'"
    assert attempt(paths, BETA, f"import os; os.unlink({page})") == "PermissionError"
    assert attempt(paths, BETA, f"open({page}, 'r+b')") == "PermissionError"
    assert attempt(paths, BETA, READ % 1) != "ok"


@needs_root
def test_a_strategy_and_the_router_share_orders_that_no_other_strategy_sees(paths: BusPaths) -> None:
    strategy = """
out = Queue.open_publisher(paths.orders_out('alpha'), orders_config(ROUTER_READER))
out.append(20, b'o')
reports = Queue.try_open_subscriber(paths.orders_in('alpha'), STRATEGY_READER)
"""
    router = """
requests = Queue.open_subscriber(paths.orders_out('alpha'), ROUTER_READER)
assert requests.next() is not None
Queue.open_publisher(paths.orders_in('alpha'), orders_config(STRATEGY_READER)).append(25, b'r')
"""
    assert attempt(paths, ALPHA, "with Endpoint(paths.endpoint('alpha'), epoch=1): pass") == "ok"
    assert attempt(paths, ALPHA, strategy) == "ok"
    assert attempt(paths, ROUTER, router) == "ok"
    assert attempt(paths, ALPHA, strategy + "assert reports.next() is not None") == "ok"
    assert (
        attempt(
            paths, ALPHA, "assert Queue.open_subscriber(paths.orders_in('alpha'), 's').next() is not None"
        )
        == "ok"
    )
    for queue in ("orders_out", "orders_in"):
        peek = f"Queue.open_subscriber(paths.{queue}('alpha'), None, start='earliest')"
        assert attempt(paths, BETA, peek) == "NoPermission"
    assert attempt(paths, BETA, "import os; os.listdir(paths.endpoint('alpha'))") == "PermissionError"
    assert (
        attempt(paths, ALPHA, "import shutil; shutil.rmtree(paths.orders_in('alpha'))") == "PermissionError"
    )
    assert attempt(paths, BETA, "paths.endpoint('gamma').mkdir()") == "PermissionError"


@needs_root
def test_all_read_the_kill_word_and_operators_change_it(paths: BusPaths) -> None:
    KillWord(paths).initialise()
    look = "assert KillSwitch(paths.kill_word).killed is %s"
    kill = "KillWord(paths).kill('test')"
    for user in (ALPHA, ROUTER):
        assert attempt(paths, user, look % False) == "ok"
        assert attempt(paths, user, kill) == "NoPermission"
    assert attempt(paths, OPERATOR, kill) == "ok"
    assert attempt(paths, ALPHA, look % True) == "ok"
    assert attempt(paths, ALPHA, "KillWord(paths).allow('let me')") == "NoPermission"
    assert attempt(paths, OPERATOR, "KillWord(paths).allow('test')") == "ok"
    assert [record.user for record in KillWord(paths).history()[1:]] == [str(OPERATOR)] * 2


@needs_root
def test_operators_command_and_the_daemon_reads(paths: BusPaths) -> None:
    send = "send_command(paths, 'router', Command.PAUSE, reason='test')"
    receive = "r = ControlReceiver(paths, 'router'); assert len(r.poll()) == %d; r.close()"
    assert attempt(paths, OPERATOR, send) == "ok"
    assert attempt(paths, ROUTER, receive % 1) == "ok"
    assert attempt(paths, ALPHA, send) == "NoPermission"
    assert attempt(paths, OPERATOR, send) == "ok"
    assert attempt(paths, ROUTER, receive % 1) == "ok"


@needs_root
def test_applying_twice_changes_nothing_and_repairs_what_was_changed(paths: BusPaths) -> None:
    rules = permission_rules(paths, ACCESS)
    assert apply_permissions(rules) == []
    paths.orders_dir.chmod(0o777)
    assert apply_permissions(rules) == [paths.orders_dir]


def test_a_user_the_host_does_not_have_is_named_with_the_remedy(tmp_path: Path) -> None:
    access = Access(feed="no-such-user-here", router=0, etl=0, archive=0, readers=0, operators=0)
    with pytest.raises(HostError, match="useradd --system no-such-user-here"):
        apply_permissions(permission_rules(BusPaths(tmp_path), access))
