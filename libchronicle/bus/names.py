"""Names on the bus. The encoding is libchronicle.native.names; the bus refuses more, because its names are whole directories.

Rules, checked at the only two doors: beyond what no name may hold, a name of the bus never starts with a dot (those belong
to files being made) and holds no separator: a repaired traversal would be a name nobody asked for.
"""

from __future__ import annotations

from typing import Final

from libchronicle.errors import InvalidName
from libchronicle.native import names

__all__ = ["MAX_ENCODED_BYTES", "decode_name", "encode_name"]

MAX_ENCODED_BYTES: Final = 200
"""Leaves room for suffixes below the 255 bytes that file systems allow."""


def encode_name(name: str, kind: str = "bus") -> str:
    """File name for `name`. `kind` says in the error what was named: feed, strategy, symbol.

    Raises InvalidName.
    """
    reason = _objection(name)
    if reason:
        raise InvalidName(name=name, kind=kind, reason=reason)
    return names.encode_name(name, kind, MAX_ENCODED_BYTES)


def decode_name(encoded: str, kind: str = "bus") -> str:
    """Inverse of `encode_name`. Raises InvalidName for a file name that `encode_name` never makes."""
    try:
        name = names.decode_name(encoded)
    except ValueError:
        raise InvalidName(name=encoded, kind=kind, reason="its percent encoding is broken") from None
    if encode_name(name, kind) != encoded:
        raise InvalidName(name=encoded, kind=kind, reason="it is not in the form this bus writes")
    return name


def _objection(name: str) -> str:
    if name.startswith("."):
        return "it starts with a dot"
    if "/" in name or "\\" in name:
        return "it holds a path separator"
    return ""
