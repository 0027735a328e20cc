"""An order request: built and checked by an `Instrument`, sent by `Context.send`. Sending it twice sends two orders."""

cimport cython
from libchronicle.protocol.layout cimport CHR_ORDER_FLAGS_POST_ONLY, CHR_ORDER_FLAGS_REDUCE_ONLY
from libchronicle.strategy.text cimport text_of

from libchronicle.protocol.enums import OrderType, Side, StpMode, TimeInForce


@cython.freelist(256)
@cython.no_gc
cdef class Order:
    """Made by `Instrument.limit`, `.market` and their kin; prices and quantities are mantissas."""

    def __init__(self):
        raise TypeError("orders are built by an instrument: ctx.instrument(name).limit(Side.BUY, price, qty)")

    @property
    def side(self):
        return Side(self.body.side)

    @property
    def type(self):
        return OrderType(self.body.order_type)

    @property
    def tif(self):
        return TimeInForce(self.body.time_in_force)

    @property
    def stp(self):
        return StpMode(self.body.stp_mode)

    @property
    def price(self):
        return self.body.price

    @property
    def stop_price(self):
        return self.body.stop_price

    @property
    def qty(self):
        return self.body.qty

    @property
    def expire_ns(self):
        return self.body.expire_ns

    @property
    def valid_for_ns(self):
        return self.valid_for_ns

    @property
    def post_only(self):
        return (self.body.flags & CHR_ORDER_FLAGS_POST_ONLY) != 0

    @property
    def reduce_only(self):
        return (self.body.flags & CHR_ORDER_FLAGS_REDUCE_ONLY) != 0

    @property
    def tag(self):
        return text_of(self.body.tag, sizeof(self.body.tag))

    def __repr__(self):
        flags = (" post_only" if self.post_only else "") + (" reduce_only" if self.reduce_only else "")
        return (
            f"<Order {self.instrument.name} {self.side.name} {self.qty} @ {self.price} "
            f"{self.type.name} {self.tif.name}{flags}>"
        )
