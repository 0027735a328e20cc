"""What a strategy may do. The same object serves live, paper and backtest; its clock and its order sink differ.

Nothing here makes a system call: `send` encodes straight into the sink, everything else reads state that the dispatcher
keeps. Refusals are values, not exceptions: a router that restarts must not end a strategy.
"""

from libc.string cimport memcpy, memset

from libchronicle.counters._counters cimport Counter, Histogram
from libchronicle.native.hot cimport chr_now_ns
from libchronicle.protocol.layout cimport (
    CHR_CANCEL_ALL,
    CHR_CANCEL_ORDER,
    CHR_NEW_ORDER,
    CHR_ORDER_FLAGS_REDUCE_ONLY,
    CHR_REPLACE_ORDER,
    CHR_SIDE_BUY,
    CHR_SIDE_SELL,
    chr_cancel_all_t,
    chr_cancel_order_t,
    chr_replace_order_t,
)
from libchronicle.signals.vector cimport FeatureSet
from libchronicle.risk.exits cimport CHR_EXIT_STOP_LOSS
from libchronicle.strategy.instrument cimport Instrument
from libchronicle.strategy.order cimport Order
from libchronicle.strategy.sink cimport OrderSink
from libchronicle.strategy.timers cimport Timers
from libchronicle.strategy.trace cimport Trace
from libchronicle.strategy.text cimport text_of
from libchronicle.strategy.tracker cimport Balance, Tracker, WorkingOrder, order_id

from libchronicle.errors import BadCombination, MisuseError, NotSubscribed, OrderError
from libchronicle.protocol import instrument_id
from libchronicle.risk import exits_of
from libchronicle.strategy.params import Params
from libchronicle.strategy.refusal import Refusal, reason_of

KINDS = ("book", "trade", "quote")
cdef int64_t LONGEST_MS = 10 * 366 * 86_400_000  # ten years: the nanoseconds from now on fit 64 bits

cdef enum:
    NOT_SYNCED = -5
    TOO_MANY_ORDERS = -6

assert (Refusal.NOT_SYNCED, Refusal.TOO_MANY_ORDERS) == (NOT_SYNCED, TOO_MANY_ORDERS)


