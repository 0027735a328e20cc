"""`chronicle strategy new`."""

from __future__ import annotations

import keyword
import os
import re
from decimal import Decimal
from pathlib import Path

from libchronicle.cli.arguments import DEFAULT_CONFIG
from libchronicle.cli.context import split_instrument
from libchronicle.cli.strategy_template import CODE, SETTINGS, TEST
from libchronicle.errors import AlreadyThere, ConfigError, InvalidName
from libchronicle.runtime.config import HostConfig, load_host
from libchronicle.sim.instruments import MARKETS, generated_instrument

__all__ = ["run_new"]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
_SOMETHING = "binance-spot:BTCUSDT"
_WORTH = 120.0  # above the least order of each market: a USD-M contract of BTCUSDT asks for 100


def run_new(name: str, instrument: str | None, directory: str | None, config: str | None) -> None:
    """Write the files and say what to do with them. Raises InvalidName, ConfigError, AlreadyThere, HostError."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        reason = "1 to 31 of a-z 0-9 _, the first a letter, and no word of Python: it names a module too"
        raise InvalidName(name=name, kind="strategy", reason=reason)
    host = load_host(config or DEFAULT_CONFIG) if config or Path(DEFAULT_CONFIG).is_file() else None
    traded = instrument or _first_instrument(host)
    split_instrument(traded)
    home = Path(directory) if directory else (host.strategies.path if host is not None else None)
    if home is None:
        raise ConfigError(
            file=DEFAULT_CONFIG,
            key="[strategies] dir",
            reason="there is no host.toml here; give --config or --dir",
        )
    words = {"@NAME@": name, "@CLASS@": _class_name(name), "@INSTRUMENT@": traded, **_amounts(traded)}
    files = {f"{name}.py": CODE, f"{name}.toml": SETTINGS}
    generated = traded.partition(":")[0] in MARKETS
    if generated:
        files[f"test_{name}.py"] = TEST
    home.mkdir(0o755, parents=True, exist_ok=True)
    there = [str(home / file) for file in files if (home / file).exists()]
    if there:
        raise AlreadyThere(path=there[0])
    for file, text in files.items():
        for word, value in words.items():
            text = text.replace(word, value)
        _write(home / file, text)
    shown = Path(os.path.relpath(home))
    if not generated:
        print(
            f"wrote {shown / f'{name}.py'} and {name}.toml; no test, as minutes are made up of {', '.join(MARKETS)} only"
        )
        print(f"  chronicle backtest run {shown / f'{name}.toml'} --data FILE   over recorded data")
        return
    test, up = f"python {shown / f'test_{name}.py'}", "chronicle up"
    print(f"wrote {shown / f'{name}.py'}, {name}.toml and test_{name}.py")
    print(f"  {test}   a backtest of it, on a made-up minute; it is a test for pytest too")
    if host is not None and home == host.strategies.path:
        print(f"  {up:{len(test)}}   starts it, on paper")
    else:
        print(f"  {up:{len(test)}}   starts it, once it is in [strategies] dir of the host's TOML")


def _write(path: Path, text: str) -> None:
    """Not writable by others, whatever the umask: the host would refuse to run it."""
    with open(path, "x", encoding="utf-8", opener=lambda p, flags: os.open(p, flags, 0o644)) as file:
        file.write(text)


def _amounts(instrument: str) -> dict[str, str]:
    """A quantity that is worth some 120 of the quote currency, in whole lots, and five of it as the limit.

    Of a market that nobody here knows, one.
    """
    market, _, symbol = instrument.partition(":")
    if market not in MARKETS:
        return {"@QTY@": "1", "@MOST@": "5"}
    spec = generated_instrument(market, symbol)
    price = spec.reference_price * spec.tick * 10.0**-spec.price_decimals
    lots = max(1, round(_WORTH / price * 10**spec.qty_decimals / spec.lot))
    lots = int(float(f"{lots:.0e}"))  # one digit
    texts = (f"{Decimal(n * lots * spec.lot).scaleb(-spec.qty_decimals).normalize():f}" for n in (1, 5))
    return {"@QTY@": next(texts), "@MOST@": next(texts), "@LIMIT@": f"{5 * lots * spec.lot:_}"}


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_") if part)


def _first_instrument(host: HostConfig | None) -> str:
    feeds = host.feeds.values() if host is not None else ()
    return next((f"{feed.venue}:{symbol}" for feed in feeds for symbol in feed.symbols), _SOMETHING)
