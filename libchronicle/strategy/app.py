"""`ChronicleApp`: a strategy on the bus from a plain Python program; what chronicle-strategy-host does from TOML."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from libchronicle.bus.paths import BusPaths
from libchronicle.errors import StrategyHung
from libchronicle.runtime.activity import telling
from libchronicle.runtime.config import StrategyConfig
from libchronicle.runtime.daemon import Daemon, pin_to_core
from libchronicle.runtime.logging import Log
from libchronicle.strategy.base import Strategy
from libchronicle.strategy.crashes import place_of
from libchronicle.strategy.guard import Finding, Guard
from libchronicle.strategy.live import LiveRunner
from libchronicle.strategy.stopguard import CallbackHung, StopGuard

__all__ = ["ChronicleApp", "run_live"]


class ChronicleApp:
    """Settings of one strategy process; `run` works until SIGTERM, SIGINT or a `stop` command.

    `subscribe` names instruments as venue:SYMBOL; `root` is the run directory, `hot` the one market data is in if it is
    not below it. The other names are those of a strategy's TOML.
    """

    def __init__(
        self,
        name: str,
        *,
        core: int = -1,
        subscribe: Iterable[str] = (),
        kinds: Iterable[Literal["book", "trade", "quote"]] = ("book", "trade", "quote"),
        root: str | os.PathLike[str] = "run",
        hot: str | os.PathLike[str] | None = None,
        spin_us: int = 0,
        on_stop: Literal["cancel", "keep"] = "cancel",
        on_disconnect: Literal["cancel", "flatten"] = "cancel",
        account: str = "paper",
        params: Mapping[str, Any] | None = None,
    ) -> None:
        self.paths = BusPaths(root, hot)
        self.config = StrategyConfig(
            version=1,
            id=name,
            file="",
            class_name="",
            subscribe=tuple(subscribe),
            kinds=tuple(kinds),
            core=core,
            spin_us=spin_us,
            on_stop=on_stop,
            on_disconnect=on_disconnect,
            account=account,
            params=dict(params or {}),
        )

    def run(self, strategy: Strategy) -> None:
        """Raises what the strategy raises, after its orders were cancelled."""
        import msgspec

        file = inspect.getsourcefile(type(strategy)) or ""
        config = msgspec.structs.replace(self.config, file=file, class_name=type(strategy).__name__)
        run_live(strategy, config, self.paths, Log(f"strategy-{config.id}"))


def run_live(strategy: Strategy, config: StrategyConfig, paths: BusPaths, log: Log) -> None:
    """Run until a stop signal; the one way a strategy goes live, whoever configured it."""
    pin_to_core(config.core)
    name = f"strategy-{config.id}"
    tell = telling(lambda: None, paths.counters(name), log)
    with Daemon(name, beat=tell) as daemon, StopGuard(daemon, config.file, log) as guard:
        runner = LiveRunner(
            strategy,
            config,
            paths,
            log=log,
            beat=daemon.beat,
            ready=daemon.ready,
            stopping=lambda: daemon.stop_reason,
        )
        guard.last_words, guard.progress = runner.last_words, runner.progress
        runner.strategy_ended = guard.disarm
        daemon.on_stop(runner.hurry)

        def found(finding: Finding) -> None:
            log.warning("guard", finding=str(finding))
            runner.put_on_record(f"guard: {finding}")

        try:
            with Guard(config.file, config.guard.action, found), runner:
                try:
                    runner.run()
                finally:
                    guard.disarm()
        except CallbackHung as hung:
            place = place_of(hung, config.file) or "the strategy"
            raise StrategyHung(strategy=config.id, reason=place) from hung
