"""Trading: orders, reports, positions, accounts, risk, operator commands.

Generated from chronicle.xml by `python -m libchronicle.protocol.generate`; do not edit.
"""

from __future__ import annotations

from typing import ClassVar

from libchronicle.protocol.codec import Layout, SbeMessage
from libchronicle.protocol.enums import (
    Command,
    ExecType,
    Liquidity,
    OrderFlags,
    OrderType,
    RejectCode,
    ReportFlags,
    Side,
    StpMode,
    TimeInForce,
)

__all__ = [
    "AccountReport",
    "CancelAll",
    "CancelOrder",
    "ControlCommand",
    "ExecutionReport",
    "NewOrder",
    "PositionReport",
    "ReplaceOrder",
    "RiskEvent",
    "Submitted",
]


class NewOrder(SbeMessage, kw_only=True, gc=False):
    """A strategy asks for an order."""

    TEMPLATE_ID: ClassVar[int] = 20
    LAYOUT: ClassVar[Layout] = Layout(
        "NewOrder",
        20,
        "Q5q2QqQ2IH4B2x16s16s",
        "instrument_id price qty stop_price valid_until_ns expire_ns cause_queue_id cause_seq cause_ts "
        "parent_seq cause_epoch parent_epoch flags side order_type time_in_force stp_mode account tag",
        enums={
            "flags": OrderFlags,
            "side": Side,
            "order_type": OrderType,
            "time_in_force": TimeInForce,
            "stp_mode": StpMode,
        },
        texts={"account": 16, "tag": 16},
    )

    instrument_id: int = 0
    price: int = 0
    qty: int = 0
    stop_price: int = 0
    valid_until_ns: int = 0  # the router rejects STALE after this; 0 = router default
    expire_ns: int = 0  # GTD only
    cause_queue_id: int = 0
    cause_seq: int = 0
    cause_ts: int = 0  # append time of the cause
    parent_seq: int = 0
    cause_epoch: int = 0
    parent_epoch: int = 0  # 0 = no parent
    flags: OrderFlags = OrderFlags(0)
    side: Side = Side.NONE
    order_type: OrderType
    time_in_force: TimeInForce
    stp_mode: StpMode = StpMode.NONE
    account: str = ""
    tag: str = ""


class CancelOrder(SbeMessage, kw_only=True, gc=False):
    """A strategy asks for one of its orders to be cancelled."""

    TEMPLATE_ID: ClassVar[int] = 21
    LAYOUT: ClassVar[Layout] = Layout(
        "CancelOrder",
        21,
        "2Qq2Qq2I",
        "instrument_id order_seq valid_until_ns cause_queue_id cause_seq cause_ts cause_epoch order_epoch",
    )

    instrument_id: int = 0
    order_seq: int = 0
    valid_until_ns: int = 0
    cause_queue_id: int = 0
    cause_seq: int = 0
    cause_ts: int = 0
    cause_epoch: int = 0
    order_epoch: int = 0


class ReplaceOrder(SbeMessage, kw_only=True, gc=False):
    """A strategy asks for a new price or quantity of one of its orders."""

    TEMPLATE_ID: ClassVar[int] = 22
    LAYOUT: ClassVar[Layout] = Layout(
        "ReplaceOrder",
        22,
        "2Q3q2Qq2I",
        "instrument_id order_seq price qty valid_until_ns cause_queue_id cause_seq cause_ts cause_epoch "
        "order_epoch",
    )

    instrument_id: int = 0
    order_seq: int = 0
    price: int = 0
    qty: int = 0  # new total quantity
    valid_until_ns: int = 0
    cause_queue_id: int = 0
    cause_seq: int = 0
    cause_ts: int = 0
    cause_epoch: int = 0
    order_epoch: int = 0


class CancelAll(SbeMessage, kw_only=True, gc=False):
    """A strategy asks for all its orders to be cancelled."""

    TEMPLATE_ID: ClassVar[int] = 23
    LAYOUT: ClassVar[Layout] = Layout(
        "CancelAll",
        23,
        "Qq32s",
        "instrument_id cause_ts reason",
        texts={"reason": 32},
    )

    instrument_id: int = 0  # 0 = every instrument
    cause_ts: int = 0
    reason: str = ""


class Submitted(SbeMessage, kw_only=True, gc=False):
    """Router journal: appended before the request leaves."""

    TEMPLATE_ID: ClassVar[int] = 24
    LAYOUT: ClassVar[Layout] = Layout(
        "Submitted",
        24,
        "3QIH2x16s32sq",
        "order_queue_id order_seq instrument_id order_epoch request_template gateway client_order_id place",
        texts={"gateway": 16, "client_order_id": 32},
    )

    order_queue_id: int = 0
    order_seq: int = 0
    instrument_id: int = 0
    order_epoch: int = 0
    request_template: int = 0  # template of the request: 20 to 23
    gateway: str = ""
    client_order_id: str = ""
    # 1 + quantity displayed at the price asked for: what stands before it should it rest; 0 = not known
    place: int = 0


