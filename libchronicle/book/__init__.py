"""Order books, native and fixed-point."""

from __future__ import annotations

from libchronicle.book.l2 import L2Book

__all__ = ["L2Book"]
