"""What callbacks are given: one object per kind, filled anew for each record.

A view is good until the callback returns; `copy()` makes one that stays. `ts_ns` is when the record was appended to its
queue, `venue_ts` when it happened at the venue, `recv_ts` when its bytes were read. Amounts are mantissas.
"""

from libchronicle.strategy.text cimport text_of
from libchronicle.strategy.tracker cimport order_id

from libchronicle.protocol.enums import ExecType, Liquidity, RejectCode, Side


cdef class _View:
    """One record of a queue."""

    cdef object copied(self):
        """Another view of the same record; the body is the subclass's to copy."""
        cdef _View other = type(self).__new__(type(self))
        other.instrument, other.seq, other.ts_ns = self.instrument, self.seq, self.ts_ns
        return other


cdef class Trade(_View):
    """A trade of the market."""

    @property
    def price(self):
        return self.body.price

    @property
    def qty(self):
        return self.body.qty

    @property
    def aggressor(self):
        """Side of the order that took: BUY or SELL."""
        return Side(self.body.aggressor)

    @property
    def trade_id(self):
        return self.body.trade_id

    @property
    def venue_ts(self):
        return self.body.venue_ts

    @property
    def recv_ts(self):
        return self.body.recv_ts

    def copy(self):
        cdef Trade other = self.copied()
        other.body = self.body
        return other


cdef class Quote(_View):
    """Best bid and ask as the venue sends them, apart from the book."""

    @property
    def bid_price(self):
        return self.body.bid_price

    @property
    def bid_qty(self):
        return self.body.bid_qty

    @property
    def ask_price(self):
        return self.body.ask_price

    @property
    def ask_qty(self):
        return self.body.ask_qty

    @property
    def spread(self):
        return self.body.ask_price - self.body.bid_price

    @property
    def mid(self):
        """Half-way between bid and ask, as a float in price mantissas: for signals, not for orders."""
        return (self.body.bid_price + self.body.ask_price) / 2.0

    @property
    def update_id(self):
        return self.body.update_id

    @property
    def venue_ts(self):
        return self.body.venue_ts

    @property
    def recv_ts(self):
        return self.body.recv_ts

    def copy(self):
        cdef Quote other = self.copied()
        other.body = self.body
        return other


cdef class OrderUpdate(_View):
    """A report on one of the strategy's orders; `order` is the order after it."""

    @property
    def order_id(self):
        return order_id(self.body.order_epoch, self.body.order_seq)

    @property
    def exec_id(self):
        return self.body.exec_id

    @property
    def exec_type(self):
        return ExecType(self.body.exec_type)

    @property
    def reject_code(self):
        return RejectCode(self.body.reject_code)

    @property
    def state(self):
        return self.order.state

    @property
    def side(self):
        return Side(self.body.side)

    @property
    def price(self):
        """Limit price of the order as it stands."""
        return self.body.price

    @property
    def qty(self):
        """Total quantity of the order as it stands."""
        return self.body.qty

    @property
    def cum_qty(self):
        return self.body.cum_qty

    @property
    def leaves_qty(self):
        return self.body.leaves_qty

    @property
    def venue_ts(self):
        return self.body.venue_ts

    @property
    def text(self):
        return text_of(self.body.text, sizeof(self.body.text))

    def copy(self):
        cdef OrderUpdate other = self.copied()
        other.body, other.order = self.body, self.order
        return other


cdef class Fill(OrderUpdate):
    """A fill of one of the strategy's orders; the position already includes it."""

    @property
    def price(self):
        """Price of this fill."""
        return self.body.last_price

    @property
    def qty(self):
        """Quantity of this fill."""
        return self.body.last_qty

    @property
    def trade_id(self):
        return self.body.trade_id

    @property
    def liquidity(self):
        return Liquidity(self.body.liquidity)

    @property
    def fee(self):
        """Mantissa at `fee_exponent`; negative = rebate."""
        return self.body.fee

    @property
    def fee_exponent(self):
        return self.body.fee_exponent

    @property
    def fee_currency(self):
        return text_of(self.body.fee_currency, sizeof(self.body.fee_currency))
