"""Features of the trades within a window.

A window of W seconds holds the step that is open and the W / step whole ones before it: it is from W to W + step long. Null
until it has been seen whole. Sums are exact. What a side bought or sold is told by the taker's side.
"""

from libchronicle.signals.core import NumericFeature

class VwapDeviation(NumericFeature):
    """`vwap_<window>_bps`: (mid / vwap - 1) × 10⁴ with vwap = Σ p q / Σ q; null when nothing traded."""

    def __init__(self, window_s: float = 60, *, step_ms: int = 1000) -> None: ...

class TradeFlowImbalance(NumericFeature):
    """`trade_flow_<window>`: (bought - sold) / (bought + sold), -1 to 1; 0 when nothing traded."""

    def __init__(self, window_s: float = 10, *, step_ms: int = 1000) -> None: ...

class VolumeSurge(NumericFeature):
    """`surge_<short>_<long>`: quantity per second of the short window over that of the long one, which holds it: 1 = as ever,
    at most long / short; null when nothing traded in the long one."""

    def __init__(self, short_s: float = 10, long_s: float = 300, *, step_ms: int = 1000) -> None: ...

class Toxicity(NumericFeature):
    """`toxicity_<buckets>`: VPIN, Σ |bought - sold| / (n V) over the last n buckets of traded quantity V each; 0 to 1. A trade
    is cut where a bucket is full; one of unknown side counts half to each.

    `bucket_qty`: V, in the base currency or in contracts. Without it V is what trades in `bucket_s`, learnt from the first
    `learn_s` seconds; give it where runs begun at different times shall agree. Source: Easley, López de Prado, O'Hara: Flow
    Toxicity and Liquidity in a High-Frequency World, Review of Financial Studies 25 (2012); sides are the venue's, not guessed.
    """

    def __init__(
        self,
        buckets: int = 50,
        *,
        bucket_qty: float | None = None,
        bucket_s: float = 6,
        learn_s: float = 60,
    ) -> None: ...
