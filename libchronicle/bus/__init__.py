"""Every path name, endpoints, liveness, discovery, fan-in, the control channel, the kill word.

Names are loaded on first use, so that a tool that only asks for a path loads no queue and no codec.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from libchronicle.bus.access import Access, StrategyAccess, apply_permissions, permission_rules
    from libchronicle.bus.affinity import pin_to_core
    from libchronicle.bus.commands import STOP, CommandChannel, Stop
    from libchronicle.bus.control import ControlReceiver, send_command
    from libchronicle.bus.discovery import Added, Discovery, Removed
    from libchronicle.bus.endpoint import Endpoint, EndpointStatus, inspect_endpoint
    from libchronicle.bus.fanin import FanIn
    from libchronicle.bus.feed_states import FeedState
    from libchronicle.bus.feed_watch import FeedChange, FeedWatch
    from libchronicle.bus.kill_word import KillSwitch, KillWord
    from libchronicle.bus.lease import Liveness
    from libchronicle.bus.logring import LogRing
    from libchronicle.bus.paths import BusPaths
    from libchronicle.bus.scanner import RemoteDiscovery
    from libchronicle.bus.sidecar import Attach, Detach, Sidecar

_HOMES = {
    "STOP": "commands",
    "Access": "access",
    "Added": "discovery",
    "Attach": "sidecar",
    "BusPaths": "paths",
    "CommandChannel": "commands",
    "ControlReceiver": "control",
    "Detach": "sidecar",
    "Discovery": "discovery",
    "Endpoint": "endpoint",
    "EndpointStatus": "endpoint",
    "FanIn": "fanin",
    "FeedChange": "feed_watch",
    "FeedState": "feed_states",
    "FeedWatch": "feed_watch",
    "KillSwitch": "kill_word",
    "KillWord": "kill_word",
    "Liveness": "lease",
    "LogRing": "logring",
    "RemoteDiscovery": "scanner",
    "Removed": "discovery",
    "Sidecar": "sidecar",
    "Stop": "commands",
    "StrategyAccess": "access",
    "apply_permissions": "access",
    "inspect_endpoint": "endpoint",
    "permission_rules": "access",
    "pin_to_core": "affinity",
    "send_command": "control",
}

__all__ = [
    "STOP",
    "Access",
    "Added",
    "Attach",
    "BusPaths",
    "CommandChannel",
    "ControlReceiver",
    "Detach",
    "Discovery",
    "Endpoint",
    "EndpointStatus",
    "FanIn",
    "FeedChange",
    "FeedState",
    "FeedWatch",
    "KillSwitch",
    "KillWord",
    "Liveness",
    "LogRing",
    "RemoteDiscovery",
    "Removed",
    "Sidecar",
    "Stop",
    "StrategyAccess",
    "apply_permissions",
    "inspect_endpoint",
    "permission_rules",
    "pin_to_core",
    "send_command",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
