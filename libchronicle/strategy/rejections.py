"""Says that the router refuses orders: one warning per burst and code, with the limit and where it is set.

A strategy that runs into a limit does so with every order; a line for each would hide the first. A burst ends when its code
was not seen for ten seconds. What an order asks for itself (post-only, fill or kill) is no news.
"""

from __future__ import annotations

from typing import Any

from libchronicle.protocol import RejectCode
from libchronicle.runtime.config import Limits

__all__ = ["Rejections"]

QUIET_NS = 10_000_000_000
EXPECTED = (RejectCode.WOULD_CROSS, RejectCode.NOT_FILLABLE)
SET_BY = {
    RejectCode.BAD_PRICE: ("price_band_bps",),
    RejectCode.ORDER_SIZE_LIMIT: ("max_order_qty",),
    RejectCode.POSITION_LIMIT: ("max_position_qty",),
    RejectCode.NOTIONAL_LIMIT: ("max_order_notional", "max_position_notional"),
    RejectCode.RATE_LIMIT: ("max_orders_per_s",),
    RejectCode.EXPOSURE_LIMIT: ("max_exposure",),
    RejectCode.STALE_MARKET: ("max_data_age_ms",),
    RejectCode.DRAWDOWN_LIMIT: ("max_drawdown",),
    RejectCode.DAILY_LOSS_LIMIT: ("max_daily_loss",),
    RejectCode.LOSS_STREAK: ("max_losses_in_a_row",),
    RejectCode.OPEN_ORDERS_LIMIT: ("max_open_orders",),
}
WHERE = "[limits] of the strategy's TOML or [router.limits] of host.toml"


class Rejections:
    """`seen` for every rejection, on whatever loop: what is not news costs a look into a dictionary."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bursts: dict[int, list[int]] = {}  # code: when it was seen last, how often since it was said

    def seen(self, code: int, instrument: str, text: str, now_ns: int, log: Any) -> None:
        burst = self._bursts.setdefault(code, [-QUIET_NS, 0])
        is_news = now_ns - burst[0] >= QUIET_NS
        burst[0] = now_ns
        burst[1] += 1
        if not is_news or code in EXPECTED or log is None:
            return
        said: dict[str, Any] = {"code": RejectCode(code).name, "instrument": instrument}
        if text:
            said["text"] = text
        if burst[1] > 1:
            said["since_last_told"] = burst[1]
        burst[1] = 0
        limits = {name: getattr(self._limits, name) for name in SET_BY.get(RejectCode(code), ())}
        told = ", ".join(f"{name} = {value}" for name, value in limits.items() if value is not None)
        if told:
            said |= {"limit": told, "set_in": WHERE}
        log.warning("orders rejected", **said)
