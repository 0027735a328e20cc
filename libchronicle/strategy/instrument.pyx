"""One instrument as a strategy sees it: its definition, exact amounts, and the orders that can be built for it.

Amounts are int mantissas at the instrument's frozen exponents. Where a price or quantity is taken, an int is a mantissa,
a str or Decimal is converted exactly, and a float is refused: it would be rounded in silence. Everything that can be known
before sending is checked here (tick, lot, filters, combinations), so that sending costs nothing but the copy.
"""

from cpython.long cimport PyLong_AsLongLongAndOverflow
from libc.string cimport memcpy, memset

from libchronicle.protocol.layout cimport (
    CHR_ORDER_FLAGS_POST_ONLY,
    CHR_ORDER_FLAGS_REDUCE_ONLY,
    CHR_ORDER_TYPE_LIMIT,
    CHR_ORDER_TYPE_MARKET,
    CHR_ORDER_TYPE_STOP_LIMIT,
    CHR_ORDER_TYPE_STOP_MARKET,
    CHR_SIDE_BUY,
    CHR_SIDE_SELL,
    CHR_TIME_IN_FORCE_FOK,
    CHR_TIME_IN_FORCE_GTC,
    CHR_TIME_IN_FORCE_GTD,
    CHR_TIME_IN_FORCE_IOC,
)
from libchronicle.signals.vector cimport FeatureSet
from libchronicle.strategy.bookview cimport Book
from libchronicle.strategy.order cimport Order
from libchronicle.strategy.text cimport text_of
from libchronicle.strategy.tracker cimport Position

from libchronicle.errors import BadCombination, BadPrice, BadQuantity, InstrumentNotDefined, OrderError
from libchronicle.protocol import instrument_id
from libchronicle.strategy.amounts import format_amount, shortest_amount, to_mantissa

cdef int64_t LONGEST_MS = 10 * 366 * 86_400_000  # ten years: the nanoseconds from now on fit 64 bits

cdef extern from *:
    """
    static inline int chr_notional_below(long long price, long long qty, long long least) {
        return (__int128)price * qty < (__int128)least;
    }
    """
    bint chr_notional_below(long long price, long long qty, long long least) nogil


