"""`chronicle strategy set`: parameters of a running strategy, acknowledged.

The command goes to the strategy's control queue. That it was obeyed stands in the session journal, with the time from which
on it holds; that it was not, in the host's error log.
"""

from __future__ import annotations

import time

import msgspec

from libchronicle.bus.control import send_command
from libchronicle.bus.paths import BusPaths
from libchronicle.cli.archive_books import utc
from libchronicle.cli.context import Run, find_run, print_json
from libchronicle.cli.health import TTL_S, read_snapshots
from libchronicle.counters import read_errors
from libchronicle.errors import (
    BadParameter,
    ChronicleError,
    CommandRefused,
    InvalidArgument,
    NotAcknowledged,
    StrategyAway,
)
from libchronicle.protocol import Command, ControlCommand, Parameter
from libchronicle.queue import Queue, Subscriber
from libchronicle.runtime.config import load_strategy, strategy_files
from libchronicle.strategy.commands import refusal_text
from libchronicle.strategy.params import Params

__all__ = ["run_set"]

_LONGEST = 128  # bytes of a command's value


def run_set(
    name: str,
    changes: list[str],
    run: str | None,
    config: str | None,
    *,
    reason: str,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Raises StrategyAway, UnknownParameter, BadParameter, CommandRefused, NotAcknowledged."""
    found = find_run(run, config)
    wanted = _parse(changes)
    _check(found, name, wanted)
    paths = found.suite.paths
    daemon = f"strategy-{name}"
    snapshot = read_snapshots(paths, [daemon]).get(daemon)
    if snapshot is None or not snapshot.up(TTL_S):
        raise StrategyAway(strategy=name, known=", ".join(paths.strategies()) or "none")
    with Queue.open_subscriber(paths.session(name), None, start="latest") as journal:
        sent_ns = time.time_ns()
        command = _command(wanted)
        send_command(
            paths,
            daemon,
            Command.SET_PARAMETER,
            reason=reason.strip() or "set by hand",
            target=command[0],
            value=command[1],
        )
        at_ns, since = _await(journal, paths, name, wanted, command, sent_ns, timeout_s)
    if as_json:
        print_json({"strategy": name, "applied_ns": at_ns, "params": wanted, "changed_since": since})
    else:
        print(
            f"{name}: {_told(wanted)} from {utc(at_ns)} on; its TOML is as it was, and holds again at the next start"
        )
        if since:
            print(f"{name}: somebody else has set {_told(since)} since")


def _told(values: dict[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in values.items())


def _parse(changes: list[str]) -> dict[str, str]:
    wanted: dict[str, str] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or not key:
            raise InvalidArgument(
                where="chronicle strategy set", field="KEY=VALUE", value=change, allowed="e.g. threshold=0.7"
            )
        wanted[key] = value
    return wanted


def _command(wanted: dict[str, str]) -> tuple[str, str]:
    """Target and value of the command."""
    if len(wanted) == 1:
        return next(iter(wanted.items()))
    value = msgspec.json.encode(wanted).decode()
    if len(value.encode()) > _LONGEST:
        raise BadParameter(
            name="(several)",
            value=value,
            wanted=f"JSON object of at most {_LONGEST} bytes; set fewer at a time",
        )
    return "", value


def _check(run: Run, name: str, wanted: dict[str, str]) -> None:
    """Against the TOML, where there is one: a slip of the finger is told at once."""
    tomls = {path.stem: path for path in strategy_files(run.config)} if run.config is not None else {}
    if name not in tomls:
        return
    try:
        params = Params(load_strategy(tomls[name], run.config).params)
    except ChronicleError:
        return  # the host that runs has read it when it was right
    for key, value in wanted.items():
        params.parse(key, value)


def _await(
    journal: Subscriber,
    paths: BusPaths,
    name: str,
    wanted: dict[str, str],
    command: tuple[str, str],
    sent_ns: int,
    timeout_s: float,
) -> tuple[int, dict[str, str]]:
    """When the last of them got its value, and what got another one right behind: others may set the same parameter."""
    missing, deadline = dict(wanted), time.monotonic() + timeout_s
    at_ns, since = 0, dict[str, str]()
    refused = refusal_text(ControlCommand(command=Command.SET_PARAMETER, target=command[0], value=command[1]))
    while time.monotonic() < deadline:
        while (message := journal.next()) is not None:
            if message.type_id == Parameter.TEMPLATE_ID:
                changed = Parameter.decode(message)
                if changed.name in missing and _same(changed.value, wanted[changed.name]):
                    del missing[changed.name]
                    at_ns = changed.now_ns
                elif changed.name in wanted and changed.name not in missing:
                    since[changed.name] = changed.value
        if not missing:
            return at_ns, {key: value for key, value in since.items() if not _same(value, wanted[key])}
        for error in read_errors(paths.errors(f"strategy-{name}")):
            if error.text.startswith(refused) and error.last_ns >= sent_ns:
                raise CommandRefused(strategy=name, reason=error.text.removeprefix(refused))
        journal.wait(0.05)
    raise NotAcknowledged(strategy=name, seconds=timeout_s)


def _same(recorded: str, wanted: str) -> bool:
    """Is it the value asked for? A number is recorded as its type spells it."""
    if recorded == wanted:
        return True
    try:
        return bool(msgspec.json.decode(recorded) == msgspec.json.decode(wanted))
    except msgspec.DecodeError:
        return False
