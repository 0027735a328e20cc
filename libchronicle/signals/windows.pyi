"""Rings for windowed features of your own. Each push costs the same, however long the window is."""

class FeatureBuffer:
    """The last `capacity` numbers, oldest first; the one pushed last is `buffer[-1]`.

    Sum, mean and standard deviation are kept while numbers come and go; their error is that of adding up one window.
    Raises InvalidArgument for a capacity outside 1 to 10,000,000.
    """

    capacity: int
    def __init__(self, capacity: int) -> None: ...
    def push(self, value: float) -> None:
        """The oldest goes when the buffer is full. Raises InvalidArgument for NaN and infinities."""
    def clear(self) -> None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> float: ...
    @property
    def full(self) -> bool: ...
    @property
    def sum(self) -> float: ...
    @property
    def mean(self) -> float | None:
        """None while empty."""
    @property
    def std(self) -> float | None:
        """Of a sample (divided by n - 1); None below two numbers."""

def bounded(where: str, field: str, value: int, least: int, most: int) -> int: ...

class SumWindow:
    """For native features: exact sums over the last `buckets` steps of time."""

    step_ns: int
    buckets: int
    def __init__(self, step_ns: int, buckets: int, lanes: int = 1) -> None: ...

class MidSamples:
    """For native features: the mid at the last `count` points of a grid of time."""

    step_ns: int
    def __init__(self, step_ns: int, count: int) -> None: ...
