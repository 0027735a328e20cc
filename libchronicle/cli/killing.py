"""`chronicle kill`: the kill word for everything, the control queue for one strategy."""

from __future__ import annotations

from libchronicle.bus.control import send_command
from libchronicle.bus.kill_word import KillWord
from libchronicle.cli.arguments import DEFAULT_CONFIG
from libchronicle.cli.context import find_run
from libchronicle.cli.health import TTL_S, read_snapshots
from libchronicle.cli.status import trading_state
from libchronicle.cli.suite import Suite
from libchronicle.errors import ConfigError
from libchronicle.protocol import Command

__all__ = ["run_kill"]


def run_kill(
    run: str | None, config: str | None, *, strategy: str | None, everything: bool, clear: bool, reason: str
) -> None:
    """Stop trading, or allow it again. Raises ChronicleError."""
    if strategy is not None and everything:
        raise ConfigError(
            file="command line", key="--all", reason=f"stops more than {strategy}; give one of the two"
        )
    suite = find_run(run, config).suite
    if not suite.root.is_dir():
        key = "--run" if run else "bus.root"
        reason = f"no run directory {suite.root}; nothing ever ran there (start with `chronicle up`)"
        raise ConfigError(file="command line" if run else config or DEFAULT_CONFIG, key=key, reason=reason)
    said = reason.strip() or ("cleared by hand" if clear else "killed by hand")
    if strategy is not None:
        _tell(suite, strategy, clear, said)
        return
    word = KillWord(suite.paths)
    if clear:
        word.allow(said)
    else:
        word.kill(said)
    print(f"{suite.root}: {trading_state(suite.paths)}")
    if not clear and not _router_beats(suite):
        print(
            "the router does not run: what lies open on paper lies in it, and is cancelled before it takes a new order"
        )


def _router_beats(suite: Suite) -> bool:
    snapshot = read_snapshots(suite.paths, ["router"]).get("router")
    return snapshot is not None and snapshot.up(TTL_S)


def _tell(suite: Suite, strategy: str, clear: bool, reason: str) -> None:
    """The router first: it refuses the strategy's orders and cancels what is open. Then the strategy, so that it sends none."""
    known = suite.paths.strategies()
    if strategy not in known:
        allowed = ", ".join(known) or "none"
        said = f"no strategy {strategy!r} ever ran here; there are: {allowed}"
        raise ConfigError(file="command line", key="STRATEGY", reason=said)
    to_router, to_strategy = (Command.UNKILL, Command.RESUME) if clear else (Command.KILL, Command.PAUSE)
    send_command(suite.paths, "router", to_router, reason=reason, target=strategy)
    send_command(suite.paths, f"strategy-{strategy}", to_strategy, reason=reason)
    done = "may trade again" if clear else "orders are refused, open ones are cancelled"
    print(f"strategy {strategy}: {done} ({reason})")
    if not clear:
        print(f"`chronicle kill {strategy} --clear` lets it trade again")
    elif KillWord(suite.paths).killed:
        print(f"but {trading_state(suite.paths)}")
    if not _router_beats(suite):
        print(
            "the router does not run: it obeys when it starts within a minute; else say it again, or stop all trading"
        )
