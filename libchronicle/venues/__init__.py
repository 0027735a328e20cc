"""Venue bytes to protocol messages and back; no I/O."""

from libchronicle.venues import binance

__all__ = ["binance"]