class ExecutionReport(SbeMessage, kw_only=True, gc=False):
    """What became of an order or of a request to change it."""

    TEMPLATE_ID: ClassVar[int] = 25
    LAYOUT: ClassVar[Layout] = Layout(
        "ExecutionReport",
        25,
        "6Q10qQI2H3Bb4x16s32s",
        "order_queue_id order_seq instrument_id exec_id venue_order_id trade_id price qty last_price "
        "last_qty cum_qty leaves_qty fee venue_ts order_ts cause_ts request_seq order_epoch reject_code "
        "flags exec_type side liquidity fee_exponent fee_currency text",
        enums={
            "reject_code": RejectCode,
            "flags": ReportFlags,
            "exec_type": ExecType,
            "side": Side,
            "liquidity": Liquidity,
        },
        texts={"fee_currency": 16, "text": 32},
    )

    order_queue_id: int = 0
    order_seq: int = 0
    instrument_id: int = 0
    exec_id: int = 0  # contiguous per strategy; the same report never has two
    venue_order_id: int = 0
    trade_id: int = 0
    price: int = 0  # limit price of the order as it stands
    qty: int = 0  # total quantity of the order as it stands
    last_price: int = 0
    last_qty: int = 0
    cum_qty: int = 0
    leaves_qty: int = 0
    fee: int = 0  # mantissa at feeExponent; negative = rebate
    venue_ts: int = 0
    order_ts: int = 0  # append time of the order
    cause_ts: int = 0  # append time of the market record that caused the order
    request_seq: int = 0  # record in orders_out this answers: the order, its cancel or replace
    order_epoch: int = 0
    reject_code: RejectCode = RejectCode.NONE
    flags: ReportFlags = ReportFlags(0)
    exec_type: ExecType
    side: Side = Side.NONE
    liquidity: Liquidity = Liquidity.NONE
    fee_exponent: int = 0
    fee_currency: str = ""
    text: str = ""


class PositionReport(SbeMessage, kw_only=True, gc=False):
    """Position of one strategy in one instrument."""

    TEMPLATE_ID: ClassVar[int] = 26
    LAYOUT: ClassVar[Layout] = Layout(
        "PositionReport",
        26,
        "Q5qQHb5x16sq",
        "instrument_id ts qty avg_price realized_pnl fees last_exec_id flags pnl_exponent account open_cost",
        enums={"flags": ReportFlags},
        texts={"account": 16},
    )

    instrument_id: int = 0
    ts: int = 0
    qty: int = 0  # signed
    avg_price: int = 0  # average entry price, mantissa at priceExponent
    realized_pnl: int = 0  # mantissa at pnlExponent, before fees
    fees: int = 0  # mantissa at pnlExponent
    last_exec_id: int = 0
    flags: ReportFlags = ReportFlags(0)
    pnl_exponent: int = 0
    account: str = ""
    # exact signed cost of the open quantity, mantissa at pnlExponent: average cost survives a restart without rounding
    open_cost: int = 0


class AccountReport(SbeMessage, kw_only=True, gc=False):
    """Balance of one currency of an account."""

    TEMPLATE_ID: ClassVar[int] = 27
    LAYOUT: ClassVar[Layout] = Layout(
        "AccountReport",
        27,
        "3qb7x16s16s",
        "ts balance available exponent account currency",
        texts={"account": 16, "currency": 16},
    )

    ts: int = 0
    balance: int = 0
    available: int = 0
    exponent: int = 0
    account: str = ""
    currency: str = ""


class RiskEvent(SbeMessage, kw_only=True, gc=False):
    """A limit was hit."""

    TEMPLATE_ID: ClassVar[int] = 28
    LAYOUT: ClassVar[Layout] = Layout(
        "RiskEvent",
        28,
        "Q3qH6x32s64s",
        "instrument_id ts limit_value actual_value code strategy text",
        enums={"code": RejectCode},
        texts={"strategy": 32, "text": 64},
    )

    instrument_id: int = 0
    ts: int = 0
    limit_value: int = 0
    actual_value: int = 0
    code: RejectCode = RejectCode.NONE
    strategy: str = ""
    text: str = ""


class ControlCommand(SbeMessage, kw_only=True, gc=False):
    """A command of an operator, with who gave it and why."""

    TEMPLATE_ID: ClassVar[int] = 30
    LAYOUT: ClassVar[Layout] = Layout(
        "ControlCommand",
        30,
        "q2IB7x32s32s64s128s128s",
        "ts uid pid command user host target value reason",
        enums={"command": Command},
        texts={"user": 32, "host": 32, "target": 64, "value": 128, "reason": 128},
    )

    ts: int = 0
    uid: int = 0
    pid: int = 0
    command: Command
    user: str = ""
    host: str = ""
    target: str = ""  # strategy, symbol or parameter name; empty = all
    value: str = ""
    reason: str = ""
