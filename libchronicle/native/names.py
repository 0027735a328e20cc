"""How a name given by a person becomes the name of a file, and back: the one encoder, for readers of a queue and the bus.

Everything outside [A-Za-z0-9._-] is percent-encoded byte by byte (UTF-8), so two names never meet in one file. A name is never
empty, never dots only and holds no control character (a NUL would end it early): such a name is refused, never repaired.
"""

from __future__ import annotations

from typing import Final

from libchronicle.errors import InvalidName

__all__ = ["decode_name", "encode_name"]

_PLAIN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


def encode_name(name: str, kind: str, max_bytes: int) -> str:
    """The file name part for `name`, at most `max_bytes` long. `kind` says in the error what was named.

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
    if len(encoded) > max_bytes:
        raise InvalidName(name=name, kind=kind, reason=f"it takes more than {max_bytes} bytes encoded")
    return encoded


def decode_name(encoded: str) -> str:
    """The text behind a percent encoding. Raises ValueError where the encoding is broken."""
    parts = encoded.split("%")
    raw = bytearray(parts[0].encode())
    for part in parts[1:]:
        raw += bytes.fromhex(part[:2]) + part[2:].encode()
    return raw.decode()


def _objection(name: str) -> str:
    if not name:
        return "it is empty"
    if not name.strip("."):
        return "it holds nothing but dots"
    if any(ord(char) < 32 or ord(char) == 127 for char in name):
        return "it holds a control character"
    return ""
