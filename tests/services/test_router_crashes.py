"""A crash of the router's engine at every single append."""

from __future__ import annotations

import itertools
import random

import pytest

from libchronicle.portfolio import Account, MakerTaker
from libchronicle.protocol import CancelAll, CancelOrder, ReplaceOrder, Side, TimeInForce
from services.router.recovery import recover
from tests.services.router_world import Crash, World, audit, kinds, order


def script(rng: random.Random) -> list:
    """Actions of a short session: requests of both strategies, and the market."""
    actions: list = []
    sent = {"alpha": 0, "beta": 0}
    for _ in range(14):
        name = rng.choice(["alpha", "beta"])
        kind = rng.random()
        if kind < 0.55:
            side = rng.choice([Side.BUY, Side.SELL])
            price = rng.choice([0, 9_980, 9_990, 10_000, 10_010, 10_020])
            tif = rng.choice([TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK])
            actions.append((name, order(side, rng.randint(1, 15), price, time_in_force=tif)))
            sent[name] += 1
        elif kind < 0.65:
            actions.append((name, CancelOrder(order_seq=rng.randint(0, max(0, sent[name])), order_epoch=1)))
            sent[name] += 1
        elif kind < 0.75:
            target = rng.randint(0, max(0, sent[name]))
            price, qty = rng.choice([9_980, 10_010]), rng.randint(1, 9)
            actions.append((name, ReplaceOrder(order_seq=target, order_epoch=1, price=price, qty=qty)))
            sent[name] += 1
        elif kind < 0.8:
            actions.append((name, CancelAll()))
            sent[name] += 1
        else:
            actions.append(
                (
                    "trade",
                    rng.choice([9_970, 9_990, 10_010, 10_040]),
                    rng.randint(1, 20),
                    rng.choice([Side.BUY, Side.SELL]),
                )
            )
    return actions


def play(world: World, actions: list, crash_at: int) -> int:
    """Run the script with one crash at the given append; returns how many appends there were."""
    world.fuse[0] = crash_at
    appends = 0

    def guarded(step) -> None:
        nonlocal appends
        left = world.fuse[0]
        try:
            step()
        except Crash:
            again = 3
            world.fuse[0] = again  # and die once more while recovering
            try:
                world.start()
            except Crash:
                world.fuse[0] = -1
                world.start()
            world.fuse[0] = -1
            world.serve()
        appends += left - world.fuse[0]

    guarded(world.start)
    for action in actions:
        if action[0] == "trade":
            guarded(lambda action=action: world.trade(*action[1:]))
        else:
            world.write(*action)
            guarded(world.serve)
    return appends


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_a_crash_at_any_append_loses_nothing_and_repeats_nothing(seed, after) -> None:
    actions = script(random.Random(seed))
    for crash_at in itertools.count(1):
        world = World(after=after)
        play(world, actions, crash_at)
        world.serve()
        audit(world)
        if world.fuse[0] > 0:
            break  # the script is over before the fuse
    assert crash_at > 30


@pytest.mark.parametrize("seed", [2, 5])
def test_a_crash_at_any_append_leaves_every_balance_right(seed) -> None:
    actions = script(random.Random(seed))

    def open_account() -> Account:
        return Account({"USDT": "0.8", "BTC": "0.005"}, fees=MakerTaker(1, 5))

    refused = False
    for crash_at in itertools.count(1):
        world = World(open_account=open_account)
        play(world, actions, crash_at)
        world.serve()
        audit(world)
        told = [*world.reports("alpha"), *world.reports("beta")]
        refused |= any("INSUFFICIENT_BALANCE" in one for one in kinds(told))
        if world.fuse[0] > 0:
            break
    assert refused


@pytest.mark.parametrize("after", [False, True])
def test_fill_or_kill_over_three_levels_is_all_or_nothing_at_every_crash(after) -> None:
    whole = order(qty=20, price=10_030, time_in_force=TimeInForce.FOK)
    outcomes = set()
    for crash_at in itertools.count(1):
        world = World(after=after)
        play(world, [("alpha", whole)], crash_at)
        audit(world)
        outcomes.add(kinds(world.reports("alpha"))[-1])
        if world.fuse[0] > 0:
            break
    assert outcomes == {"FILL", "REJECT LOST"}


def test_without_a_crash_the_journal_alone_gives_the_same_state_again() -> None:
    world = World()
    play(world, script(random.Random(9)), -1)
    again = recover(world.journal.records)
    assert again.clients["alpha"].last_exec_id == world.state.clients["alpha"].last_exec_id
    for key, holding in world.state.ledger.holdings.items():
        other = again.ledger.holdings[key]
        assert (other.position.qty, other.position.cost, other.position.realized, other.position.fees) == (
            holding.position.qty, holding.position.cost, holding.position.realized, holding.position.fees,
        )  # fmt: skip
        assert (other.open_buy, other.open_sell) == (holding.open_buy, holding.open_sell)
    assert list(again.ledger.open_orders) == list(world.state.ledger.open_orders)
