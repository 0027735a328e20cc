"""Opens what a market plays: recordings from disk, or the generator with its seed and the clock."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Iterator
from random import Random

from libchronicle.errors import ConfigError, HostError
from libchronicle.sim.generator import Generator
from libchronicle.sim.instruments import generated_instrument
from libchronicle.sim.player import Player, Tape
from libchronicle.sim.recording import RecordingCorrupt, RecordingInfo, describe
from libchronicle.sim.source import MarketSource
from services.exchange.options import ExchangeOptions, MarketOptions


def read_lines(path: str) -> Iterator[bytes]:
    """Lines of a recording, gzipped or plain. Raises HostError, RecordingCorrupt."""
    try:
        with open(path, "rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not zipped:
                yield from raw
                return
            with gzip.open(raw) as lines:
                yield from lines
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RecordingCorrupt(path=path, line=-1, reason=f"the gzip stream is damaged: {error}") from error
    except FileNotFoundError:
        raise HostError(
            path=path, reason="no such recording; check the path, relative to the working directory"
        ) from None
    except OSError as error:
        raise HostError(path=path, reason=f"cannot be read: {error.strerror}") from error


def open_source(options: ExchangeOptions, market: MarketOptions) -> MarketSource:
    """The source of one market. Raises ConfigError where no recording fits it."""
    if not options.recordings:
        return _generator(options, market)
    known = [describe(read_lines(path), path) for path in options.recordings]
    chosen = [info for info in known if info.market == market.market and _wanted(info, market)]
    if not chosen:
        found = ", ".join(f"{info.path} is {info.market}:{info.instrument.symbol}" for info in known)
        raise ConfigError(
            file=options.recordings[0],
            key=f"exchange.markets.{market.market}",
            reason=f"no recording fits this market and its symbols ({found}); record one or remove the market",
        )
    return Player([_tape(info, loop=options.at_end == "loop") for info in chosen])


def _wanted(info: RecordingInfo, market: MarketOptions) -> bool:
    return not market.symbols or info.instrument.symbol in market.symbols


def _tape(info: RecordingInfo, *, loop: bool) -> Tape:
    return Tape(info, lambda: read_lines(info.path), loop)


def _generator(options: ExchangeOptions, market: MarketOptions) -> Generator:
    return Generator(
        market.market,
        [generated_instrument(market.market, symbol) for symbol in market.symbols or ("BTCUSDT",)],
        rate=options.rate,
        start_ns=time.time_ns(),
        rng=lambda name: Random(f"{options.seed}:{name}"),
    )
