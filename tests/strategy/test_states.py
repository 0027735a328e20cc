"""The tables hold what they promise, for every state and event."""

from __future__ import annotations

import itertools

import pytest

from libchronicle.errors import InternalError
from libchronicle.strategy.states import (
    BOOK,
    FEED,
    HOST,
    ROUTER,
    Action,
    BookEvent,
    BookState,
    FeedEvent,
    FeedState,
    HostEvent,
    HostState,
    RouterEvent,
    RouterState,
    step,
)


def test_a_lost_feed_cancels_all_exactly_once_however_often_it_is_reported() -> None:
    state, cancels = HostState.TRADING, 0
    for _ in range(5):
        transition = step(HOST, state, HostEvent.FEED_LOST)
        cancels += transition.actions.count(Action.CANCEL_ALL)
        state = transition.target
    assert (state, cancels) == (HostState.WAITING_FOR_FEED, 1)


def test_only_trading_is_left_with_a_cancel() -> None:
    with_cancel = [key for key, (_, actions) in HOST.items() if Action.CANCEL_ALL in actions]
    assert with_cancel == [(HostState.TRADING, HostEvent.FEED_LOST)]


def test_flatten_comes_after_the_cancel() -> None:
    actions = HOST[HostState.TRADING, HostEvent.FEED_LOST][1]
    assert actions.index(Action.CANCEL_ALL) < actions.index(Action.FLATTEN)


def test_a_stop_sees_to_the_orders_once_and_cannot_be_undone() -> None:
    for start in (HostState.WAITING_FOR_FEED, HostState.TRADING):
        transition = step(HOST, start, HostEvent.STOP)
        assert transition == (start, HostState.STOPPING, (Action.STOP_ORDERS,))
    for event in (HostEvent.FEEDS_UP, HostEvent.FEED_LOST, HostEvent.STOP):
        assert step(HOST, HostState.STOPPING, event) == (HostState.STOPPING, HostState.STOPPING, ())
    assert step(HOST, HostState.STOPPING, HostEvent.DRAINED).target is HostState.STOPPED


def test_a_feed_is_connected_only_by_way_of_syncing() -> None:
    ways = {source for (source, _), (target, _) in FEED.items() if target is FeedState.CONNECTED}
    assert ways == {FeedState.SYNCING, FeedState.CONNECTED}


@pytest.mark.parametrize("state", [FeedState.SYNCING, FeedState.CONNECTED])
def test_a_gap_brings_a_feed_back_to_syncing_and_a_loss_to_disconnected(state: FeedState) -> None:
    assert step(FEED, state, FeedEvent.GAP).target is FeedState.SYNCING
    assert step(FEED, state, FeedEvent.LOST).target is FeedState.DISCONNECTED


@pytest.mark.parametrize(
    ("table", "states", "events"),
    [
        (BOOK, BookState, BookEvent),
        (
            ROUTER,
            [s for s in RouterState if s is not RouterState.INIT],
            [RouterEvent.ATTACHED, RouterEvent.LOST],
        ),
    ],
)
def test_small_tables_are_total(table: dict, states: list, events: list) -> None:  # type: ignore[type-arg]
    assert all(pair in table for pair in itertools.product(states, events))


def test_an_event_a_state_does_not_list_is_a_bug_that_names_both() -> None:
    with pytest.raises(InternalError, match=r"HostState\.STOPPED has no transition for FEEDS_UP"):
        step(HOST, HostState.STOPPED, HostEvent.FEEDS_UP)


def test_every_state_can_be_reached() -> None:
    for table, first in ((HOST, HostState.INITIALIZING), (FEED, FeedState.INIT), (ROUTER, RouterState.INIT)):
        reached, grown = {first}, True
        while grown:
            more = {target for (source, _), (target, _) in table.items() if source in reached} - reached
            reached |= more
            grown = bool(more)
        assert reached == set(type(first))
