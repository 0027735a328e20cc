"""The matcher and the account of a backtest's venue: what happens in the one is booked in the other, told and written down.

    market record, after the strategy's book took it -> chr_sim_record
    events of the matcher -> account, rows of the result, reports

Rules
  - The key of an order is its row in `orders` + 1. Nothing in Python is made per order, fill or report.
  - A fill is booked in the account before the matcher believes it (till.h).
  - An account on margin is valued at the middle of the book after each record, before an order is checked and before its balance is told.
    Once its equity is at or below the maintenance margin the venue cancels everything and closes its positions
    at the touch: the strategy hears CANCELLED reports, a RiskEvent and its positions.
  - Execution reports of a step come first, then the positions they changed, as the router sends them.
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

from libchronicle.backtest.listing cimport Listing
from libchronicle.backtest.outbox cimport chr_equity_row, chr_fill_row, chr_mark_row, chr_order_row, chr_report, chr_rows_at
from libchronicle.book.l2 cimport CHR_ASK, CHR_BID, chr_l2, chr_l2_best
from libchronicle.native.hot cimport chr_frame
from libchronicle.portfolio.account cimport chr_account_free, chr_account_mark, chr_account_opened, chr_account_slot, chr_currency
from libchronicle.portfolio.position cimport chr_i128, chr_notional, chr_price_of, overflow
from libchronicle.protocol.layout cimport (
    CHR_ACCOUNT_REPORT,
    CHR_EXECUTION_REPORT,
    CHR_EXEC_TYPE_ACK,
    CHR_EXEC_TYPE_CANCELLED,
    CHR_EXEC_TYPE_CANCEL_REJECT,
    CHR_EXEC_TYPE_EXPIRED,
    CHR_EXEC_TYPE_FILL,
    CHR_EXEC_TYPE_PARTIAL_FILL,
    CHR_EXEC_TYPE_REJECT,
    CHR_EXEC_TYPE_REPLACE_REJECT,
    CHR_LIQUIDITY_TAKER,
    CHR_ORDER_TYPE_STOP_MARKET,
    CHR_POSITION_REPORT,
    CHR_REJECT_CODE_LIQUIDATION,
    CHR_RISK_EVENT,
    CHR_SIDE_BUY,
    CHR_SIDE_SELL,
    chr_account_report_t,
    chr_execution_report_t,
    chr_level_t,
    chr_position_report_t,
    chr_risk_event_t,
)
from libchronicle.sim.matcher cimport (
    CHR_SIM_OPEN,
    CHR_SIM_PARTIAL,
    CHR_SIM_CANCELLED,
    CHR_SIM_EXPIRED,
    CHR_SIM_FILLED,
    CHR_SIM_REJECTED,
    chr_sim_cancel_all,
    chr_sim_event,
    chr_sim_expire,
    chr_sim_record,
    chr_sim_reset,
    chr_sim_set_position,
)
from libchronicle.sim.queues cimport QueueModel
from libchronicle.strategy.bookview cimport Book
from libchronicle.strategy.instrument cimport Instrument

from libchronicle.errors import InvalidArgument
from libchronicle.protocol import RejectCode

cdef enum:
    MONEY_EXPONENT = -8
    RULE_LIQUIDATED = 255
    WHOLE_VENUE = -1


cdef uint8_t STATE_AFTER[16]
memset(STATE_AFTER, 0, sizeof(STATE_AFTER))
STATE_AFTER[CHR_EXEC_TYPE_ACK] = CHR_SIM_OPEN
STATE_AFTER[CHR_EXEC_TYPE_REJECT] = CHR_SIM_REJECTED
STATE_AFTER[CHR_EXEC_TYPE_PARTIAL_FILL] = CHR_SIM_PARTIAL
STATE_AFTER[CHR_EXEC_TYPE_FILL] = CHR_SIM_FILLED
STATE_AFTER[CHR_EXEC_TYPE_CANCELLED] = CHR_SIM_CANCELLED
STATE_AFTER[CHR_EXEC_TYPE_EXPIRED] = CHR_SIM_EXPIRED


cdef class Clearing(Listing):
    """Of one run, see Listing. `sample_ns`: interval of the equity curve."""

    def __cinit__(self, *args, uint64_t queue_id=1, uint32_t epoch=1, bint cancels_on_trip=False, int64_t sample_ns=1_000_000_000, **more):
        self.sim.book_fill = chr_till_fill
        self.sim.book_context = &self.till
        self.cancels_on_trip = cancels_on_trip
        self.till.account = &self.account.a
        self.queue_id, self.epoch = queue_id, epoch
        self.sample_ns = sample_ns
        self.next_sample_ns = INT64_MAX
        self.begin_ns = INT64_MIN
        self.next_funding_ns = INT64_MAX

    def __dealloc__(self):
        free(self.till.paid)
        free(self.moved)

    def define(self, Instrument instrument not None, definition, Book seen=None):
        """See Listing."""
        cdef uint32_t known = self.sim.slots_count
        slot = Listing.define(self, instrument, definition, seen)
        if self.sim.slots_count > known:
            moved = <chr_move *>realloc(self.moved, self.sim.slots_count * sizeof(chr_move))
            if moved == NULL:
                raise MemoryError("no memory for an instrument")
            self.moved = moved
            if slot == 0 and self.begin_ns != INT64_MIN:
                self.sample(self.begin_ns)
        return slot

    # ------------------------------------------------------------ the market

    cdef int record(self, uint32_t slot, const chr_frame *f) except -1:
        """A market record that the instrument's book has taken."""
        cdef int rc
        self.till.now = self.markets[slot].heard_ns = f.ts_ns
        rc = chr_sim_record(&self.sim, slot, f.type_id, f.payload, f.size, f.seq, f.ts_ns)
        if rc < 0 or self.sim.count or self.asks_python:
            self.settle(rc, f.ts_ns)
        if self.account.a.slots[slot].margined and self.account.a.slots[slot].position.qty:
            return self.mark(slot, f.ts_ns)
        return 0

    cdef int lose(self, uint32_t slot) except -1:
        """The instrument's book is not right any more: what was displayed says nothing now."""
        return chr_sim_reset(&self.sim, slot)

    cdef int expire(self, int64_t now) except -1:
        """Orders whose time has come."""
        self.till.now = now
        return self.settle(chr_sim_expire(&self.sim, now), now)

    cdef int mark(self, uint32_t slot, int64_t now) except -1:
        """Value a position at the middle of its book; the venue may take over."""
        return self.liquidate(slot, now) if self.value(slot) == 1 else 0

    cdef int value(self, uint32_t slot) except -1:
        """Value a position at the middle of its book; 1 = its account is at or below the maintenance margin."""
        cdef chr_level_t bid, ask
        cdef const chr_l2 *book = self.sim.slots[slot].book
        if not (book.valid and chr_l2_best(book, CHR_BID, &bid) and chr_l2_best(book, CHR_ASK, &ask)):
            return 0
        cdef int state = chr_account_mark(&self.account.a, slot, bid.price + (ask.price - bid.price) // 2)
        return overflow(state) if state < 0 else state

    cdef int liquidate(self, uint32_t slot, int64_t now) except -1:
        """Everything settled in the slot's currency is cancelled and closed at the touch."""
        cdef uint32_t at, settled_in = self.account.a.slots[slot].settle
        cdef chr_account_slot *s
        cdef chr_level_t level
        cdef int64_t fee, price, qty
        cdef chr_report *report
        cdef chr_fill_row *fill
        self.liquidations += 1
        self.settle(chr_sim_cancel_all(&self.sim, 0, WHOLE_VENUE, 0, CHR_REJECT_CODE_LIQUIDATION, now), now)
        for at in range(self.sim.slots_count):
            s = &self.account.a.slots[at]
            if s.settle != settled_in or not s.margined or s.position.qty == 0:
                continue
            qty = s.position.qty
            price = s.mark
            if chr_l2_best(self.sim.slots[at].book, CHR_BID if qty > 0 else CHR_ASK, &level):
                price = level.price
            self.account.liquidate(at, price, now, &fee)
            if chr_sim_set_position(&self.sim, at, 0, 0):
                raise MemoryError("no memory for a position")
            fill = self.fill_row()
            fill.ts_ns, fill.instrument, fill.rule = now, at, RULE_LIQUIDATED
            fill.side = CHR_SIDE_SELL if qty > 0 else CHR_SIDE_BUY
            fill.price, fill.qty, fill.fee = price, abs(qty), fee
            fill.liquidity, fill.realized = CHR_LIQUIDITY_TAKER, s.position.realized
            report = self.report(self.markets[at].lane, CHR_RISK_EVENT, sizeof(chr_risk_event_t), now)
            report.body.risk.instrument_id, report.body.risk.ts = self.sim.slots[at].id, now
            report.body.risk.code, report.body.risk.actual_value = CHR_REJECT_CODE_LIQUIDATION, qty
            memcpy(report.body.risk.text, b"liquidated: equity fell to the maintenance margin", 49)
            self.fold(report)
            self.move(at, qty)
        self.told_positions(now)
        return self.sample(now)

    # ------------------------------------------------------------ funding

    def schedule_funding(self, payments):
        """(time, instrument, rate) in order of time; those of instruments that are not there are left out."""
        self.fundings = iter(payments)
        self.look_at_funding()

    def look_at_funding(self):
        self.funding = next(self.fundings, None)
        self.next_funding_ns = INT64_MAX if self.funding is None else self.funding[0]

    cdef int fund(self, int64_t now) except -1:
        """The payment that is due: the position's value at the middle of the book, or at the last one known."""
        cdef str name = self.funding[1]
        cdef int64_t rate = self.funding[2], qty
        cdef uint32_t slot
        self.look_at_funding()
        if name not in self.names:
            return 0
        slot = self.names.index(name)
        if self.account.a.slots[slot].terms.spot:
            self.misfit = InvalidArgument(where="funding", field=name, value="spot", allowed="rates of contracts alone")
            raise self.misfit
        qty = self.account.a.slots[slot].position.qty
        if qty == 0:
            return 0
        self.mark(slot, now)
        if self.account.a.slots[slot].position.qty == qty:  # else the venue has closed it
            self.account.fund(slot, rate, self.account.a.slots[slot].mark)
            self.move(slot, qty)
            self.told_positions(now)
            self.mark(slot, now)
        return self.sample(now)

    # ------------------------------------------------------------ events

    cdef int settle(self, int rc, int64_t now) except -1:
        """Book and tell what the matcher did."""
        cdef uint32_t i
        if self.asks_python:
            for model in self.queue_models:
                (<QueueModel>model).check()
        if rc < 0:
            raise MemoryError("no memory for orders")
        for i in range(self.sim.count):
            self.tell(&self.sim.events[i], now)
        self.sim.count = 0
        self.till.count = self.till.told = 0
        if self.moved_count:
            self.told_positions(now)
            return self.sample(now)
        return 0

    cdef int tell(self, const chr_sim_event *e, int64_t now) except -1:
        cdef chr_order_row *row = <chr_order_row *>chr_rows_at(&self.orders, e.key - 1)
        cdef chr_report *report = self.report(self.markets[e.slot].lane, CHR_EXECUTION_REPORT, sizeof(chr_execution_report_t), now)
        cdef chr_execution_report_t *body = &report.body.execution
        cdef bint ended
        self.next_exec_id += 1
        if e.kind == CHR_EXEC_TYPE_ACK:
            row.venue_order_id = self.sim.orders[e.order].venue_order_id
        if e.code:
            self.rejects[e.code & 63] += 1
        row.cum_qty = e.cum
        if e.kind != CHR_EXEC_TYPE_REPLACE_REJECT and e.kind != CHR_EXEC_TYPE_CANCEL_REJECT:
            row.price, row.qty = e.price, e.qty
            if STATE_AFTER[e.kind & 15]:
                row.state = STATE_AFTER[e.kind & 15]
            ended = row.state > CHR_SIM_PARTIAL
            if ended:
                row.done_ns = now
                row.reject_code = e.code
            if e.kind != CHR_EXEC_TYPE_REJECT:
                self.hold(e.slot, row, 0 if ended else e.leaves, row.stop_price if row.type == CHR_ORDER_TYPE_STOP_MARKET else e.price)
        self.describe(body, row)
        body.exec_id, body.exec_type, body.reject_code = self.next_exec_id, e.kind, e.code
        body.trade_id, body.last_price, body.last_qty = e.trade_id, e.last_price, e.last_qty
        body.price, body.qty, body.cum_qty, body.leaves_qty = e.price, e.qty, e.cum, e.leaves
        body.venue_ts, body.fee_exponent, body.liquidity = now, MONEY_EXPONENT, e.liquidity
        body.request_seq = e.request - 1 if e.request else row.seq
        if e.last_qty:
            body.fee = self.till.paid[self.till.told].fee
            currency = <bytes>self.currencies[e.slot]
            memcpy(body.fee_currency, <const char *>currency, len(currency))
            self.filled(e, row, &self.till.paid[self.till.told], now)
            report.fill = self.fills.count
            self.till.told += 1
        self.fold(report)
        return 0

    cdef int filled(self, const chr_sim_event *e, chr_order_row *row, const chr_paid *paid, int64_t now) except -1:
        cdef chr_fill_row *fill = self.fill_row()
        cdef const chr_l2 *book = self.sim.slots[e.slot].book
        cdef chr_level_t level
        fill.ts_ns, fill.order_id, fill.trade_id, fill.exec_id = now, row.id, e.trade_id, self.next_exec_id
        fill.price, fill.qty, fill.cum_qty, fill.leaves_qty, fill.fee = e.last_price, e.last_qty, e.cum, e.leaves, paid.fee
        fill.position, fill.realized = paid.position, paid.realized
        fill.ahead, fill.level_price, fill.level_qty, fill.cause_seq = e.ahead, e.level_price, e.level_qty, e.cause_seq
        if chr_l2_best(book, CHR_BID, &level):
            fill.bid = level.price
        if chr_l2_best(book, CHR_ASK, &level):
            fill.ask = level.price
        fill.instrument, fill.side, fill.liquidity, fill.rule = e.slot, row.side, e.liquidity, e.rule
        self.move(e.slot, paid.position - (e.last_qty if row.side == CHR_SIDE_BUY else -e.last_qty))
        return 0

    cdef int hold(self, uint32_t slot, chr_order_row *row, int64_t leaves, int64_t price) except -1:
        """The account holds back what the order's leaves may cost."""
        if price == 0:
            leaves = 0  # a market order holds nothing back: it does not stay
        if row.open_qty and (leaves == 0 or price != row.open_price):
            chr_account_opened(&self.account.a, slot, row.side, -row.open_qty, row.open_price)
            row.open_qty = 0
        if leaves != row.open_qty:
            chr_account_opened(&self.account.a, slot, row.side, leaves - row.open_qty, price)
        row.open_qty, row.open_price = leaves, price
        return 0

    cdef int describe(self, chr_execution_report_t *body, const chr_order_row *row) noexcept:
        """What a report says of its order."""
        body.order_queue_id, body.order_epoch, body.order_seq = self.queue_id, self.epoch, row.seq
        if row.instrument < self.sim.slots_count:
            body.instrument_id = self.sim.slots[row.instrument].id
        body.venue_order_id, body.side = row.venue_order_id, row.side
        body.price, body.qty, body.cum_qty, body.leaves_qty = row.price, row.qty, row.cum_qty, row.qty - row.cum_qty
        body.order_ts, body.cause_ts = row.sent_ns, row.cause_ts
        return 0

    # ------------------------------------------------------------ reports

    cdef int move(self, uint32_t slot, int64_t before) noexcept:
        """A position of this step, and what it was."""
        cdef uint32_t i
        for i in range(self.moved_count):
            if self.moved[i].slot == slot:
                return 0
        self.moved[self.moved_count].slot, self.moved[self.moved_count].before = slot, before
        self.moved_count += 1
        return 0

    cdef int trip(self, uint32_t slot, int code, int64_t now) except -1:
        """A breaker has tripped: the strategy is told, what it sends is refused from now on, its open orders go where so configured."""
        cdef chr_report *report = self.report(self.markets[slot].lane, CHR_RISK_EVENT, sizeof(chr_risk_event_t), now)
        breach = self.gate.breakers.tripped(now)
        report.body.risk.instrument_id, report.body.risk.ts, report.body.risk.code = self.sim.slots[slot].id, now, code
        if breach is not None:
            report.body.risk.limit_value, report.body.risk.actual_value = breach.limit, breach.actual
        self.trips += 1
        self.fold(report)
        if self.cancels_on_trip:
            return self.settle(chr_sim_cancel_all(&self.sim, 0, WHOLE_VENUE, 0, code, now), now)
        return 0

    cdef int told_balance(self, uint32_t place, uint32_t lane, int64_t now) except -1:
        cdef const chr_currency *c = &self.account.a.currencies[place]
        cdef chr_report *report = self.report(lane, CHR_ACCOUNT_REPORT, sizeof(chr_account_report_t), now)
        cdef chr_account_report_t *body = &report.body.account
        cdef chr_i128 available = chr_account_free(c)
        cdef bytes name = (<str>self.account.currencies[place]).encode()[:sizeof(body.currency)]
        body.ts, body.balance, body.exponent = now, c.balance, c.exponent
        body.available = INT64_MAX if available > INT64_MAX else INT64_MIN if available < INT64_MIN else <int64_t>available
        memcpy(body.account, <const char *>self.account_name, len(self.account_name))
        memcpy(body.currency, <const char *>name, len(name))
        return self.fold(report)

    cdef int told_positions(self, int64_t now) except -1:
        cdef chr_report *report
        cdef chr_position_report_t *body
        cdef chr_account_slot *s
        cdef uint32_t i, count, lane
        cdef int code
        for i in range(self.moved_count):
            s = &self.account.a.slots[self.moved[i].slot]
            if s.margined:
                self.value(self.moved[i].slot)
            lane = self.markets[self.moved[i].slot].lane
            self.told_balance(s.settle, lane, now)
            if s.terms.spot and s.base != s.settle:
                self.told_balance(s.base, lane, now)
            report = self.report(lane, CHR_POSITION_REPORT, sizeof(chr_position_report_t), now)
            body = &report.body.position
            body.instrument_id, body.ts, body.qty = self.sim.slots[self.moved[i].slot].id, now, s.position.qty
            overflow(chr_price_of(&s.terms, s.position.cost, s.position.qty, &body.avg_price))
            body.realized_pnl, body.fees, body.open_cost = s.position.realized, s.position.fees, s.position.cost
            body.last_exec_id, body.pnl_exponent = self.next_exec_id, MONEY_EXPONENT
            memcpy(body.account, <const char *>self.account_name, len(self.account_name))
            self.fold(report)
        count, self.moved_count = self.moved_count, 0  # what a trip does may move positions of its own
        for i in range(count):
            code = self.gate.filled(self.moved[i].slot, self.moved[i].before, now)
            if code:
                self.trip(self.moved[i].slot, code, now)
        return 0

    # ------------------------------------------------------------ equity

    cdef int sample(self, int64_t now) except -1:
        """A row of the equity curve, every instrument at the middle of its book, and a row of marks for each."""
        cdef uint32_t slot
        cdef chr_level_t bid, ask
        cdef chr_account_slot *s
        cdef int64_t value
        cdef chr_equity_row *row
        cdef int code
        cdef chr_mark_row *mark
        if self.account.a.count == 0:
            return 0
        row = self.equity_row()
        row.ts_ns = now
        for slot in range(self.sim.slots_count):
            s = &self.account.a.slots[slot]
            mark = self.mark_row()
            mark.ts_ns, mark.instrument, mark.position = now, slot, s.position.qty
            if chr_l2_best(self.sim.slots[slot].book, CHR_BID, &bid) and chr_l2_best(self.sim.slots[slot].book, CHR_ASK, &ask):
                mark.bid, mark.ask = bid.price, ask.price
                overflow(min(0, chr_account_mark(&self.account.a, slot, bid.price + (ask.price - bid.price) // 2)))
            row.realized += s.position.realized
            row.fees += s.position.fees
            row.funding += s.funding
            if s.mark and s.position.qty:
                overflow(chr_notional(&s.terms, s.mark, s.position.qty, &value))
                row.exposure += value
        row.equity = self.account.equity_now()
        row.cash = self.account.a.currencies[0].balance // self.account.a.currencies[0].scale
        code = self.gate.marked(now)
        return self.trip(0, code, now) if code else 0

    cdef int skip_samples(self, int64_t until) noexcept:
        """The next sample is on the first beat after `until`."""
        if self.next_sample_ns < until:
            self.next_sample_ns = until - until % self.sample_ns + self.sample_ns
        return 0

    # ------------------------------------------------------------ for the runner

    def begin_curve(self, int64_t now):
        """The first sample, which waits for the first instrument; the next on the grid of `sample_ns`."""
        self.begin_ns = now
        self.sample(now)
        self.next_sample_ns = now - now % self.sample_ns + self.sample_ns if self.sample_ns > 0 else INT64_MAX

    def end_curve(self, int64_t now):
        self.sample(now)

    def counts(self):
        """Orders, fills and rejections by code."""
        rejects = {code.name: self.rejects[<int>code] for code in RejectCode if self.rejects[<int>code]}
        return self.orders.count, self.fills.count, rejects

    def instruments(self):
        """Names by slot."""
        return list(self.names)
