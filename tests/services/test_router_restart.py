"""What the router's engine knows again after a restart."""

from __future__ import annotations

import pytest

from libchronicle.protocol import CancelAll, KillChange, NewOrder, ReplaceOrder, Side, StateChunk, Submitted
from libchronicle.sim import paper_memory
from services.router.journal import Journal, write_checkpoint
from services.router.recovery import bring_level, last_delivered, recover
from tests.services.router_world import BTC, START, Crash, Memory, World, audit, kinds, order


def test_positions_and_open_orders_survive_a_restart(world: World) -> None:
    world.send("alpha", order(qty=7, price=0))
    world.send("alpha", order())
    world.send("alpha", order(Side.SELL, 3, 10_050))
    holding = world.state.ledger.holding("alpha", BTC)
    before = (
        holding.position.qty,
        holding.position.cost,
        holding.position.fees,
        holding.open_buy,
        holding.open_sell,
    )
    for _ in range(3):
        world.start()
        holding = world.state.ledger.holding("alpha", BTC)
        p = holding.position
        assert (p.qty, p.cost, p.fees, holding.open_buy, holding.open_sell) == before
    world.trade(9_980, 1)
    assert kinds(world.reports("alpha"))[-1] == "FILL"
    assert world.reports("alpha")[-1].trade_id == 3


def test_a_checkpoint_in_the_middle_of_a_session_changes_nothing(world: World) -> None:
    world.send("alpha", order(qty=7, price=0))
    write_checkpoint(world.engine.journal, world.state, START, world.now)
    world.send("alpha", order())
    world.start()
    holding = world.state.ledger.holding("alpha", BTC)
    assert (holding.position.qty, holding.open_buy, world.state.clients["alpha"].handled) == (7, 2, (1, 1))
    audit(world)


def test_fills_of_a_strategy_that_is_not_attached_yet_reach_it_later(world: World) -> None:
    world.send("alpha", order())
    alpha = world.state.clients["alpha"]
    alpha.reports = None
    world.trade(9_980, 1)
    assert kinds(world.reports("alpha")) == ["ACK"]
    alpha.reports = world.orders_in["alpha"]
    delivered = last_delivered(reversed(world.orders_in["alpha"].records))
    journal = Journal(world.journal)
    moved = bring_level(
        world.state, journal, alpha, delivered, lambda after: iter([p for i, p in alpha.undelivered if i > after]),
        lambda after: iter(()),
    )  # fmt: skip
    assert moved == 1
    audit(world)


def test_an_order_submitted_without_an_answer_is_lost_and_never_sent_again(world: World) -> None:
    world.write("alpha", order(price=0))
    world.fuse[0] = 3  # NewOrder, Submitted, then the process dies
    with pytest.raises(Crash):
        world.serve()
    assert [type(m) for m in world.journal.decoded()[-2:]] == [NewOrder, Submitted]
    world.start()
    world.start()  # and dies again before it has answered
    world.serve()
    assert kinds(world.reports("alpha")) == ["REJECT LOST"]
    assert kinds(world.send("alpha", order(price=0))) == ["ACK", "FILL"]


def test_a_cancel_whose_fate_is_open_is_done_again(world: World) -> None:
    world.send("alpha", order())
    world.write("alpha", CancelAll())
    world.fuse[0] = 2
    with pytest.raises(Crash):
        world.serve()
    world.start()
    world.serve()
    assert kinds(world.reports("alpha")) == ["ACK", "CANCELLED"]


def test_reports_that_the_journal_lost_are_taken_up_from_orders_in(world: World) -> None:
    world.send("alpha", order(qty=7, price=0))
    world.send("alpha", order())
    world.send("beta", order())
    del world.journal.records[8:]  # power loss: the journal's tail is gone, orders_in is not
    world.start()
    holding = world.state.ledger.holding("alpha", BTC)
    assert (holding.position.qty, holding.open_buy) == (7, 2)
    assert world.state.clients["alpha"].handled == (1, 1)
    world.serve()
    audit(world)


