"""Session: what a strategy host or router dispatched, in order.

Generated from chronicle.xml by `python -m libchronicle.protocol.generate`; do not edit.
"""

from __future__ import annotations

from typing import ClassVar

from libchronicle.protocol.codec import Layout, SbeMessage
from libchronicle.protocol.enums import OrderFlags, OrderType, RunMode, Side, StpMode, TimeInForce

__all__ = [
    "CarryOver",
    "Dispatch",
    "KillChange",
    "OpenOrder",
    "Parameter",
    "SessionSource",
    "SessionStart",
    "SessionStop",
    "StateChange",
    "StateChunk",
    "TimerFired",
]


class SessionStart(SbeMessage, kw_only=True, gc=False):
    """A session begins: configuration, code and clocks it runs with."""

    TEMPLATE_ID: ClassVar[int] = 40
    LAYOUT: ClassVar[Layout] = Layout(
        "SessionStart",
        40,
        "Q2qB7x32s64s64s",
        "session_id realtime_ns monotonic_ns mode config_hash name code_version",
        enums={"mode": RunMode},
        texts={"name": 64, "code_version": 64},
        blobs={"config_hash": 32},
    )

    session_id: int = 0
    realtime_ns: int = 0
    monotonic_ns: int = 0
    mode: RunMode
    config_hash: bytes = bytes(32)  # BLAKE2b-256 of the configuration as decoded
    name: str = ""
    code_version: str = ""


class SessionSource(SbeMessage, kw_only=True, gc=False):
    """A queue the session reads, and where it began."""

    TEMPLATE_ID: ClassVar[int] = 41
    LAYOUT: ClassVar[Layout] = Layout(
        "SessionSource",
        41,
        "2QIH2x128s",
        "queue_id start_seq epoch source path",
        texts={"path": 128},
    )

    queue_id: int = 0
    start_seq: int = 0
    epoch: int = 0
    source: int = 0  # rank of the source; ties in time are broken by it
    path: str = ""  # relative to the bus root


class Dispatch(SbeMessage, kw_only=True, gc=False):
    """A run of records of one source was dispatched at one time."""

    TEMPLATE_ID: ClassVar[int] = 42
    LAYOUT: ClassVar[Layout] = Layout(
        "Dispatch",
        42,
        "2QqIHBx",
        "first_seq last_seq now_ns epoch source muted",
    )

    first_seq: int = 0
    last_seq: int = 0
    now_ns: int = 0
    epoch: int = 0
    source: int = 0
    muted: int = 0  # 1 = books only, the strategy was not called


class TimerFired(SbeMessage, kw_only=True, gc=False):
    """A timer was dispatched."""

    TEMPLATE_ID: ClassVar[int] = 43
    LAYOUT: ClassVar[Layout] = Layout(
        "TimerFired",
        43,
        "2q32s",
        "deadline_ns now_ns name",
        texts={"name": 32},
    )

    deadline_ns: int = 0
    now_ns: int = 0
    name: str = ""


class StateChange(SbeMessage, kw_only=True, gc=False):
    """A state machine of the session changed state."""

    TEMPLATE_ID: ClassVar[int] = 44
    LAYOUT: ClassVar[Layout] = Layout(
        "StateChange",
        44,
        "qQ3B5x64s",
        "now_ns instrument_id machine from_state to_state reason",
        texts={"reason": 64},
    )

    now_ns: int = 0
    instrument_id: int = 0
    machine: int = 0  # 1 feed, 2 router, 3 host, 4 book
    from_state: int = 0
    to_state: int = 0
    reason: str = ""


class Parameter(SbeMessage, kw_only=True, gc=False):
    """A parameter had this value from here on."""

    TEMPLATE_ID: ClassVar[int] = 45
    LAYOUT: ClassVar[Layout] = Layout(
        "Parameter",
        45,
        "q64s128s",
        "now_ns name value",
        texts={"name": 64, "value": 128},
    )

    now_ns: int = 0
    name: str = ""
    value: str = ""


