"""Breakers and exits from what the TOML says."""

from __future__ import annotations

from typing import Protocol

from libchronicle.protocol import RejectCode
from libchronicle.risk.breakers import Breakers
from libchronicle.risk.exits import Exits
from libchronicle.risk.limits import ConfiguredLimits

__all__ = ["BREAKERS", "ConfiguredBreakers", "ConfiguredExits", "breakers_of", "exits_of"]


BREAKERS = (RejectCode.DRAWDOWN_LIMIT, RejectCode.DAILY_LOSS_LIMIT, RejectCode.LOSS_STREAK)
"""Codes of what has tripped."""


class ConfiguredBreakers(Protocol):
    """How breakers act, as in the TOML's [risk]."""

    @property
    def breaker_reset(self) -> str: ...
    @property
    def breaker_cooldown_s(self) -> float: ...


class ConfiguredExits(Protocol):
    """When a position is left, as in the TOML's [risk]."""

    @property
    def stop_loss_bps(self) -> int | None: ...
    @property
    def take_profit_bps(self) -> int | None: ...
    @property
    def stop_loss_atr(self) -> str | None: ...
    @property
    def take_profit_atr(self) -> str | None: ...
    @property
    def atr_bars(self) -> int: ...
    @property
    def atr_bar_s(self) -> float: ...


def breakers_of(limits: ConfiguredLimits, settings: ConfiguredBreakers | None = None) -> Breakers:
    """Breakers as configured, amounts rounded down; without settings only a person resets them."""
    return Breakers(
        max_drawdown=_short(limits.max_drawdown, 8),
        max_daily_loss=_short(limits.max_daily_loss, 8),
        max_losses_in_a_row=limits.max_losses_in_a_row,
        reset=settings.breaker_reset if settings is not None else "manual",
        cooldown_s=settings.breaker_cooldown_s if settings is not None else 0.0,
    )


def exits_of(settings: ConfiguredExits) -> Exits | None:
    """Stop-loss and take-profit of one position as configured; None when there is neither. Raises BadAmount."""
    exits = Exits(
        stop_loss_bps=settings.stop_loss_bps,
        take_profit_bps=settings.take_profit_bps,
        stop_loss_atr=_short(settings.stop_loss_atr, 4),
        take_profit_atr=_short(settings.take_profit_atr, 4),
        atr_bars=settings.atr_bars,
        atr_bar_s=settings.atr_bar_s,
    )
    return exits if exits.is_set else None


def _short(text: str | None, decimals: int) -> str | None:
    """The number with no more decimals than that."""
    if text is None:
        return None
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction[:decimals]}".rstrip(".")
