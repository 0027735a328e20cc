from libchronicle.backtest.clearing import Clearing

class SimVenue(Clearing):
    """A Clearing that takes requests."""
