"""Every path of the bus, made in one place.

    <root>/
      market_data/queue/<feed>/                         raw: all symbols of one feed     (below `hot` if given)
      market_data/clean/<venue>/<symbol>/<stream>/      clean: book, trade, quote        (below `hot` if given)
      market_data/clean/<venue>/<symbol>/<stream>.origin.json   which raw queue its records are of
      orders/queue/<strategy>/READY LEASE               the strategy's endpoint
      orders/queue/<strategy>/orders_out/               strategy -> router
      orders/queue/<strategy>/orders_in/                router -> strategy
      sessions/queue/<name>/                            what a strategy-host or the router dispatched
      control/queue/<daemon>/                           commands of people
      control/kill.word, control/kill.log               the kill word and who changed it, when and why
      services/<name>.counters, <name>.errors           memory-mapped, read when the daemon is dead too
      archive/v1/<venue>/<symbol>/<UTC date>/<stream>/  what left the queues

`hot` holds market data only: orders, sessions and control survive a reboot.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final, Literal

from libchronicle.bus.names import decode_name, encode_name
from libchronicle.errors import InvalidName

__all__ = ["LEASE", "READY", "STREAMS", "BusPaths", "Stream"]

READY: Final = "READY"
LEASE: Final = "LEASE"

Stream = Literal["book", "trade", "quote"]
STREAMS: Final[tuple[Stream, ...]] = ("book", "trade", "quote")
_LATE: Final = ".late"


class BusPaths:
    """Paths below `root`; `hot`, if given, takes `market_data`. Makes no directory and looks at none."""

    __slots__ = ("hot", "root")

    def __init__(self, root: str | os.PathLike[str], hot: str | os.PathLike[str] | None = None) -> None:
        self.root: Final = Path(root)
        self.hot: Final = Path(hot) if hot else self.root

    def __repr__(self) -> str:
        return f"BusPaths({str(self.root)!r}, hot={str(self.hot)!r})"

    # ------------------------------------------------------------ market data

    @property
    def raw_dir(self) -> Path:
        return self.hot / "market_data" / "queue"

    def raw(self, feed: str) -> Path:
        return self.raw_dir / encode_name(feed, "feed")

    @property
    def clean_dir(self) -> Path:
        return self.hot / "market_data" / "clean"

    def clean(self, venue: str, symbol: str, stream: str) -> Path:
        return self.clean_dir / encode_name(venue, "venue") / encode_name(symbol, "symbol") / _stream(stream)

    def clean_origin(self, venue: str, symbol: str, stream: str) -> Path:
        """Which raw queue the stream's records are of."""
        return self.clean(venue, symbol, stream).with_name(f"{_stream(stream)}.origin.json")

    # ------------------------------------------------------------ orders, sessions

    @property
    def orders_dir(self) -> Path:
        """What discovery watches: one endpoint per strategy."""
        return self.root / "orders" / "queue"

    def endpoint(self, strategy: str) -> Path:
        return self.orders_dir / encode_name(strategy, "strategy")

    def orders_out(self, strategy: str) -> Path:
        return self.endpoint(strategy) / "orders_out"

    def orders_in(self, strategy: str) -> Path:
        return self.endpoint(strategy) / "orders_in"

    @property
    def sessions_dir(self) -> Path:
        return self.root / "sessions" / "queue"

    def session(self, name: str) -> Path:
        return self.sessions_dir / encode_name(name, "session")

    def strategies(self) -> list[str]:
        """Strategies that ever had an endpoint here, living or not, sorted."""
        return sorted(_names_in(self.orders_dir, "strategy"))

    def feeds(self) -> list[str]:
        """Feeds that ever had a raw queue here, sorted."""
        return sorted(_names_in(self.raw_dir, "feed"))

    # ------------------------------------------------------------ control, services

    @property
    def control_dir(self) -> Path:
        return self.root / "control"

    def control(self, daemon: str) -> Path:
        return self.control_dir / "queue" / encode_name(daemon, "daemon")

    @property
    def kill_word(self) -> Path:
        return self.control_dir / "kill.word"

    @property
    def permit_word(self) -> Path:
        return self.control_dir / "permit.word"

    @property
    def kill_log(self) -> Path:
        return self.control_dir / "kill.log"

    @property
    def services_dir(self) -> Path:
        return self.root / "services"

    def counters(self, name: str) -> Path:
        return self.services_dir / f"{encode_name(name, 'service')}.counters"

    def errors(self, name: str) -> Path:
        return self.services_dir / f"{encode_name(name, 'service')}.errors"

    @property
    def market_board(self) -> Path:
        return self.services_dir / "router.market"

    # ------------------------------------------------------------ the rest

    @property
    def archive_dir(self) -> Path:
        return self.root / "archive"

    def archive(self, venue: str, symbol: str, day: date, stream: str) -> Path:
        """`day` is the UTC date of the records."""
        market = self.archive_dir / "v1" / encode_name(venue, "venue") / encode_name(symbol, "symbol")
        return market / day.isoformat() / _stream(stream)

    def run_dir(self, *names: str) -> Path:
        """A place for what is no part of the bus: logs, supervisor sockets, pid files."""
        return self.root.joinpath(*(encode_name(name, "run directory") for name in names))


def _stream(stream: str) -> str:
    if stream.removesuffix(_LATE) not in STREAMS:
        allowed = ", ".join(STREAMS)
        raise InvalidName(name=stream, kind="stream", reason=f"allowed are {allowed}, each also with {_LATE}")
    return stream


def _names_in(directory: Path, kind: str) -> Iterator[str]:
    try:
        entries = os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        try:
            yield decode_name(entry, kind)
        except InvalidName:
            continue  # a stranger's file: not ours to name, not ours to remove
