"""`chronicle status` and `chronicle top`."""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from libchronicle.bus.kill_word import KillWord
from libchronicle.bus.paths import BusPaths
from libchronicle.cli.context import Run, find_run, print_json
from libchronicle.cli.health import DaemonStatus, killed_strategies, read_snapshots
from libchronicle.cli.observe import Observer
from libchronicle.cli.tables import STATUS_HEADER, status_cells, status_table
from libchronicle.errors import NotReadyError

if TYPE_CHECKING:
    from rich.console import Group

__all__ = ["run_status", "run_top"]


def run_status(run: str | None, config: str | None, *, as_json: bool, check: bool, window_s: float) -> None:
    """The table once. With `check`, NotReadyError unless every daemon is healthy."""
    found = find_run(run, config)
    observer = Observer(found)
    rows = observer.look_twice(window_s)
    if as_json:
        trading = trading_state(found.suite.paths)
        print_json({"run": str(found.suite.root), "trading": trading, "daemons": rows})
    else:
        print(f"{found.suite.root}: {trading_state(found.suite.paths)}")
        print(status_table(rows) if rows else "nothing ever ran here; start it with `chronicle up`")
    unhealthy = [row.daemon for row in rows if not row.healthy and row.daemon in observer.expected()]
    if check and (unhealthy or not rows):
        raise NotReadyError(reason=f"not healthy: {', '.join(unhealthy) or 'nothing runs'}")


def run_top(run: str | None, config: str | None, *, interval_s: float, once: bool) -> None:
    """The table live, until q or ctrl-c; without a terminal one table after the other."""
    found = find_run(run, config)
    observer = Observer(found)
    if once:
        print(f"{found.suite.root}: {trading_state(found.suite.paths)}")
        print(status_table(observer.look_twice(interval_s)))
        return
    if not sys.stdout.isatty():
        while True:
            print(f"{time.strftime('%H:%M:%S')}  {trading_state(found.suite.paths)}")
            print(status_table(observer.look_twice(interval_s)), flush=True)
    from rich.live import Live

    with _keys() as pressed, Live(screen=True, auto_refresh=False) as live:
        while True:
            live.update(_screen(found, observer.look()), refresh=True)
            if pressed(interval_s) in ("q", "Q", "\x03"):
                return


def trading_state(paths: BusPaths) -> str:
    """What the kill word says, and who said it why."""
    word = KillWord(paths)
    if not word.path.exists() and not word.log_path.exists():
        return "never started"
    if not word.killed:
        return f"trading allowed{_exceptions(paths)}"
    last = next((record for record in reversed(word.history()) if record.killed), None)
    if last is None or not word.path.exists():
        return "KILLED: the kill word is missing or unreadable; `chronicle kill --clear` allows trading"
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(last.ts_ns / 1e9))
    return f"KILLED at {when} UTC by {last.user}: {last.reason}; `chronicle kill --clear` allows trading"


def _exceptions(paths: BusPaths) -> str:
    killed = killed_strategies(read_snapshots(paths, ["router"]).get("router"))
    if not killed:
        return ""
    undo = ", ".join(f"`chronicle kill {name} --clear`" for name in killed)
    return f", but not for KILLED {', '.join(killed)}; {undo} allows it again"


def _screen(run: Run, rows: list[DaemonStatus]) -> Group:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(STATUS_HEADER):
        table.add_column(name, justify="left" if i in (0, 2) else "right")
    for row in rows:
        texts = [Text(cell) for cell in status_cells(row)]
        trades = row.healthy and row.state not in ("killed", "paused")
        texts[2].stylize("green" if trades else "bold red")
        table.add_row(*texts)
    state = trading_state(run.suite.paths)
    title = Text(
        f"{run.suite.root}  {time.strftime('%H:%M:%S')}  {state}",
        style="bold red" if "KILLED" in state else "bold",
    )
    return Group(title, Text(""), table, Text(""), Text("q quits", style="dim"))


def _no_keys(timeout_s: float) -> str:
    time.sleep(timeout_s)
    return ""


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """A function that waits up to some seconds for a key; just waits where there is no terminal."""
    if not sys.stdin.isatty():
        yield _no_keys
        return
    import termios
    import tty

    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)

    def pressed(timeout_s: float) -> str:
        ready, _, _ = select.select([fd], [], [], timeout_s)
        return sys.stdin.read(1) if ready else ""

    try:
        tty.setcbreak(fd)
        yield pressed
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
