"""Limits beyond one order in the router: exposure, stale data, whitelist, breakers; what trips holds over a restart."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from libchronicle.protocol import CancelOrder, Parameter, RejectCode, RiskEvent, Side, TimerFired
from libchronicle.runtime.config import RiskConfig
from services.router.engine import LOOK, PERMIT
from services.router.journal import pause_name
from tests.services.router_world import BTC, NO_LIMITS, World, audit, kinds, order

SECOND = 10**9


def limited(world: World, risk: RiskConfig | None = None, **limits: object) -> None:
    """Give alpha these limits."""
    client = world.state.clients["alpha"]
    client.set_limits(SimpleNamespace(**(vars(NO_LIMITS) | limits)), "paper", risk or RiskConfig())
    world.engine.watch.begin(client)


def look(world: World) -> None:
    world.now += SECOND
    if world.engine.is_at_risk():
        world.engine.look_at_risk(TimerFired(now_ns=world.now, name=LOOK), world.now)


def events(world: World) -> list[RiskEvent]:
    return [m for m in world.orders_in["alpha"].decoded() if isinstance(m, RiskEvent)]


def test_an_instrument_off_the_list_is_refused_and_a_position_in_it_may_be_left(world: World) -> None:
    world.send("alpha", order(qty=2, price=0))
    limited(world, RiskConfig(allowed=("binance-spot:ETH*",)))
    assert kinds(world.send("alpha", order())) == ["REJECT NOT_ALLOWED"]
    assert kinds(world.send("alpha", order(Side.SELL, qty=2, price=0))) == ["ACK", "FILL"]


def test_data_that_is_too_old_is_refused_and_fresh_data_passes(world: World) -> None:
    limited(world, max_data_age_ms=100)
    world.markets.heard = world.now
    assert kinds(world.send("alpha", order())) == ["ACK"]
    world.now += 100_000_000
    assert kinds(world.send("alpha", order())) == ["REJECT STALE_MARKET"]
    world.markets.heard = world.now
    assert kinds(world.send("alpha", order())) == ["ACK"]


def test_exposure_counts_this_instrument_and_the_others(world: World) -> None:
    limited(world, max_exposure="0.6")
    assert kinds(world.send("alpha", order(qty=6))) == ["ACK"]  # 6 × 0.0999
    assert kinds(world.send("alpha", order(qty=1))) == ["REJECT EXPOSURE_LIMIT"]
    assert kinds(world.send("beta", order(qty=9))) == ["ACK"]


def test_a_drawdown_by_the_marks_trips_tells_and_cancels(world: World) -> None:
    limited(world, RiskConfig(on_trip="cancel"), max_drawdown="0.1")
    world.send("alpha", order(qty=5, price=0))  # 5 @ 100.10, mark 100.00, fee 0.00025
    world.send("alpha", order(qty=1, price=9_000))
    look(world)
    assert events(world) == []
    world.markets.reference = 7_905
    look(world)
    (event,) = events(world)
    assert (event.code, event.strategy) == (RejectCode.DRAWDOWN_LIMIT, "alpha")
    assert event.actual_value >= event.limit_value == 10_000_000
    assert kinds(world.reports("alpha"))[-1] == "CANCELLED DRAWDOWN_LIMIT"
    assert kinds(world.send("alpha", order())) == ["REJECT DRAWDOWN_LIMIT"]
    assert kinds(world.send("alpha", order(Side.SELL, qty=5, price=0)))[0] == "ACK"
    assert kinds(world.send("beta", order())) == ["ACK"]
    audit(world)


def test_losing_round_trips_in_a_row_trip(world: World) -> None:
    limited(world, max_losses_in_a_row=2)
    for _ in range(2):
        assert kinds(world.send("alpha", order(qty=1, price=0)))[0] == "ACK"
        assert kinds(world.send("alpha", order(Side.SELL, qty=1, price=0)))[0] == "ACK"
    assert [event.code for event in events(world)] == [RejectCode.LOSS_STREAK]
    assert kinds(world.send("alpha", order())) == ["REJECT LOSS_STREAK"]


@pytest.mark.parametrize("restarts", [1, 3])
def test_what_tripped_holds_over_a_restart_until_a_person_resumes(world: World, restarts: int) -> None:
    limited(world, max_losses_in_a_row=1)
    world.send("alpha", order(qty=1, price=0))
    world.send("alpha", order(Side.SELL, qty=1, price=0))
    assert kinds(world.send("alpha", order())) == ["REJECT LOSS_STREAK"]
    for _ in range(restarts):
        world.start()
    limited(world, max_losses_in_a_row=1)
    assert kinds(world.send("alpha", order())) == ["REJECT LOSS_STREAK"]
    world.state.clients["alpha"].wires.resume()
    world.engine.on_event(Parameter(now_ns=world.now, name=pause_name("alpha"), value="0"), world.now)
    assert kinds(world.send("alpha", order())) == ["ACK"]
    world.start()
    limited(world, max_losses_in_a_row=1)
    assert kinds(world.send("alpha", order(qty=1))) == ["ACK"]
    audit(world)


def test_a_round_trip_goes_on_over_a_restart(world: World) -> None:
    limited(world, max_losses_in_a_row=1)
    world.send("alpha", order(qty=1, price=0))
    world.start()
    limited(world, max_losses_in_a_row=1)
    world.send("alpha", order(Side.SELL, qty=1, price=0))
    assert [event.code for event in events(world)] == [RejectCode.LOSS_STREAK]


def test_without_limits_there_is_nothing_to_look_at(world: World) -> None:
    world.send("alpha", order(qty=1, price=0))
    assert not world.engine.is_at_risk()
    limited(world, max_drawdown="5")
    assert world.engine.is_at_risk()


def test_without_the_gateways_permit_only_what_reduces_passes(world: World) -> None:
    world.send("alpha", order(qty=2, price=0))
    world.send("alpha", order(qty=1))
    world.engine.permit(Parameter(now_ns=world.now, name=PERMIT, value="0"), world.now)
    assert kinds(world.send("alpha", order())) == ["REJECT RISK_GATEWAY"]
    assert kinds(world.send("alpha", order(Side.SELL, qty=2, price=0))) == ["ACK", "FILL"]
    assert kinds(world.send("alpha", CancelOrder(instrument_id=BTC, order_seq=1, order_epoch=1))) == [
        "CANCELLED"
    ]
    world.engine.permit(Parameter(now_ns=world.now, name=PERMIT, value="1"), world.now)
    assert kinds(world.send("alpha", order())) == ["ACK"]
    audit(world)


def test_what_was_measured_goes_on_over_a_restart(world: World) -> None:
    limits = {"max_daily_loss": "0.05"}
    limited(world, **limits)
    world.send("alpha", order(qty=5, price=0))  # 0.005 @ 100.10, fee 0.00025
    look(world)
    world.markets.reference = 9_500  # 0.028 lost
    look(world)
    assert events(world) == []
    for _ in range(2):
        world.start()
        limited(world, **limits)
    world.markets.reference = 9_050  # 0.048 lost
    look(world)
    assert events(world) == []
    world.markets.reference = 8_950
    look(world)
    assert [event.code for event in events(world)] == [RejectCode.DAILY_LOSS_LIMIT]
    audit(world)


def test_a_row_of_losses_goes_on_over_a_restart(world: World) -> None:
    for expected in ([], [RejectCode.LOSS_STREAK]):
        limited(world, max_losses_in_a_row=2)
        world.send("alpha", order(qty=1, price=0))
        world.send("alpha", order(Side.SELL, qty=1, price=0))
        assert [event.code for event in events(world)] == expected
        world.start()
    limited(world, max_losses_in_a_row=2)
    assert kinds(world.send("alpha", order())) == ["REJECT LOSS_STREAK"]
