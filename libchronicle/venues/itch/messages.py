"""Message types of Nasdaq TotalView-ITCH 5.0 and their lengths in bytes.

Source: "Nasdaq TotalView-ITCH 5.0", chapters 1.1 to 1.8. Every message begins with its type (1 byte), stock locate (2),
tracking number (2) and nanoseconds since midnight in New York (6); all numbers are big-endian, prices have four decimals.
"""

from __future__ import annotations

from typing import Final

__all__ = ["LENGTHS", "NAMES"]

_TYPES: Final = {
    "S": (12, "system event"),
    "R": (39, "stock directory"),
    "H": (25, "trading action"),
    "Y": (20, "short sale restriction"),
    "L": (26, "market participant position"),
    "V": (35, "circuit breaker levels"),
    "W": (12, "circuit breaker status"),
    "K": (28, "quoting period update"),
    "J": (35, "auction collar"),
    "h": (21, "operational halt"),
    "A": (36, "add order"),
    "F": (40, "add order with participant"),
    "E": (31, "order executed"),
    "C": (36, "order executed with price"),
    "X": (23, "order cancel"),
    "D": (19, "order delete"),
    "U": (35, "order replace"),
    "P": (44, "trade"),
    "Q": (40, "cross trade"),
    "B": (19, "broken trade"),
    "I": (50, "net order imbalance"),
    "N": (20, "retail interest"),
    "O": (48, "direct listing price discovery"),
}

LENGTHS: Final[dict[str, int]] = {kind: length for kind, (length, _) in _TYPES.items()}
NAMES: Final[dict[str, str]] = {kind: name for kind, (_, name) in _TYPES.items()}
