"""Features of the levels of the book. q is a level's quantity, level 1 the best. Null while the book is not whole or a
side is empty."""

from libchronicle.signals.core import NumericFeature

class WeightedImbalance(NumericFeature):
    """`weighted_imbalance_<levels>`: (B - A) / (B + A), -1 to 1, with B, A = Σ decayⁱ⁻¹ qᵢ of the bids, of the asks."""

    def __init__(self, levels: int = 5, *, decay: float = 0.5) -> None: ...

class DepthRatio(NumericFeature):
    """`depth_ratio_<levels>`: Σ q of the bids / Σ q of the asks; 1 = even."""

    def __init__(self, levels: int = 10) -> None: ...

class Pressure(NumericFeature):
    """`bid_pressure_<levels>`, `ask_pressure_<levels>`: Σ qᵢ h / |pᵢ - mid|, h half the spread: the touch counts whole, a level
    three times as far from the mid for a third. In the base currency or in contracts."""

    def __init__(self, levels: int = 10) -> None: ...

class OrderFlowImbalance(NumericFeature):
    """`ofi_<window>`: Σ eₙ of the changes of the touch within the window, in the base currency or in contracts:

        eₙ = [Pᵇₙ ≥ Pᵇₙ₋₁] qᵇₙ - [Pᵇₙ ≤ Pᵇₙ₋₁] qᵇₙ₋₁ - [Pᵃₙ ≤ Pᵃₙ₋₁] qᵃₙ + [Pᵃₙ ≥ Pᵃₙ₋₁] qᵃₙ₋₁

    Source: Cont, Kukanov, Stoikov: The Price Impact of Order Book Events, Journal of Financial Econometrics 12 (2014).
    """

    def __init__(self, window_s: float = 10, *, step_ms: int = 1000) -> None: ...
