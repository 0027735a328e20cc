"""Open orders and positions, from what was sent and what was reported. Pure: it reads no queue and no clock.

- An order is open from the moment it is sent until its one final report.
- A report is counted once: exec ids are contiguous per strategy, so one at or below the last seen is a repetition.
- A position moves with each fill at once; the router's PositionReport, which follows, is the truth (average price and
  profit come only from there) unless it is older than a fill already counted.
"""

cimport cython
from libc.string cimport memcpy, memset

from libchronicle.protocol.layout cimport (
    CHR_EXEC_TYPE_ACK,
    CHR_EXEC_TYPE_CANCELLED,
    CHR_EXEC_TYPE_CANCEL_REJECT,
    CHR_EXEC_TYPE_EXPIRED,
    CHR_EXEC_TYPE_FILL,
    CHR_EXEC_TYPE_PARTIAL_FILL,
    CHR_EXEC_TYPE_REJECT,
    CHR_EXEC_TYPE_REPLACED,
    CHR_ORDER_TYPE_LIMIT,
    CHR_ORDER_TYPE_MARKET,
    CHR_SIDE_BUY,
    CHR_TIME_IN_FORCE_GTC,
    CHR_TIME_IN_FORCE_IOC,
)
from libchronicle.strategy.text cimport text_of

from decimal import Decimal

from libchronicle.portfolio import OrderState
from libchronicle.protocol.enums import OrderFlags, OrderType, Side, StpMode, TimeInForce

cdef enum:
    PENDING = 0
    OPEN = 1
    PARTIAL = 2
    FILLED = 3
    CANCELLED = 4
    EXPIRED = 5
    REJECTED = 6

assert [int(state) for state in OrderState] == [PENDING, OPEN, PARTIAL, FILLED, CANCELLED, EXPIRED, REJECTED]


cdef class Position:
    """Signed quantity and average price, mantissas of the instrument; profit and fees at `pnl_exponent`."""

    def __init__(self, instrument):
        self.instrument = instrument

    @property
    def is_flat(self):
        return self.qty == 0

    def __repr__(self):
        return f"<Position {self.instrument.name} {self.qty} @ {self.avg_price}>"


cdef class Balance:
    """What the account holds of a currency, as last reported: mantissas at `exponent`. Nothing was reported: zero."""

    def __init__(self, str currency not None):
        self.currency = currency

    @property
    def amount(self):
        """`total` as an exact Decimal."""
        return Decimal(self.total).scaleb(self.exponent)

    @property
    def free(self):
        """`available` as an exact Decimal: without what open orders and margin hold back."""
        return Decimal(self.available).scaleb(self.exponent)

    def __repr__(self):
        return f"<Balance {self.amount} {self.currency}, {self.free} free>"


@cython.freelist(256)
@cython.no_gc
cdef class WorkingOrder:
    """An order that is open, or the last state of one that was."""

    @property
    def side(self):
        return Side(self._side)

    @property
    def state(self):
        return OrderState(self._state)

    @property
    def leaves_qty(self):
        return self.qty - self.cum_qty if self._state <= PARTIAL else 0

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
    def flags(self):
        return OrderFlags(self.body.flags)

    @property
    def stop_price(self):
        return self.body.stop_price

    @property
    def expire_ns(self):
        return self.body.expire_ns

    @property
    def cause_ts(self):
        """When the market record that caused it was appended; 0 = none did."""
        return self.body.cause_ts

    @property
    def account(self):
        return text_of(self.body.account, sizeof(self.body.account))

    @property
    def tag(self):
        return text_of(self.body.tag, sizeof(self.body.tag))

    @property
    def is_open(self):
        return self._state <= PARTIAL

    @property
    def is_pending(self):
        """It was sent and not answered yet."""
        return self._state == PENDING

    @property
    def is_cancelling(self):
        """A cancel was sent and not answered yet."""
        return self.cancelling

    def __repr__(self):
        return f"<WorkingOrder {self.id:#x} {self.instrument.name} {self.side.name} {self.qty} @ {self.price} {self.state.name}>"


cdef inline uint8_t _next_state(uint8_t state, const chr_execution_report_t *report) noexcept:
    cdef uint8_t kind = report.exec_type
    if kind == CHR_EXEC_TYPE_ACK:
        return OPEN if state == PENDING else state
    if kind == CHR_EXEC_TYPE_REPLACED:
        return OPEN if state == PENDING else state
    if kind == CHR_EXEC_TYPE_PARTIAL_FILL:
        return PARTIAL
    if kind == CHR_EXEC_TYPE_FILL:
        return FILLED
    if kind == CHR_EXEC_TYPE_CANCELLED:
        return CANCELLED
    if kind == CHR_EXEC_TYPE_EXPIRED:
        return EXPIRED
    if kind == CHR_EXEC_TYPE_REJECT:
        return REJECTED
    return state  # a refused cancel or replace leaves the order as it was


