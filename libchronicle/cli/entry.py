"""Console script of `chronicle`.

`down` goes another way than the rest: it needs none of what makes the other commands pleasant, and on a busy host importing
that takes many times longer than stopping every daemon does.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main", "plain_down"]

VALUES = {"--run": "run", "--config": "config", "--grace": "grace"}


def main() -> None:
    """Runs the command line of this process; the exit code says whose turn it is."""
    options = plain_down(sys.argv[1:])
    if options is None:
        from libchronicle.cli.main import main as full

        full()
        return
    from libchronicle.cli.down import run_down
    from libchronicle.errors import ChronicleError

    try:
        run_down(options.get("run"), options.get("config"), float(options["grace"]))
    except ChronicleError as error:
        from libchronicle.cli.main import fail

        fail(error)
    except KeyboardInterrupt:
        sys.exit(130)


def plain_down(arguments: Sequence[str]) -> dict[str, str] | None:
    """The options of a `down` that needs nothing explained; None: let the full command line look at it."""
    if not arguments or arguments[0] != "down":
        return None
    found = {"grace": "5"}
    rest = list(arguments[1:])
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name not in VALUES or not (equals or rest):
            return None
        found[VALUES[name]] = value if equals else rest.pop(0)
    return found if found["grace"].isascii() and found["grace"].replace(".", "", 1).isdigit() else None
