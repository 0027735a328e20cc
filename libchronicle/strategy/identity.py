"""What a session was made with: hash of the configuration, version of the code."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import msgspec

from libchronicle.protocol.enums import SCHEMA_VERSION
from libchronicle.runtime.config import StrategyConfig

__all__ = ["code_version", "config_hash"]


def config_hash(config: StrategyConfig) -> bytes:
    """BLAKE2b-256 of the configuration as decoded: equal for equal settings, whatever the TOML's layout."""
    canonical = msgspec.json.encode(msgspec.to_builtins(config), order="deterministic")
    return blake2b(canonical, digest_size=32).digest()


def code_version(strategy_file: str) -> str:
    """Version of the message schema and the first 16 hex digits of the strategy file's BLAKE2b."""
    try:
        digest = blake2b(Path(strategy_file).read_bytes(), digest_size=8).hexdigest()
    except OSError:
        digest = "none"
    return f"schema {SCHEMA_VERSION} strategy {digest}"
