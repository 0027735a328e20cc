"""Order books, native and fixed-point."""

from __future__ import annotations

from libchronicle.book.l2 import L2Book
from libchronicle.book.l3 import L3Book, RestingOrder

__all__ = ["L2Book", "L3Book", "RestingOrder"]