def test_an_immediate_order_that_power_loss_cut_in_two_does_not_rest(world: World) -> None:
    world.send("alpha", order(qty=50, price=0))
    del world.journal.records[6:]
    del world.orders_in["alpha"].records[2:]  # the ack and one fill are left
    world.start()
    world.engine.on_event(KillChange(), world.now, world.engine.gateway.expire_immediate)
    assert kinds(world.reports("alpha")) == ["ACK", "PARTIAL_FILL", "EXPIRED LOST"]
    assert not world.state.ledger.open_orders


def test_checkpoints_that_were_cut_off_in_the_middle_leave_the_next_one_whole(world: World) -> None:
    """What venue and accounts remember may take many records: power goes between two of them, twice."""
    world.state.venue = {str(n): (n, [], []) for n in range(1, 200)}
    whole = Memory()
    write_checkpoint(Journal(whole), world.state, START, world.now)
    at = max(n for n, (kind, _) in enumerate(whole.records) if kind == StateChunk.TEMPLATE_ID)
    torn = whole.records[:at]
    again = recover([*world.journal.records, *torn, *torn, *whole.records])
    assert again.venue == world.state.venue


# ---------------------------------------------------------------- the place of a resting order, and its cause


def place(world: World, seq: int) -> int:
    """What is ahead of alpha's order."""
    paper_memory.note_places(world.engine.gateway)
    return next(o.ahead for o in world.state.ledger.open_orders.values() if o.key.seq == seq)


def test_after_an_orderly_stop_an_order_stands_where_it_stood(world: World) -> None:
    world.send("alpha", order(price=9_980))
    world.trade(9_980, 4)
    assert place(world, 0) == 6
    write_checkpoint(world.engine.journal, world.state, START, world.now)
    world.markets.show([(9_990, 5), (9_980, 90)], [(10_010, 5)])
    world.start()
    assert place(world, 0) == 6
    world.trade(9_980, 8)
    assert kinds(world.reports("alpha")) == ["ACK", "FILL"]


def test_after_a_crash_an_order_stands_no_further_in_front_than_when_it_came(world: World) -> None:
    world.send("alpha", order(price=9_980))
    world.trade(9_980, 4)
    for bids in ([(9_980, 90)], [(9_980, 1)]):
        world.markets.show(bids, [(10_010, 5)])
        world.start()
        assert place(world, 0) == 10


def test_a_replace_that_costs_the_place_is_remembered_and_one_that_does_not_is_too(world: World) -> None:
    world.send("alpha", order(qty=3, price=9_980))
    world.send("alpha", order(qty=3, price=9_980))
    world.trade(9_980, 4)
    smaller = ReplaceOrder(instrument_id=BTC, order_seq=0, order_epoch=1, price=9_980, qty=2)
    larger = ReplaceOrder(instrument_id=BTC, order_seq=0, order_epoch=1, price=9_980, qty=5)
    world.send("alpha", smaller)
    assert place(world, 0) == 6
    world.markets.show([(9_990, 5), (9_980, 7)], [(10_010, 5)])
    world.send("alpha", larger)
    for standing in (7, 7):  # a crash forgets neither place
        assert place(world, 0) == standing
        assert [o.key.seq for o in world.state.ledger.open_orders.values()] == [1, 0]
        world.start()


def test_an_order_of_a_journal_without_places_stands_at_the_back(world: World) -> None:
    world.send("alpha", order(price=9_980))
    for at, (type_id, payload) in enumerate(world.journal.records):
        if type_id == Submitted.TEMPLATE_ID:
            world.journal.records[at] = (type_id, as_version_1(payload, 8))
    world.markets.show([(9_990, 5), (9_980, 90)], [(10_010, 5)])
    world.start()
    assert place(world, 0) == 90


def as_version_1(payload: bytes, added: int) -> bytes:
    """As a build wrote it that did not know the last `added` bytes of the block."""
    size = int.from_bytes(payload[:2], "little") - added
    return size.to_bytes(2, "little") + payload[2:6] + b"\1\0" + payload[8 : 8 + size]


def test_reports_of_a_carried_order_name_the_time_of_its_cause(world: World) -> None:
    world.send("alpha", order(price=9_980, cause_ts=777))
    world.start()
    world.start()
    world.trade(9_970, 1)
    assert [(r.exec_type.name, r.cause_ts) for r in world.reports("alpha")] == [("ACK", 777), ("FILL", 777)]
