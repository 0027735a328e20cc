"""Requests of a feed: the venue's weight limit and its Retry-After hold, whatever is asked and whoever gives up meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from libchronicle.runtime.logging import Log
from libchronicle.runtime.transports import HttpLimits, HttpResponse
from services.feed.requests import Requests, WeightBudget


def test_request_weight_is_spent_in_bursts_and_comes_back_with_time() -> None:
    budget = WeightBudget(600.0, now=0.0)
    assert [budget.wait_s(250, 0.0) for _ in range(3)] == [0.0, 0.0, pytest.approx(15.0)]
    assert budget.wait_s(250, 15.0) == 0.0
    assert budget.wait_s(100, 60.0) == 0.0
    assert budget.wait_s(10_000, 999.0) == 0.0  # more than there ever is: as much as there is


def test_who_is_cancelled_while_it_waits_has_cost_nothing() -> None:
    asked: list[str] = []

    async def get(target: str, limits: HttpLimits) -> HttpResponse:
        asked.append(target)
        return HttpResponse(200, {}, b"")

    async def main() -> None:
        requests = Requests(get, 1200.0, Log("feed"))  # 600 are ours, 10 a second
        await requests.get("/all", 600)
        for _ in range(100):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(requests.get("/given up", 10), 0.001)
        async with asyncio.timeout(20):
            await requests.get("/in the end", 10)

    asyncio.run(main())
    assert asked == ["/all", "/in the end"]


@pytest.mark.parametrize(
    ("told", "held_s"),
    [
        ("1", 1.0),
        ("0", 0.0),
        ("-5", 0.0),
        ("soon", 0.0),
        ("\xb2", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
    ],
)
@pytest.mark.parametrize("status", [418, 429, 503])
def test_a_refusal_that_names_a_time_holds_all_requests_back(status: int, told: str, held_s: float) -> None:
    times: list[float] = []

    async def get(target: str, limits: HttpLimits) -> HttpResponse:
        times.append(asyncio.get_running_loop().time())
        return HttpResponse(status if len(times) == 1 else 200, {"retry-after": told}, b"")

    async def main() -> None:
        requests = Requests(get, 1200.0, Log("feed"))
        await requests.get("/first", 1)
        async with asyncio.timeout(20):
            await asyncio.gather(*(requests.get("/next", 1) for _ in range(3)))

    asyncio.run(main())
    assert times[1] - times[0] >= held_s * 0.95


def test_no_refusal_holds_for_longer_than_the_longest_ban() -> None:
    async def get(target: str, limits: HttpLimits) -> HttpResponse:
        return HttpResponse(429, {"retry-after": "9" * 400}, b"")

    async def main() -> None:
        requests = Requests(get, 1200.0, Log("feed"))
        await requests.get("/first", 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(requests.get("/held", 1), 0.05)
        assert requests._held_until - asyncio.get_running_loop().time() <= 3 * 86_400

    asyncio.run(main())
