"""Public test kit: what users test their strategies and daemons with, and what Chronicle tests itself with."""

from libchronicle.testing.audit import OrderAudit, audit_orders
from libchronicle.testing.clock import ManualClock
from libchronicle.testing.conformance import QUEUE_CHECKS
from libchronicle.testing.live_suite import LiveSuite, free_ports
from libchronicle.testing.memory_bus import MemoryBus
from libchronicle.testing.sample import sample_market

__all__ = [
    "QUEUE_CHECKS",
    "LiveSuite",
    "ManualClock",
    "MemoryBus",
    "OrderAudit",
    "audit_orders",
    "free_ports",
    "sample_market",
]
