"""The features of one instrument, while its records come."""

from array import array
from collections.abc import Iterable, Iterator

from typing_extensions import Buffer

from libchronicle.signals.core import Feature, Market

class FeatureSet:
    """Values of features by order (`vector`) or by name (`features["spread_bps"]`), always up to date.

    In a strategy, `ctx.watch(instrument)` makes one and feeds it. The same features give the same values in an extract of the
    same records. Without `features`: the vector of 13. Features of your own are classes derived from `Feature` with `values`.
    Raises InvalidArgument: a feature of what came since a row (`time`, `flow`), or two columns of one name.
    """

    features: tuple[Feature, ...]
    names: tuple[str, ...]
    fingerprint: str
    """SHA-256 of what the features compute, in their order: parameters are part of it."""
    market: Market
    records: int
    """That were taken."""
    def __init__(self, features: Iterable[Feature] | None = None) -> None: ...
    def scale(self, price_exponent: int, qty_exponent: int) -> None:
        """What mantissas stand for, where no Instrument record tells it."""
    def feed(self, type_id: int, payload: Buffer, ts_ns: int) -> None:
        """A record as bytes, into a book of its own: outside a strategy. Records of another instrument than the book's are
        left out."""
    def feed_all(self, records: Iterable[tuple[int, bytes, int]], *, each: bool = False) -> int:
        """`feed` for each (type_id, payload, ts_ns); how many. `each`: compute the values after every one."""
    def forget(self) -> None:
        """Records are missing: every window begins anew."""
    def vector(self, now_ns: int = 0) -> array[float]:
        """All values in order, NaN for null, at `now_ns` or the last record, whichever is later. The array is filled anew each
        time; NumPy reads it without a copy. Raises BadFeature for what a feature of your own gives amiss."""
    def __getitem__(self, name: str) -> float | None:
        """By column. Raises InvalidArgument, which names the columns there are."""
    def get(self, name: str) -> float | None: ...
    def __len__(self) -> int: ...
    def __contains__(self, name: object) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def ready(self, now_ns: int = 0) -> bool:
        """No value is null."""
    def to_dict(self, now_ns: int = 0) -> dict[str, float | None]: ...

def fingerprint_of(specs: Iterable[str]) -> str: ...
def spec_of(feature: Feature) -> str: ...