cdef WorkingOrder _pending(uint64_t id, object instrument, const chr_new_order_t *body, int64_t sent_ns):
    cdef WorkingOrder order = WorkingOrder.__new__(WorkingOrder)
    order.id = id
    order.instrument = instrument
    order.price = body.price
    order.qty = body.qty
    order.cum_qty = 0
    order.sent_ns = sent_ns
    order.body = body[0]
    order._side = body.side
    order._state = PENDING
    order.cancelling = False
    return order


cdef class Tracker:
    def __init__(self, uint64_t queue_id=0):
        self.queue_id = queue_id
        self.orders = {}
        self.balances = {}

    cdef WorkingOrder sent(
        self, uint64_t id, object instrument, const chr_new_order_t *body, int64_t ts_ns
    ):
        cdef WorkingOrder order = _pending(id, instrument, body, ts_ns)
        self.orders[id] = order
        return order

    def adopt(self, instrument, message):
        """Take up an open order that an OpenOrder carried over."""
        cdef chr_new_order_t body
        cdef bytes account = message.account.encode()[:sizeof(body.account)], tag = message.tag.encode()[:sizeof(body.tag)]
        memset(&body, 0, sizeof(body))
        body.instrument_id = message.instrument_id
        body.price = message.price
        body.qty = message.qty
        body.stop_price = message.stop_price
        body.expire_ns = message.expire_ns
        body.cause_ts = message.cause_ts
        body.flags = message.flags
        body.side = message.side
        body.order_type = message.order_type
        body.time_in_force = message.time_in_force
        body.stp_mode = message.stp_mode
        memcpy(body.account, <const char *> account, len(account))
        memcpy(body.tag, <const char *> tag, len(tag))
        cdef WorkingOrder order = self.sent(
            order_id(message.order_epoch, message.order_seq), instrument, &body, message.order_ts
        )
        order.cum_qty = message.cum_qty
        order._state = message.state

    def stand_at(self, uint64_t exec_id):
        """Reports up to this one have been counted."""
        self.last_exec_id = max(self.last_exec_id, exec_id)

    cdef WorkingOrder reported(
        self, object instrument, Position position, const chr_execution_report_t *report
    ):
        """The order after the report; None when the report is a repetition."""
        if report.exec_id:
            if report.exec_id <= self.last_exec_id:
                self.duplicates += 1
                return None
            self.last_exec_id = report.exec_id
        if report.exec_type == CHR_EXEC_TYPE_FILL or report.exec_type == CHR_EXEC_TYPE_PARTIAL_FILL:
            if position is not None and report.exec_id > position.last_exec_id:
                position.qty += report.last_qty if report.side == CHR_SIDE_BUY else -report.last_qty
                position.last_exec_id = report.exec_id
        cdef uint64_t id = order_id(report.order_epoch, report.order_seq)
        cdef WorkingOrder order = None
        if report.order_queue_id == self.queue_id:
            order = self.orders.get(id)
        if order is None:
            order = self._stranger(id, instrument, report)
        order._state = _next_state(order._state, report)
        order.cum_qty = report.cum_qty
        if report.exec_type == CHR_EXEC_TYPE_REPLACED or report.exec_type == CHR_EXEC_TYPE_ACK:
            order.price = report.price
            order.qty = report.qty
        elif report.exec_type == CHR_EXEC_TYPE_CANCEL_REJECT:
            order.cancelling = False
        if order._state > PARTIAL:
            self.orders.pop(order.id, None)
        return order

    cdef WorkingOrder _stranger(self, uint64_t id, object instrument, const chr_execution_report_t *report):
        """An order sent before the oldest record left in orders_out: all that is known of it is its report."""
        cdef chr_new_order_t body
        self.strangers += 1
        memset(&body, 0, sizeof(body))
        body.price = report.price
        body.qty = report.qty
        body.side = report.side
        body.order_type = CHR_ORDER_TYPE_LIMIT if report.price else CHR_ORDER_TYPE_MARKET
        body.time_in_force = CHR_TIME_IN_FORCE_GTC if report.price else CHR_TIME_IN_FORCE_IOC
        cdef WorkingOrder order = _pending(id, instrument, &body, report.order_ts)
        order.cum_qty = report.cum_qty
        ends = report.exec_type == CHR_EXEC_TYPE_REJECT or report.leaves_qty == 0
        if report.order_queue_id == self.queue_id and not ends:
            self.orders[id] = order
        return order

    cdef int positioned(self, Position position, const chr_position_report_t *report) except -1:
        if report.last_exec_id < position.last_exec_id:
            return 0
        position.qty = report.qty
        position.avg_price = report.avg_price
        position.realized_pnl = report.realized_pnl
        position.fees = report.fees
        position.pnl_exponent = report.pnl_exponent
        position.last_exec_id = report.last_exec_id
        return 0

    cdef int accounted(self, const chr_account_report_t *report) except -1:
        """The object of a currency stays the same: a strategy may keep it."""
        cdef str currency = text_of(report.currency, sizeof(report.currency))
        cdef Balance found = self.balances.get(currency)
        if found is None:
            found = self.balances[currency] = Balance(currency)
        found.total = report.balance
        found.available = report.available
        found.exponent = report.exponent
        found.ts_ns = report.ts
        return 0