cdef class Instrument:
    """Handle of `venue:SYMBOL`; `ctx.instrument(name)` always returns the same one."""

    def __init__(self, str name):
        self.id = instrument_id(name)
        self.name = name
        self.venue, _, self.symbol = name.partition(":")
        memset(&self.definition, 0, sizeof(self.definition))
        self._book = Book(self)
        self._position = Position(self)

    # ------------------------------------------------------------ definition

    cdef int define(self, const chr_instrument_t *definition) except -1:
        self.definition = definition[0]
        self.defined = True
        if self.watched is not None:
            self.watched.scale(definition.price_exponent, definition.qty_exponent)
        return 0

    cdef int watch(self, FeatureSet features) except -1:
        """From the next record on."""
        self.watched = features
        if self.defined:
            features.scale(self.definition.price_exponent, self.definition.qty_exponent)
        return 0

    cdef int _need(self) except -1:
        if not self.defined:
            raise self.mistaken(InstrumentNotDefined(instrument=self.name))
        return 0

    cdef object mistaken(self, object error):
        """Counts it, and gives it back to be raised."""
        if self.mistakes is not None:
            self.mistakes[type(error)] = self.mistakes.get(type(error), 0) + 1
        return error

    @property
    def is_defined(self):
        """True once the feed's definition was read; before it, amounts and orders raise InstrumentNotDefined."""
        return self.defined

    @property
    def tick_size(self):
        self._need()
        return self.definition.tick_size

    @property
    def lot_size(self):
        self._need()
        return self.definition.lot_size

    @property
    def min_qty(self):
        self._need()
        return self.definition.min_qty

    @property
    def max_qty(self):
        """0 = no limit."""
        self._need()
        return self.definition.max_qty

    @property
    def min_notional(self):
        """Mantissa at price_exponent + qty_exponent; 0 = none."""
        self._need()
        return self.definition.min_notional

    @property
    def price_exponent(self):
        self._need()
        return self.definition.price_exponent

    @property
    def qty_exponent(self):
        self._need()
        return self.definition.qty_exponent

    @property
    def is_trading(self):
        """True while the venue accepts orders for it."""
        return self.defined and self.definition.trading != 0

    @property
    def quote_currency(self):
        self._need()
        return text_of(self.definition.quote_currency, sizeof(self.definition.quote_currency))

    @property
    def base_currency(self):
        self._need()
        return text_of(self.definition.base_currency, sizeof(self.definition.base_currency))

    @property
    def is_synced(self):
        """True while its book is right; otherwise nothing of it reaches the strategy and only reduce-only orders go out."""
        return self.synced

    @property
    def book(self):
        return self._book

    @property
    def position(self):
        return self._position

    # ------------------------------------------------------------ amounts

    cdef int64_t _mantissa(self, object value, int exponent, object error, str what) except? -1:
        cdef int over
        if type(value) is not int:
            try:
                value = to_mantissa(value, exponent, self.name, error, what)
            except OrderError as found:
                raise self.mistaken(found)
        cdef int64_t mantissa = PyLong_AsLongLongAndOverflow(value, &over)
        if over:
            raise self.mistaken(error(instrument=self.name, value=f"an int of {value.bit_length()} bits", reason="does not fit 64 bits"))
        return mantissa

    cdef int64_t _price(self, object value) except? -1:
        return self._mantissa(value, self.definition.price_exponent, BadPrice, "price")

    cdef int64_t _qty(self, object value) except? -1:
        return self._mantissa(value, self.definition.qty_exponent, BadQuantity, "quantity")

    def price(self, value):
        """Mantissa of a price given as str, Decimal or mantissa. Raises FloatAmount, BadPrice."""
        self._need()
        return self._price(value)

    def qty(self, value):
        """Mantissa of a quantity given as str, Decimal or mantissa. Raises FloatAmount, BadQuantity."""
        self._need()
        return self._qty(value)

    def format_price(self, int64_t mantissa):
        self._need()
        return format_amount(mantissa, self.definition.price_exponent)

    def format_qty(self, int64_t mantissa):
        self._need()
        return format_amount(mantissa, self.definition.qty_exponent)

    def round_price(self, int64_t mantissa, int side):
        """The nearest price on the tick that is no worse for the sender: down to buy, up to sell."""
        self._need()
        cdef int64_t tick = self.definition.tick_size
        cdef int64_t over = mantissa % tick
        if over < 0:
            over += tick
        if over and side == CHR_SIDE_SELL:
            return mantissa - over + tick
        return mantissa - over

    def round_qty(self, int64_t mantissa):
        """The largest quantity on the lot that is not above."""
        self._need()
        return mantissa - mantissa % self.definition.lot_size

    # ------------------------------------------------------------ orders

    cdef Order _build(self, uint8_t type, uint8_t side, int64_t price, int64_t qty, uint8_t tif, uint16_t flags):
        """An order whose price (0 = none) and quantity were checked against tick, lot and filters."""
        cdef chr_instrument_t *d = &self.definition
        self._need()
        if side != CHR_SIDE_BUY and side != CHR_SIDE_SELL:
            raise self.mistaken(BadCombination(instrument=self.name, reason=f"side {side} is neither BUY nor SELL"))
        if type == CHR_ORDER_TYPE_LIMIT or type == CHR_ORDER_TYPE_STOP_LIMIT:
            self._check_price(price)
        if qty <= 0:
            raise self.mistaken(BadQuantity(instrument=self.name, value=qty, reason="is not above zero"))
        if d.lot_size > 0 and qty % d.lot_size:
            raise self.mistaken(BadQuantity(instrument=self.name, value=self.format_qty(qty), reason=self._off("lot", d.lot_size)))
        if qty < d.min_qty or (d.max_qty > 0 and qty > d.max_qty):
            limits = f"{self.format_qty(d.min_qty)} to {self.format_qty(d.max_qty)}"
            raise self.mistaken(BadQuantity(instrument=self.name, value=self.format_qty(qty), reason=f"is not within {limits}"))
        if price and not flags & CHR_ORDER_FLAGS_REDUCE_ONLY and chr_notional_below(price, qty, d.min_notional):
            least = shortest_amount(d.min_notional, d.price_exponent + d.qty_exponent)
            reason = f"is worth less than {least} {self.quote_currency}, the least the venue takes"
            raise self.mistaken(
                BadQuantity(instrument=self.name, value=shortest_amount(qty, d.qty_exponent), reason=reason)
            )
        cdef Order order = Order.__new__(Order)
        order.instrument = self
        order.valid_for_ns = 0
        memset(&order.body, 0, sizeof(order.body))
        order.body.instrument_id = self.id
        order.body.side = side
        order.body.order_type = type
        order.body.time_in_force = tif
        order.body.price = price
        order.body.qty = qty
        order.body.flags = flags
        return order

    cdef int _check_price(self, int64_t price) except -1:
        if price <= 0:
            raise self.mistaken(BadPrice(instrument=self.name, value=price, reason="is not above zero"))
        if self.definition.tick_size > 0 and price % self.definition.tick_size:
            reason = self._off("tick", self.definition.tick_size)
            raise self.mistaken(BadPrice(instrument=self.name, value=self.format_price(price), reason=reason))
        return 0

    cdef str _off(self, str step, int64_t size):
        shown = self.format_price(size) if step == "tick" else self.format_qty(size)
        return f"is not on the {step} size {shown}"

    def limit(
        self, uint8_t side, price, qty, *, uint8_t tif=CHR_TIME_IN_FORCE_GTC, bint post_only=False, bint reduce_only=False,
        int64_t expire_ns=0, int64_t valid_for_ms=0, uint8_t stp=0, str tag="",
    ):
        """A limit order. Raises OrderError (BadPrice, BadQuantity, BadCombination, FloatAmount).

        `expire_ns` belongs to tif GTD; `valid_for_ms` is how long the router may take to handle it.
        """
        cdef Order order = self._build(
            CHR_ORDER_TYPE_LIMIT, side, self._price(price), self._qty(qty), tif, _flags(post_only, reduce_only)
        )
        if tif != CHR_TIME_IN_FORCE_GTC or post_only or expire_ns:
            self._check_tif(tif, post_only, expire_ns)
        order.body.expire_ns = expire_ns
        self._finish(order, valid_for_ms, stp, tag)
        return order

    def market(
        self, uint8_t side, qty, *, uint8_t tif=CHR_TIME_IN_FORCE_IOC, bint reduce_only=False, int64_t valid_for_ms=0,
        uint8_t stp=0, str tag="",
    ):
        """A market order: IOC (take what is there) or FOK (all or nothing)."""
        if tif != CHR_TIME_IN_FORCE_IOC and tif != CHR_TIME_IN_FORCE_FOK:
            raise self.mistaken(BadCombination(instrument=self.name, reason="a market order is IOC or FOK, it cannot rest"))
        cdef Order order = self._build(CHR_ORDER_TYPE_MARKET, side, 0, self._qty(qty), tif, _flags(False, reduce_only))
        self._finish(order, valid_for_ms, stp, tag)
        return order

    def stop_market(
        self, uint8_t side, stop_price, qty, *, bint reduce_only=False, int64_t valid_for_ms=0, uint8_t stp=0, str tag=""
    ):
        """A market order that the venue starts when the price trades at or through `stop_price`."""
        cdef int64_t stop = self._price(stop_price)
        cdef Order order = self._build(
            CHR_ORDER_TYPE_STOP_MARKET, side, 0, self._qty(qty), CHR_TIME_IN_FORCE_GTC, _flags(False, reduce_only)
        )
        self._check_price(stop)
        order.body.stop_price = stop
        self._finish(order, valid_for_ms, stp, tag)
        return order

    def stop_limit(
        self, uint8_t side, stop_price, price, qty, *, uint8_t tif=CHR_TIME_IN_FORCE_GTC, bint reduce_only=False,
        int64_t expire_ns=0, int64_t valid_for_ms=0, uint8_t stp=0, str tag="",
    ):
        """A limit order that the venue starts when the price trades at or through `stop_price`."""
        cdef int64_t stop = self._price(stop_price)
        cdef Order order = self._build(
            CHR_ORDER_TYPE_STOP_LIMIT, side, self._price(price), self._qty(qty), tif, _flags(False, reduce_only)
        )
        self._check_price(stop)
        self._check_tif(tif, False, expire_ns)
        order.body.stop_price = stop
        order.body.expire_ns = expire_ns
        self._finish(order, valid_for_ms, stp, tag)
        return order

    cdef int _check_tif(self, uint8_t tif, bint post_only, int64_t expire_ns) except -1:
        if tif < CHR_TIME_IN_FORCE_GTC or tif > CHR_TIME_IN_FORCE_GTD:
            raise self.mistaken(BadCombination(instrument=self.name, reason=f"time in force {tif} is none of GTC, IOC, FOK, GTD"))
        if post_only and (tif == CHR_TIME_IN_FORCE_IOC or tif == CHR_TIME_IN_FORCE_FOK):
            raise self.mistaken(BadCombination(instrument=self.name, reason="post-only rests, IOC and FOK never rest; choose one"))
        if (tif == CHR_TIME_IN_FORCE_GTD) != (expire_ns != 0):
            raise self.mistaken(BadCombination(instrument=self.name, reason="GTD and expire_ns go together"))
        if expire_ns < 0:
            raise self.mistaken(BadCombination(instrument=self.name, reason="expire_ns is before 1970"))
        return 0

    cdef int _finish(self, Order order, int64_t valid_for_ms, uint8_t stp, str tag) except -1:
        if valid_for_ms:
            if not 0 <= valid_for_ms <= LONGEST_MS:
                reason = "is negative" if valid_for_ms < 0 else f"is above {LONGEST_MS}, ten years"
                raise self.mistaken(BadCombination(instrument=self.name, reason=f"valid_for_ms {reason}"))
            order.valid_for_ns = valid_for_ms * 1_000_000
        order.body.stp_mode = stp
        cdef bytes raw
        if tag:
            raw = tag.encode("utf-8", "replace")
            if len(raw) > sizeof(order.body.tag):
                raise self.mistaken(BadCombination(instrument=self.name, reason=f"tag {tag[:16]!r}… is longer than 16 bytes"))
            memcpy(order.body.tag, <const char *> raw, len(raw))
        return 0

    # ------------------------------------------------------------ the words users know

    def buy(self, qty, price=None):
        """Limit order to buy at `price`, or market order without one."""
        return self.market(CHR_SIDE_BUY, qty) if price is None else self.limit(CHR_SIDE_BUY, price, qty)

    def sell(self, qty, price=None):
        """Limit order to sell at `price`, or market order without one."""
        return self.market(CHR_SIDE_SELL, qty) if price is None else self.limit(CHR_SIDE_SELL, price, qty)

    def ioc(self, uint8_t side, price, qty):
        """Limit order that takes what is there and cancels the rest."""
        return self._build(CHR_ORDER_TYPE_LIMIT, side, self._price(price), self._qty(qty), CHR_TIME_IN_FORCE_IOC, 0)

    def fok(self, uint8_t side, price, qty):
        """Limit order that is filled at once and whole, or not at all."""
        return self._build(CHR_ORDER_TYPE_LIMIT, side, self._price(price), self._qty(qty), CHR_TIME_IN_FORCE_FOK, 0)

    def post_only(self, uint8_t side, price, qty):
        """Limit order that is refused rather than take."""
        cdef uint16_t flags = CHR_ORDER_FLAGS_POST_ONLY
        return self._build(CHR_ORDER_TYPE_LIMIT, side, self._price(price), self._qty(qty), CHR_TIME_IN_FORCE_GTC, flags)

    def gtd(self, uint8_t side, price, qty, int64_t expire_ns):
        """Limit order that rests until `expire_ns`."""
        return self.limit(side, price, qty, tif=CHR_TIME_IN_FORCE_GTD, expire_ns=expire_ns)

    def __repr__(self):
        return f"<Instrument {self.name}{'' if self.defined else ' (not defined yet)'}>"


cdef inline uint16_t _flags(bint post_only, bint reduce_only) noexcept:
    return (CHR_ORDER_FLAGS_POST_ONLY if post_only else 0) | (CHR_ORDER_FLAGS_REDUCE_ONLY if reduce_only else 0)
