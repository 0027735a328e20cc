"""Features that need no writing. All are null while the book is not whole or a side of it is empty."""

from libchronicle.signals.core import Feature, NumericFeature

class Time(Feature):
    """`venue_ts`: the venue's time of the last record; `day_s`: seconds since midnight UTC of the row's time."""

    def __init__(self) -> None: ...

class Touch(NumericFeature):
    """`bid`, `bid_qty`, `ask`, `ask_qty`: best prices and their quantities."""

    def __init__(self) -> None: ...

class Mid(NumericFeature):
    """`mid`: (bid + ask) / 2."""

    def __init__(self) -> None: ...

class Spread(NumericFeature):
    """`spread_bps`: (ask - bid) / mid, in hundredths of a percent."""

    def __init__(self) -> None: ...

class Microprice(NumericFeature):
    """`microprice`: best prices, each weighted with the quantity of the other side."""

    def __init__(self) -> None: ...

class Imbalance(NumericFeature):
    """`imbalance_<depth>`: (bids - asks) / (bids + asks) of the quantity in the best `depth` levels, -1 to 1."""

    def __init__(self, depth: int = 1) -> None: ...

class TradeFlow(Feature):
    """Since the last row: `buy_qty`, `sell_qty` (by what the taker did), `trades`, `flow` = (buy - sell) / (buy + sell),
    `vwap`; the last two are null without trades."""

    def __init__(self) -> None: ...
