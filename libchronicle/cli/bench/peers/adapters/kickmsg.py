"""Kickmsg: publish and subscribe in shared memory; what a subscriber has not read in time is overwritten."""

from __future__ import annotations

import importlib
import os
from typing import Any

kickmsg: Any = importlib.import_module("kickmsg")

PACKAGE = "kickmsg"
FULL = BlockingIOError
_RING = 1 << 14  # messages


def _region(where: str, channel: str) -> Any:
    config = kickmsg.Config()
    config.max_subscribers = 2
    config.sub_ring_capacity = _RING
    config.pool_size = 2 * _RING
    config.max_payload_size = 64
    name = f"/{os.path.basename(where)}-{channel}"
    return kickmsg.SharedRegion.create_or_open(name, kickmsg.ChannelType.PubSub, config, "bench")


def open_sender(where: str, channel: str) -> Any:
    return kickmsg.Publisher(_region(where, channel)).send


def open_receiver(where: str, channel: str) -> Any:
    return kickmsg.Subscriber(_region(where, channel)).try_receive
