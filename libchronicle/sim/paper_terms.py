"""The paper venue's accounts and latencies from what the configuration says: the objects that a backtest is given."""

from __future__ import annotations

from collections.abc import Callable

from libchronicle.portfolio import Account, FeeSchedule, money
from libchronicle.portfolio.fees import rate_of_bps
from libchronicle.runtime.config import FeesConfig, LatencyConfig, RouterConfig
from libchronicle.sim.latency import ConstantLatency, JitterLatency, LatencyModel, SpikeLatency

__all__ = ["paper_accounts", "paper_fees", "paper_latency"]


def paper_accounts(router: RouterConfig) -> Callable[[], Account] | None:
    """Makes the account that a strategy begins with; None where no cash is configured: then no account is kept. The maker
    raises BadAmount."""
    paper = router.paper
    if not paper.cash:
        return None
    fees = {name: paper_fees(one) for name, one in paper.fees.items()}
    schedules = fees or FeeSchedule.from_bps(router.maker_fee_bps, router.taker_fee_bps)

    def open_account() -> Account:
        return Account(
            paper.cash,
            leverage=dict(paper.leverage) or None,
            fees=schedules,
            maintenance_bps=paper.maintenance_bps,
            liquidation_bps=paper.liquidation_bps,
        )

    return open_account


def paper_fees(settings: FeesConfig) -> FeeSchedule:
    """Raises BadAmount."""
    return FeeSchedule(
        rate_of_bps(settings.maker_bps),
        rate_of_bps(settings.taker_bps),
        per_order=money(settings.per_order, "fee per order"),
        per_trade=money(settings.per_trade, "fee per trade"),
        per_contract=money(settings.per_contract, "fee per contract"),
        tiers=[
            (money(volume, "volume"), rate_of_bps(maker), rate_of_bps(taker))
            for volume, maker, taker in settings.tiers
        ],
        volume=money(settings.volume, "volume"),
    )


def paper_latency(settings: LatencyConfig | None) -> LatencyModel | None:
    """None: requests and replies take no time. Raises InvalidArgument."""
    if settings is None:
        return None
    entry, response = settings.entry_us, settings.response_us
    if settings.model == "jitter":
        return JitterLatency(entry, response, sigma=settings.sigma)
    if settings.model == "spikes":
        base = ConstantLatency(entry, response)
        return SpikeLatency(
            base, extra_us=settings.extra_us, share=settings.share, lasts_us=settings.lasts_us
        )
    return ConstantLatency(entry, response)
