"""Names of readers on disk: percent-encoded outside [A-Za-z0-9._-], never empty, never dots only."""

from __future__ import annotations

from urllib.parse import quote, unquote

from libchronicle.errors import InvalidName

_MAX_ENCODED = 100


def encode_name(name: str, kind: str = "reader") -> str:
    """The file name part for `name`. Raises InvalidName."""
    if not name or not name.strip("."):
        raise InvalidName(name=name, kind=kind, reason="empty or dots only")
    encoded = quote(name, safe="").replace("~", "%7E")
    if len(encoded) > _MAX_ENCODED:
        raise InvalidName(name=name, kind=kind, reason=f"longer than {_MAX_ENCODED} bytes when encoded")
    return encoded


def decode_name(encoded: str) -> str:
    return unquote(encoded)
