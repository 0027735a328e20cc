"""Binance spot and USD-M futures: frames to records, order book synchronisation, instruments."""

from libchronicle.venues.binance.instruments import parse_instruments
from libchronicle.venues.binance.pipeline import Pipeline
from libchronicle.venues.binance.profile import PROFILES, Profile
from libchronicle.venues.binance.sync import SymbolSync

__all__ = ["PROFILES", "Pipeline", "Profile", "SymbolSync", "parse_instruments"]
