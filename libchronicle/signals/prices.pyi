"""Features of how the mid has moved.

Each samples the mid on a grid of `step_ms`, aligned to the Unix epoch: m(g) is the mid after the last record before grid
point g; G is the last grid point at or before now, m the mid now, N = window_s / step. All are null until the window has been
seen whole, and begin anew after a gap. Windows are whole numbers of steps, else InvalidArgument.
"""

from libchronicle.signals.core import NumericFeature

YEAR_S: int
"""Seconds of a year of 365 days: of a market that never closes."""

class Volatility(NumericFeature):
    """`volatility_<window>`: standard deviation (n - 1) of the last N log returns ln m(g) / m(g - 1), times sqrt(year / step).

    Annualised; a fraction, 0.5 = 50 %. `year_s`: seconds of trading in a year, 252 × 23,400 for a stock exchange. Source:
    Andersen, Bollerslev, Diebold, Labys: Modeling and Forecasting Realized Volatility, Econometrica 71 (2003); here about
    the mean.
    """

    def __init__(self, window_s: float = 60, *, step_ms: int = 1000, year_s: float = ...) -> None: ...

class Momentum(NumericFeature):
    """`momentum_<window>_bps`: (m / m(G - N) - 1) × 10⁴, basis points."""

    def __init__(self, window_s: float = 10, *, step_ms: int = 1000) -> None: ...

class Acceleration(NumericFeature):
    """`acceleration_<window>`: the return since G - N less the return of the N steps before, over the window's length squared:
    ((m / m(G - N) - 1) - (m(G - N) / m(G - 2N) - 1)) × 10⁴ / W², basis points per second per second."""

    def __init__(self, window_s: float = 10, *, step_ms: int = 1000) -> None: ...

class AverageRange(NumericFeature):
    """`atr_<bars>_bps`: mean of the last true ranges max(high - low, |high - close before|, |low - close before|) of the mid,
    over the mid now, × 10⁴. Source: Wilder, New Concepts in Technical Trading Systems (1978); a plain mean, not
    his smoothing."""

    def __init__(self, bars: int = 14, *, bar_s: float = 60) -> None: ...
