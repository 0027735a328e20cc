"""`chronicle errors`: what the daemons put on record; works when all of them are dead."""

from __future__ import annotations

from datetime import UTC, datetime

from libchronicle.bus.paths import BusPaths
from libchronicle.cli.context import find_run, print_json
from libchronicle.cli.tables import render_table
from libchronicle.counters import LoggedError, read_errors
from libchronicle.errors import ConfigError

__all__ = ["run_errors"]

SUFFIX = ".errors"
HEADER = ("DAEMON", "COUNT", "FIRST", "LAST", "ERROR")


def run_errors(run: str | None, config: str | None, daemon: str | None, *, limit: int, as_json: bool) -> None:
    """Print them, the latest first. Raises ConfigError for a daemon that never ran."""
    suite = find_run(run, config).suite
    found = _recorded(suite.paths, daemon)[:limit]
    if as_json:
        rows = [
            {"daemon": name, "text": e.text, "count": e.count, "first_ns": e.first_ns, "last_ns": e.last_ns}
            for name, e in found
        ]
        print_json(rows)
    elif found:
        lines = [(name, str(e.count), _when(e.first_ns), _when(e.last_ns), e.text) for name, e in found]
        print(render_table(HEADER, lines, right=(1,)))
    else:
        print(f"no errors on record in {suite.root}")


def _recorded(paths: BusPaths, daemon: str | None) -> list[tuple[str, LoggedError]]:
    files = {path.name.removesuffix(SUFFIX): path for path in paths.services_dir.glob(f"*{SUFFIX}")}
    if daemon is not None and daemon not in files and not paths.counters(daemon).exists():
        allowed = ", ".join(sorted(files)) or "none"
        reason = f"no daemon {daemon!r} ever ran here; with errors on record: {allowed}"
        raise ConfigError(file="command line", key="DAEMON", reason=reason)
    chosen = files if daemon is None else {daemon: paths.errors(daemon)}
    found = [(name, error) for name, path in chosen.items() for error in read_errors(path)]
    return sorted(found, key=lambda pair: pair[1].last_ns, reverse=True)


def _when(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
