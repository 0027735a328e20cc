"""The example strategy of features and signals in its own process: it enters when the book leans, and leaves again."""

from __future__ import annotations

import itertools
import json
import tomllib
from pathlib import Path
from typing import Any

from host_harness import Scene

from libchronicle.protocol import ExecType, NewOrder, OrderType, Side, TimeInForce


def test_the_example_enters_when_the_book_leans_and_leaves_after_its_holding_time(
    scene: Scene, project_root: Path
) -> None:
    folder = project_root / "deploy/examples"
    params = tomllib.loads((folder / "lean.toml").read_text())["params"]
    params |= {
        "max_volatility": 0.0,
        "against_bps": 0.0,
    }  # whose windows take a minute and ten seconds to fill
    params |= {"persist_ms": 20, "min_confidence": 0.01, "hold_ms": 300}
    host = scene.begin(
        f"import sys\nsys.path.insert(0, {str(folder)!r})\nfrom lean import Lean\n\n\nclass Probe(Lean):\n    pass\n",
        params="\n".join(f"{name} = {json.dumps(value)}" for name, value in params.items()),
    )
    scene.until_trading()
    sizes = itertools.count(90_000_000)

    def orders() -> list[tuple[int, int, NewOrder]]:
        scene.feed.delta(bids=[(6_000_000, next(sizes))])
        return scene.router.orders()

    entry: Any = scene.until(orders)[0]
    order = entry[2]
    assert (order.side, order.order_type, order.time_in_force) == (Side.BUY, OrderType.LIMIT, TimeInForce.IOC)
    assert order.price == 6_000_100
    assert 0 < order.qty <= 1_000_000
    assert order.qty % 1_000 == 0
    scene.router.report(entry, ExecType.FILL)

    def sales() -> list[NewOrder]:
        return [one for _, _, one in scene.router.orders() if one.side is Side.SELL]

    exit_order = scene.until(sales)[0]
    assert (exit_order.order_type, exit_order.qty) == (OrderType.MARKET, order.qty)
    assert host.stop() == 0
    assert "signals" in host.log()
