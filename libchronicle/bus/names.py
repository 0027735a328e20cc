"""How a name given by a person becomes the name of a file, and back.

Rules, checked at the only two doors:

- A name is never empty, never starts with a dot (those belong to files being made) and holds no separator and no control
  character: such a name is refused, never repaired, because a repaired traversal is a name nobody asked for.
- Everything else outside [A-Za-z0-9._-] is percent-encoded byte by byte (UTF-8), so two names never meet in one file.
"""

from __future__ import annotations

from typing import Final

from libchronicle.errors import InvalidName

__all__ = ["MAX_ENCODED_BYTES", "decode_name", "encode_name"]

MAX_ENCODED_BYTES: Final = 200
"""Leaves room for suffixes below the 255 bytes that file systems allow."""

_PLAIN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


def encode_name(name: str, kind: str = "bus") -> str:
    """File name for `name`. `kind` says in the error what was named: feed, strategy, symbol.

    Raises InvalidName.
    """
    reason = _objection(name)
    if reason:
        raise InvalidName(name=name, kind=kind, reason=reason)
    try:
        raw = name.encode()
    except UnicodeEncodeError:
        raise InvalidName(name=name, kind=kind, reason="it is no valid Unicode text") from None
    encoded = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in raw)
    if len(encoded) > MAX_ENCODED_BYTES:
        raise InvalidName(
            name=name, kind=kind, reason=f"it takes more than {MAX_ENCODED_BYTES} bytes encoded"
        )
    return encoded


def decode_name(encoded: str, kind: str = "bus") -> str:
    """Inverse of `encode_name`. Raises InvalidName for a file name that `encode_name` never makes."""
    parts = encoded.split("%")
    raw = bytearray(parts[0].encode())
    try:
        for part in parts[1:]:
            raw += bytes.fromhex(part[:2]) + part[2:].encode()
        name = raw.decode()
    except ValueError:
        raise InvalidName(name=encoded, kind=kind, reason="its percent encoding is broken") from None
    if encode_name(name, kind) != encoded:
        raise InvalidName(name=encoded, kind=kind, reason="it is not in the form this bus writes")
    return name


def _objection(name: str) -> str:
    if not name:
        return "it is empty"
    if name.startswith("."):
        return "it starts with a dot"
    if "/" in name or "\\" in name:
        return "it holds a path separator"
    if any(ord(char) < 32 or ord(char) == 127 for char in name):
        return "it holds a control character"
    return ""
