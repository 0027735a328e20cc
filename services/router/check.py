"""chronicle-router-check: sessions of the router once more; what `chronicle replay-check` asks about them.

Standard input is one JSON object (Question), standard output a JSON list of verdicts.
"""

from __future__ import annotations

import sys

import msgspec

from libchronicle.bus.paths import BusPaths
from libchronicle.errors import ChronicleError
from libchronicle.replay.journal import find_session
from libchronicle.runtime.config import HostConfig
from libchronicle.runtime.daemon import exit_code
from libchronicle.storage.archive import Archive
from services.router.rerun import rerun_router

__all__ = ["Question", "main"]


class Question(msgspec.Struct):
    """Which sessions, of which run directory, under which configuration."""

    root: str
    hot: str
    config: HostConfig
    sessions: list[int]


def main() -> int:
    """Console script."""
    question = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    try:
        with Archive(BusPaths(question.root, question.hot)) as archive:
            verdicts = [
                rerun_router(archive, find_session(archive, "router", session), question.config)
                for session in question.sessions
            ]
    except ChronicleError as error:
        print(f"chronicle: {error}", file=sys.stderr)
        return exit_code(error)
    sys.stdout.buffer.write(msgspec.json.encode(verdicts) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
