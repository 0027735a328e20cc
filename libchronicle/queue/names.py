"""Names of readers on disk: libchronicle.native.names, in the room the core has for one."""

from __future__ import annotations

from typing import Final

from libchronicle.native import names

__all__ = ["MAX_ENCODED_BYTES", "decode_name", "encode_name"]

MAX_ENCODED_BYTES: Final = 100


def encode_name(name: str, kind: str = "reader") -> str:
    """The file name part for `name`. Raises InvalidName."""
    return names.encode_name(name, kind, MAX_ENCODED_BYTES)


def decode_name(encoded: str) -> str:
    """The reader a file name stands for; the file name itself when no reader's name could have made it."""
    try:
        return names.decode_name(encoded)
    except ValueError:
        return encoded
