"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = [
    "DEFAULT_CONFIG",
    "ConfigOption",
    "JsonOption",
    "RecordingOption",
    "RunOption",
    "SpeedOption",
    "SymbolsOption",
    "VenueOption",
]

DEFAULT_CONFIG = "deploy/host.toml"

RunOption = Annotated[
    str | None,
    typer.Option(
        "--run", metavar="DIR", help="Run directory (default: that of the configuration, else ./run)."
    ),
]
ConfigOption = Annotated[
    str | None, typer.Option("--config", metavar="FILE", help=f"The host's TOML (default: {DEFAULT_CONFIG}).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RecordingOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE", help="Play this recording on the embedded exchange; repeat it for more symbols."
    ),
]
SpeedOption = Annotated[float | None, typer.Option(metavar="X", help="Venue seconds per second.")]
VenueOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Real market data: binance, binance-spot or binance-usdm. Orders stay on paper."
    ),
]
SymbolsOption = Annotated[
    str, typer.Option(metavar="A,B", help="With --venue: symbols instead of those in the configuration.")
]
