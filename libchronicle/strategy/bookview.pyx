"""The book of one instrument, read-only: the dispatcher writes it, the strategy looks.

Of an instrument whose records are those of single orders an L3 book is kept, which has its levels in the place and shape of an L2 book: what a
strategy sees is the same. Such a book is right from a snapshot on; or, where the channel is read from its beginning, from the first order on.

Prices and quantities are int mantissas; a side that is empty gives None where a single level is asked for. `mid`,
`weighted_mid` and `imbalance` are floats, in price mantissas where they are prices: for signals, not for orders.
"""

from libchronicle.book.l2 cimport (
    CHR_ASK,
    CHR_BID,
    L2Book,
    chr_l2_best,
    chr_l2_hash,
    chr_l2_imbalance,
    chr_l2_prefault,
    chr_l2_qty_at,
    chr_l2_reason,
)
from libchronicle.book.l3 cimport CHR_L3_RIGHT, CHR_L3_WRONG, L3Book, chr_l3_reason, chr_l3_turn
from libchronicle.protocol.layout cimport CHR_SIDE_BUY, chr_level_t


cdef class Book:
    """One per instrument, for the life of the process. `seq` and `ts_ns` are those of the record last applied."""

    def __init__(self, instrument):
        self.instrument = instrument
        self.inner = L2Book(instrument.id)
        self.b = self.inner.b

    # ------------------------------------------------------------ for the dispatcher

    cdef int hold_orders(self) except -1:
        """From now on a book of single orders."""
        cdef L3Book orders
        if self.l3 != NULL:
            return 0
        orders = L3Book(self.instrument.id)
        orders.l3.lenient = self.lenient
        if not self.recorded:
            chr_l3_turn(orders.l3, CHR_L3_WRONG)
        self.before, self.inner = self.inner, orders
        self.l3, self.b = orders.l3, orders.b
        return 0

    cdef int lose(self) noexcept:
        """Not right until the next snapshot."""
        if self.l3 != NULL:
            chr_l3_turn(self.l3, CHR_L3_WRONG)
        self.b.valid = 0
        return 0

    cdef int trust(self) noexcept:
        """Right as it stands, whatever the last record said."""
        if self.l3 != NULL:
            chr_l3_turn(self.l3, CHR_L3_RIGHT)
        else:
            self.b.valid = 1
        return 0

    cdef str reason(self, int result):
        return (chr_l3_reason(result) if self.l3 != NULL else chr_l2_reason(result)).decode()

    # ------------------------------------------------------------ state

    @property
    def is_valid(self):
        """False until the first snapshot, and from a gap to the next snapshot."""
        return self.b.valid != 0

    @property
    def last_update_id(self):
        return self.b.last_update_id

    @property
    def venue_ts(self):
        return self.b.venue_ts

    @property
    def recv_ts(self):
        return self.b.recv_ts

    # ------------------------------------------------------------ the touch

    cdef object _price(self, int side):
        cdef chr_level_t level
        return level.price if chr_l2_best(self.b, side, &level) else None

    cdef object _qty(self, int side):
        cdef chr_level_t level
        return level.qty if chr_l2_best(self.b, side, &level) else None

    cdef object _best(self, int side):
        cdef chr_level_t level
        return (level.price, level.qty) if chr_l2_best(self.b, side, &level) else None

    @property
    def bid_price(self):
        return self._price(CHR_BID)

    @property
    def bid_qty(self):
        return self._qty(CHR_BID)

    @property
    def ask_price(self):
        return self._price(CHR_ASK)

    @property
    def ask_qty(self):
        return self._qty(CHR_ASK)

    @property
    def best_bid(self):
        """(price, quantity) or None."""
        return self._best(CHR_BID)

    @property
    def best_ask(self):
        """(price, quantity) or None."""
        return self._best(CHR_ASK)

    @property
    def spread(self):
        """ask - bid; None unless both sides have a level."""
        cdef chr_level_t bid, ask
        if chr_l2_best(self.b, CHR_BID, &bid) and chr_l2_best(self.b, CHR_ASK, &ask):
            return ask.price - bid.price
        return None

    @property
    def mid(self):
        """(bid + ask) / 2; None unless both sides have a level."""
        cdef chr_level_t bid, ask
        if chr_l2_best(self.b, CHR_BID, &bid) and chr_l2_best(self.b, CHR_ASK, &ask):
            return (<double> bid.price + <double> ask.price) / 2.0
        return None

    @property
    def weighted_mid(self):
        """(bid × ask quantity + ask × bid quantity) / (both quantities); None unless both sides have a level."""
        cdef chr_level_t bid, ask
        if chr_l2_best(self.b, CHR_BID, &bid) and chr_l2_best(self.b, CHR_ASK, &ask):
            return (<double> bid.price * ask.qty + <double> ask.price * bid.qty) / (<double> bid.qty + <double> ask.qty)
        return None

    # ------------------------------------------------------------ depth

    def imbalance(self, uint64_t count=1):
        """(bid - ask) / (bid + ask) of the quantity in the best `count` levels: -1 to 1, 0 when both are empty."""
        return chr_l2_imbalance(self.b, <unsigned int> count)

    def bids(self, count=None):
        """[(price, quantity), ...], best first; all levels without `count`."""
        return self.inner.bids(count)

    def asks(self, count=None):
        """[(price, quantity), ...], best first; all levels without `count`."""
        return self.inner.asks(count)

    def depth(self, side, count):
        """Quantity in the best `count` levels of BUY (bids) or SELL (asks)."""
        return self.inner.depth(side, count)

    def qty_at(self, int side, int64_t price):
        """Quantity that stands at a price; 0 if none."""
        return chr_l2_qty_at(self.b, CHR_BID if side == CHR_SIDE_BUY else CHR_ASK, price)

    def levels(self, side):
        """How many levels BUY (bids) or SELL (asks) has."""
        return self.inner.levels(side)

    def prefault(self):
        """For the runner: take the memory now that updates far from the touch would ask for later."""
        chr_l2_prefault(self.b)

    def hash(self):
        """Hash of the content: equal for equal levels, however the book came by them."""
        return chr_l2_hash(self.b)

    def __repr__(self):
        state = "" if self.is_valid else " (invalid)"
        return f"<Book {self.instrument.name} {self.best_bid} | {self.best_ask}{state}>"
