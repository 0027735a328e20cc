"""Nasdaq TotalView-ITCH 5.0: every order of every stock, from the daily file or from captured packets."""

from libchronicle.venues.itch.messages import LENGTHS, NAMES
from libchronicle.venues.itch.parser import ItchParser

__all__ = ["LENGTHS", "NAMES", "ItchParser"]