cdef class Context:
    """Handed to every callback. Built by the runner."""

    def __init__(self, OrderSink sink not None, *, params=None, log=None, str account="", int max_open_orders=10_000, exits=None):
        cdef bytes raw = account.encode()
        if len(raw) > sizeof(self.account_raw):
            raise MisuseError(reason=f"account {account!r} is longer than 16 bytes")
        memset(self.account_raw, 0, sizeof(self.account_raw))
        memcpy(self.account_raw, <const char *> raw, len(raw))
        self.sink = sink
        self.tracker = Tracker(sink.queue_id)
        self.timers = Timers()
        self.instruments = {}
        self.subscriptions = {}
        self.params = Params({} if params is None else params)
        self.log = log
        self.features = {}
        self.gate = Refusal.NOT_TRADING
        self.max_open_orders = max_open_orders
        memset(self.refused_counts, 0, sizeof(self.refused_counts))
        self.mistakes = {}
        self.refusals = tuple(sorted(Refusal, reverse=True))
        self.exits = exits

    # ------------------------------------------------------------ time

    def now_ns(self):
        """Nanoseconds since the Unix epoch. Constant within a callback, and what the session journal holds."""
        return self.now

    def set_timer(self, str name, *, int64_t every_ms=0, int64_t after_ms=0, int64_t at_ns=0):
        """Call on_timer(name) every `every_ms`, or once after `after_ms`, or once at `at_ns`; replaces its namesake."""
        if (every_ms > 0) + (after_ms > 0) + (at_ns > 0) != 1 or every_ms > LONGEST_MS or after_ms > LONGEST_MS:
            raise MisuseError(
                reason=f"timer {name[:32]!r}: give one of every_ms, after_ms and at_ns, above zero; at most {LONGEST_MS} ms"
            )
        cdef int64_t interval = every_ms * 1_000_000
        self.timers.set(name, at_ns if at_ns else self.now + interval + after_ms * 1_000_000, interval)

    def cancel_timer(self, str name):
        """True if there was one."""
        return self.timers.cancel(name)

    # ------------------------------------------------------------ instruments

    cdef Instrument find(self, object key):
        if type(key) is Instrument:
            return <Instrument> key
        cdef Instrument found = self.instruments.get(key)
        if found is None:
            instrument_id(key)  # InvalidName for what never could be one
            self.mistakes[NotSubscribed] = self.mistakes.get(NotSubscribed, 0) + 1
            raise NotSubscribed(instrument=key, known=", ".join(sorted(self.instruments)) or "none")
        return found

    cdef Instrument make(self, object key):
        """The handle, made when it is not there yet: for subscriptions."""
        if type(key) is not Instrument and key not in self.instruments:
            self.instruments[key] = made = Instrument(key)
            (<Instrument> made).mistakes = self.mistakes
            (<Instrument> made).exits = None if self.exits is None else exits_of(self.exits)
        return self.find(key)

    def instrument(self, str name not None):
        """The handle of a subscribed `venue:SYMBOL`; always the same object. Raises NotSubscribed, InvalidName."""
        return self.find(name)

    def subscribe(self, instrument, kinds=KINDS):
        """Ask for an instrument's book, trades and quotes. Only in on_start."""
        if self.subscriptions is None:
            raise MisuseError(reason="subscribe in on_start; the feeds are chosen once it returns")
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown:
            raise MisuseError(reason=f"kinds {unknown}; there are: {', '.join(KINDS)}")
        cdef Instrument found = self.make(instrument)
        self.subscriptions[found.name] = tuple(kinds)
        return found

    def watch(self, instrument, features=None):
        """Keep features of an instrument up to date, before each callback; also `ctx.features[name]`. Without `features`: the
        vector of 13. Raises MisuseError when it is watched already, InvalidArgument for what cannot be in a FeatureSet."""
        cdef Instrument found = self.find(instrument)
        cdef FeatureSet made
        if found.watched is not None:
            raise MisuseError(reason=f"{found.name} is watched already; give all its features at once")
        made = features if isinstance(features, FeatureSet) else FeatureSet(features)
        found.watch(made)
        self.features[found.name] = made
        return made

    def close_subscriptions(self):
        """For the runner: the subscriptions, which are final from now on."""
        chosen, self.subscriptions = self.subscriptions, None
        return chosen

    def book(self, instrument):
        """The book of an instrument, kept up to date; `book.is_valid` says whether it is right."""
        return self.find(instrument)._book

    def position(self, instrument):
        """The strategy's position in an instrument, kept up to date."""
        return self.find(instrument)._position

    @property
    def account(self):
        """The account the orders go to."""
        return text_of(<const char *> self.account_raw, sizeof(self.account_raw))

    def balance(self, str currency not None):
        """What the account holds of a currency, as last reported. The same object each time, kept up to date."""
        found = self.tracker.balances.get(currency)
        if found is None:
            found = self.tracker.balances[currency] = Balance(currency)
        return found

    def orders(self, instrument=None):
        """Open orders, oldest first."""
        cdef Instrument wanted = None if instrument is None else self.find(instrument)
        cdef WorkingOrder order
        return [order for order in self.tracker.orders.values() if wanted is None or order.instrument is wanted]

    def order(self, uint64_t id):
        """The open order of that id, None when it is not open (any more)."""
        return self.tracker.orders.get(id)

    # ------------------------------------------------------------ requests

    @property
    def can_send(self):
        """False while every `send` would be refused."""
        return self.gate == 0

    def send(self, Order order not None):
        """Order id, or a `Refusal` (negative) if the order was not sent."""
        return self.submit(order)

    @property
    def refused(self):
        """What never left, by reason: Refusals that `send` and the like returned, orders that could not be made (BAD_PRICE and so on, the error
        that was raised), instruments nobody subscribed."""
        found = {why.name: self.refused_counts[-<int> why] for why in Refusal if self.refused_counts[-<int> why]}
        return found | {reason_of(error): count for error, count in self.mistakes.items()}

    cdef object refuse(self, int why):
        self.refused_counts[-why & 15] += 1
        if self.orders_refused is not None:
            self.orders_refused.add_native(1)
        return self.refusals[-1 - why]

    cdef object submit(self, Order order):
        cdef Instrument instrument = <Instrument> order.instrument
        cdef uint64_t id
        if self.trace is not None:
            self.trace.sending = chr_now_ns(self.trace.clock)
        if self.gate != 0:
            return self.refuse(self.gate)
        if not instrument.synced and not order.body.flags & CHR_ORDER_FLAGS_REDUCE_ONLY:
            return self.refuse(NOT_SYNCED)
        if len(self.tracker.orders) >= self.max_open_orders:
            return self.refuse(TOO_MANY_ORDERS)
        order.body.cause_queue_id = self.cause.queue_id
        order.body.cause_seq = self.cause.seq
        order.body.cause_ts = self.cause.ts_ns
        order.body.cause_epoch = self.cause.epoch
        order.body.valid_until_ns = self.now + order.valid_for_ns if order.valid_for_ns else 0
        memcpy(order.body.account, self.account_raw, sizeof(self.account_raw))
        self.sink.put(CHR_NEW_ORDER, &order.body, sizeof(order.body))
        if self.tick_to_trade is not None and self.cause.ts_ns:
            self.tick_to_trade.observe_native(self.sink.ts_ns - self.cause.ts_ns)
        if self.orders_sent is not None:
            self.orders_sent.add_native(1)
        if self.trace is not None:
            self.trace.add(self.cause.ts_ns, self.sink.ts_ns)
        id = order_id(self.sink.epoch, self.sink.seq)
        self.tracker.sent(id, instrument, &order.body, self.sink.ts_ns)
        return id

    def cancel(self, uint64_t id):
        """Ask to cancel an open order. False if it is not open or was asked already. Never refused."""
        cdef WorkingOrder order = self.tracker.orders.get(id)
        if order is None or order.cancelling:
            return False
        self.ask_cancel(id, (<Instrument> order.instrument).id)
        order.cancelling = True
        return True

    cdef int ask_cancel(self, uint64_t id, uint64_t instrument_id) except -1:
        cdef chr_cancel_order_t body
        memset(&body, 0, sizeof(body))
        body.instrument_id = instrument_id
        body.order_seq = id & 0xFFFFFFFFFFULL
        body.order_epoch = <uint32_t> (id >> 40)
        body.cause_queue_id = self.cause.queue_id
        body.cause_seq = self.cause.seq
        body.cause_ts = self.cause.ts_ns
        body.cause_epoch = self.cause.epoch
        return self.sink.put(CHR_CANCEL_ORDER, &body, sizeof(body))

    def replace(self, uint64_t id, *, price=None, qty=None):
        """Ask to change an open order. True, False if it is not open, or a `Refusal`. Raises BadPrice, BadQuantity."""
        cdef WorkingOrder order = self.tracker.orders.get(id)
        if order is None or order.cancelling:
            return False
        cdef Instrument instrument = <Instrument> order.instrument
        if price is None and qty is None:
            raise BadCombination(instrument=instrument.name, reason="replace needs a price, a quantity or both")
        if self.gate != 0:
            return self.refuse(self.gate)
        cdef chr_replace_order_t body
        memset(&body, 0, sizeof(body))
        kept = order.price or order.stop_price  # a stop-market order has no other price
        checked = instrument.limit(order._side, kept if price is None else price, order.qty if qty is None else qty)
        body.instrument_id = instrument.id
        body.order_seq = id & 0xFFFFFFFFFFULL
        body.order_epoch = <uint32_t> (id >> 40)
        body.price = order.price if price is None else checked.price
        body.qty = checked.qty
        body.cause_queue_id = self.cause.queue_id
        body.cause_seq = self.cause.seq
        body.cause_ts = self.cause.ts_ns
        body.cause_epoch = self.cause.epoch
        self.sink.put(CHR_REPLACE_ORDER, &body, sizeof(body))
        return True

    def cancel_all(self, instrument=None):
        """Ask to cancel every open order, or every one of an instrument. How many were open. Never refused."""
        cdef list chosen = [order for order in self.orders(instrument) if not order.is_cancelling]
        if chosen:
            self.order_cancel_all(0 if instrument is None else self.find(instrument).id, "strategy")
        return len(chosen)

    def order_cancel_all(self, uint64_t instrument_id, str reason):
        """For the runner: the request itself, open orders or not. 0 = every instrument."""
        cdef chr_cancel_all_t body
        cdef bytes raw = reason.encode()[:sizeof(body.reason)]
        cdef WorkingOrder order
        memset(&body, 0, sizeof(body))
        body.instrument_id = instrument_id
        body.cause_ts = self.cause.ts_ns
        memcpy(body.reason, <const char *> raw, len(raw))
        self.sink.put(CHR_CANCEL_ALL, &body, sizeof(body))
        for order in self.tracker.orders.values():
            if instrument_id == 0 or (<Instrument> order.instrument).id == instrument_id:
                order.cancelling = True

    def close_position(self, instrument):
        """Send a reduce-only market order for the whole position. Order id, a `Refusal`, or None when flat."""
        cdef Instrument found = self.find(instrument)
        cdef int64_t qty = found._position.qty
        if qty == 0:
            return None
        return self.submit(found.market(CHR_SIDE_SELL if qty > 0 else CHR_SIDE_BUY, abs(qty), reduce_only=True))

    cdef int leave(self, Instrument instrument, int why) except -1:
        """Stop-loss or take-profit: the instrument's orders go, then its position."""
        cdef int64_t qty = instrument._position.qty
        cdef str name = "stop-loss" if why == CHR_EXIT_STOP_LOSS else "take-profit"
        self.cancel_all(instrument)
        try:
            sent = self.submit(
                instrument.market(CHR_SIDE_SELL if qty > 0 else CHR_SIDE_BUY, abs(qty), reduce_only=True, tag=name)
            )
        except OrderError as error:  # less than a lot: there is no order for it
            sent = error
        if self.log is not None:
            self.log.warning(name, instrument=instrument.name, position=instrument.format_qty(qty), order=str(sent))
        return 0

    # ------------------------------------------------------------ for the runner

    def open_gate(self, int why):
        """0 lets orders pass, a Refusal does not."""
        self.gate = why

    def log_to(self, log):
        """Where `ctx.log` writes."""
        self.log = log

    def set_now(self, int64_t now):
        self.now = now

    def trace_into(self, Trace trace):
        """For benchmarks: stamp the stages of every order."""
        self.trace = trace

    def count(self, Counter sent, Counter refused, Histogram tick_to_trade):
        """Where to count what is sent."""
        self.orders_sent = sent
        self.orders_refused = refused
        self.tick_to_trade = tick_to_trade
