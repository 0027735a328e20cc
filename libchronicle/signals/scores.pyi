from libchronicle.signals.core import NumericFeature

class ZScore(NumericFeature):
    """`z_<column>_<window>`: (x - mean) / standard deviation (n - 1) of the feature's samples at the grid points of the window.

    A sample is the value after the last record before its grid point; x is not among them. Null until the window is full, and
    where it does not vary. `feature`: native, of one column; imbalance_5 when left out.
    """

    def __init__(
        self, feature: NumericFeature | None = None, window_s: float = 300, *, step_ms: int = 1000
    ) -> None: ...
