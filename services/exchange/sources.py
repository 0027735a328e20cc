"""Opens what a market plays: recordings from disk, or the generator with its seed and the clock."""

from __future__ import annotations

import time
from contextlib import closing
from random import Random

from libchronicle.errors import ConfigError
from libchronicle.sim.files import read_lines
from libchronicle.sim.generator import Generator
from libchronicle.sim.instruments import generated_instrument
from libchronicle.sim.player import Player, Tape
from libchronicle.sim.recording import RecordingInfo, describe
from libchronicle.sim.source import MarketSource
from services.exchange.options import ExchangeOptions, MarketOptions


def open_source(options: ExchangeOptions, market: MarketOptions) -> MarketSource:
    """The source of one market. Raises ConfigError where no recording fits it."""
    if not options.recordings:
        return _generator(options, market)
    known = [_describe(path) for path in options.recordings]
    chosen = [info for info in known if info.market == market.market and _wanted(info, market)]
    if not chosen:
        found = ", ".join(f"{info.path} is {info.market}:{info.instrument.symbol}" for info in known)
        raise ConfigError(
            file=options.recordings[0],
            key=f"exchange.markets.{market.market}",
            reason=f"no recording fits this market and its symbols ({found}); record one or remove the market",
        )
    return Player([_tape(info, loop=options.at_end == "loop") for info in chosen])


def _describe(path: str) -> RecordingInfo:
    with closing(read_lines(path)) as lines:  # only its head is read
        return describe(lines, path)


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
