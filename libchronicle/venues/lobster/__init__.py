"""LOBSTER: order-level messages of Nasdaq stocks as CSV, with the published book beside them."""

from libchronicle.venues.lobster.parser import LobsterParser, book_levels

__all__ = ["LobsterParser", "book_levels"]
