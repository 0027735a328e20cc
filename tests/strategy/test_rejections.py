"""One warning per burst of rejections, with the limit and where it is set."""

from __future__ import annotations

from typing import Any

import pytest
from stage import Stage

from libchronicle.errors import InvalidName, NotSubscribed
from libchronicle.protocol import RejectCode
from libchronicle.runtime.config import Limits
from libchronicle.strategy import Strategy
from libchronicle.strategy.rejections import QUIET_NS, Rejections


class Ear:
    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []

    def warning(self, event: str, **fields: Any) -> None:
        self.heard.append({"event": event, **fields})


def test_a_burst_is_told_once_with_its_limit_and_the_next_one_with_how_many_there_were() -> None:
    ear, rejections = Ear(), Rejections(Limits(max_position_qty="0.5"))
    for at in range(5):
        rejections.seen(RejectCode.POSITION_LIMIT, "v:S", "", at, ear)
    rejections.seen(RejectCode.STALE, "v:S", "late", 5, ear)
    rejections.seen(RejectCode.POSITION_LIMIT, "v:S", "", 5 + QUIET_NS, ear)
    first, other, second = ear.heard
    assert (first["event"], first["code"], first["limit"]) == (
        "orders rejected",
        "POSITION_LIMIT",
        "max_position_qty = 0.5",
    )
    assert "[limits]" in first["set_in"]
    assert (other["code"], other["text"]) == ("STALE", "late")
    assert "limit" not in other
    assert second["since_last_told"] == 5


def test_what_the_order_asked_for_itself_is_no_news() -> None:
    ear, rejections = Ear(), Rejections(Limits())
    rejections.seen(RejectCode.WOULD_CROSS, "v:S", "", 0, ear)
    assert ear.heard == []


def test_an_instrument_nobody_subscribed_is_refused_by_name() -> None:
    ctx = Stage(Strategy()).ctx
    with pytest.raises(
        NotSubscribed, match=r"binance-spot:FOOUSDT is not subscribed.*subscribed: binance-spot:"
    ):
        ctx.instrument("binance-spot:FOOUSDT")
    with pytest.raises(InvalidName):
        ctx.instrument("no instrument")
