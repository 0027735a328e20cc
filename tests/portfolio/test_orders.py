"""The order's state table."""

from __future__ import annotations

import pytest

from libchronicle.errors import InvalidTransition
from libchronicle.portfolio import TERMINAL, TRANSITIONS, Order, OrderKey, OrderState, next_state
from libchronicle.protocol import ExecType, Side


def test_every_state_has_its_row_and_every_report_kind_is_used() -> None:
    assert {state for state, _ in TRANSITIONS} == set(OrderState)
    assert {event for _, event in TRANSITIONS} == set(ExecType)


def test_an_ended_order_only_ever_refuses_late_requests() -> None:
    for (state, event), after in TRANSITIONS.items():
        if state in TERMINAL:
            assert after == state
            assert event in (ExecType.CANCEL_REJECT, ExecType.REPLACE_REJECT)


def test_what_the_table_does_not_name_is_a_bug_that_is_reported() -> None:
    for state in OrderState:
        for event in ExecType:
            if (state, event) not in TRANSITIONS:
                with pytest.raises(InvalidTransition):
                    next_state(state, event)


def test_an_order_that_has_ended_leaves_nothing() -> None:
    order = Order(OrderKey(1, 1, 1), "alpha", 7, Side.BUY, qty=5, price=100)
    order.advance(ExecType.ACK)
    assert order.leaves == 5
    order.advance(ExecType.CANCELLED)
    assert order.leaves == 0