class KillChange(SbeMessage, kw_only=True, gc=False):
    """The kill word changed."""

    TEMPLATE_ID: ClassVar[int] = 46
    LAYOUT: ClassVar[Layout] = Layout(
        "KillChange",
        46,
        "qB7x64s",
        "now_ns killed reason",
        texts={"reason": 64},
    )

    now_ns: int = 0
    killed: int = 0
    reason: str = ""


class SessionStop(SbeMessage, kw_only=True, gc=False):
    """The session ended in order."""

    TEMPLATE_ID: ClassVar[int] = 47
    LAYOUT: ClassVar[Layout] = Layout(
        "SessionStop",
        47,
        "q64s",
        "now_ns reason",
        texts={"reason": 64},
    )

    now_ns: int = 0
    reason: str = ""


class OpenOrder(SbeMessage, kw_only=True, gc=False):
    """carry-over: an order open at session start; positions are carried by PositionReport."""

    TEMPLATE_ID: ClassVar[int] = 48
    LAYOUT: ClassVar[Layout] = Layout(
        "OpenOrder",
        48,
        "3Q6qQIH4B6x16s16s2qB7x",
        "order_queue_id order_seq instrument_id price qty cum_qty stop_price expire_ns order_ts "
        "venue_order_id order_epoch flags side order_type time_in_force stp_mode account tag cause_ts "
        "place state",
        enums={
            "flags": OrderFlags,
            "side": Side,
            "order_type": OrderType,
            "time_in_force": TimeInForce,
            "stp_mode": StpMode,
        },
        texts={"account": 16, "tag": 16},
    )

    order_queue_id: int = 0
    order_seq: int = 0
    instrument_id: int = 0
    price: int = 0
    qty: int = 0
    cum_qty: int = 0
    stop_price: int = 0
    expire_ns: int = 0  # GTD only
    order_ts: int = 0  # append time of the order
    venue_order_id: int = 0
    order_epoch: int = 0
    flags: OrderFlags = OrderFlags(0)
    side: Side = Side.NONE
    order_type: OrderType
    time_in_force: TimeInForce
    stp_mode: StpMode = StpMode.NONE
    account: str = ""
    tag: str = ""
    cause_ts: int = 0  # append time of the market record that caused the order
    place: int = 0  # 1 + quantity that must trade at its price before it; 0 = not known
    state: int = 0  # 0 not acknowledged, or not said; 1 open; 2 partly filled


class CarryOver(SbeMessage, kw_only=True, gc=False):
    """Ends the Instrument, OpenOrder and PositionReport records right before it: with the strategy's order
    queues read from these places on, they are all that is known.
    """

    TEMPLATE_ID: ClassVar[int] = 49
    LAYOUT: ClassVar[Layout] = Layout(
        "CarryOver",
        49,
        "q5Q5I4x",
        "now_ns orders_out_queue_id orders_out_seq orders_in_queue_id orders_in_seq last_exec_id "
        "orders_out_epoch orders_in_epoch open_orders positions instruments",
    )

    now_ns: int = 0
    orders_out_queue_id: int = 0
    orders_out_seq: int = 0  # of the first record that is not in it
    orders_in_queue_id: int = 0  # 0 = there was no such queue
    orders_in_seq: int = 0  # of the first record that is not in it
    last_exec_id: int = 0
    orders_out_epoch: int = 0  # of the last record that is in it; 0 = none
    orders_in_epoch: int = 0  # of the last record that is in it; 0 = none
    open_orders: int = 0  # OpenOrder records that belong to it
    positions: int = 0  # PositionReport and AccountReport records that belong to it
    instruments: int = 0  # Instrument records that belong to it: those of the orders and positions


class StateChunk(SbeMessage, kw_only=True, gc=False):
    """Part of what on_load was given: the JSON that on_save had returned."""

    TEMPLATE_ID: ClassVar[int] = 50
    LAYOUT: ClassVar[Layout] = Layout(
        "StateChunk",
        50,
        "2I1024s",
        "total_size offset data",
        blobs={"data": 1024},
    )

    total_size: int = 0  # bytes of the whole
    offset: int = 0  # of this part; what it lacks of 1024 bytes is zero
    data: bytes = bytes(1024)
