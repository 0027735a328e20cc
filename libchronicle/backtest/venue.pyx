"""The venue of a backtest: requests in, reports out.

    request due -> known instrument? -> RiskGate: in time, tick, lot, filters, limits -> money (Account.check) -> chr_sim_new / cancel / replace -> clearing

What never reaches the matcher is refused with a code, as the router does it.
"""

from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from libchronicle.backtest.outbox cimport chr_order_row, chr_report, chr_rows_at
from libchronicle.backtest.sink cimport chr_request
from libchronicle.book.l2 cimport CHR_ASK, CHR_BID, chr_l2, chr_l2_best
from libchronicle.protocol.layout cimport (
    CHR_CANCEL_ALL,
    CHR_CANCEL_ORDER,
    CHR_EXECUTION_REPORT,
    CHR_EXEC_TYPE_CANCEL_REJECT,
    CHR_EXEC_TYPE_REJECT,
    CHR_EXEC_TYPE_REPLACE_REJECT,
    CHR_NEW_ORDER,
    CHR_ORDER_FLAGS_POST_ONLY,
    CHR_ORDER_FLAGS_REDUCE_ONLY,
    CHR_ORDER_TYPE_STOP_MARKET,
    CHR_REJECT_CODE_STALE,
    CHR_REJECT_CODE_UNKNOWN_INSTRUMENT,
    CHR_REJECT_CODE_UNKNOWN_ORDER,
    CHR_REPLACE_ORDER,
    CHR_SIDE_BUY,
    chr_cancel_order_t,
    chr_execution_report_t,
    chr_level_t,
    chr_new_order_t,
    chr_replace_order_t,
)
from libchronicle.risk.checks cimport chr_proposal
from libchronicle.sim.matcher cimport (
    CHR_SIM_REJECTED,
    chr_sim_cancel,
    chr_sim_cancel_all,
    chr_sim_new,
    chr_sim_order_at,
    chr_sim_replace,
)
from libchronicle.strategy.tracker cimport order_id

cdef enum:
    MONEY_EXPONENT = -8
    WHOLE_VENUE = -1

cdef class SimVenue(Clearing):
    """A Clearing that takes requests."""

    cdef int64_t named(self, uint32_t epoch, uint64_t seq) noexcept:
        """Row of the order that a request names, or -1 when there is none open."""
        cdef int64_t row = self.row_of(seq) if epoch == self.epoch else -1
        return row if row >= 0 and chr_sim_order_at(&self.sim, row + 1) else -1

    cdef int request(self, const chr_request *r, uint32_t lane, int64_t now) except -1:
        """One request has arrived."""
        cdef int slot
        self.asked = lane
        self.till.now = now
        if r.type_id == CHR_NEW_ORDER:
            return self.new_order(r, now)
        if r.type_id == CHR_CANCEL_ORDER:
            return self.cancel(r, now)
        if r.type_id == CHR_REPLACE_ORDER:
            return self.replace(r, now)
        if r.type_id == CHR_CANCEL_ALL:
            slot = WHOLE_VENUE
            if r.body.cancel_all.instrument_id:
                slot = self.slot_of(r.body.cancel_all.instrument_id)
                if slot < 0:
                    return 0
            elif self.reports.count > 1:
                for slot in range(self.sim.slots_count):
                    if self.markets[slot].lane == lane:
                        self.settle(chr_sim_cancel_all(&self.sim, 0, slot, r.seq + 1, 0, now), now)
                return 0
            return self.settle(chr_sim_cancel_all(&self.sim, 0, slot, r.seq + 1, 0, now), now)
        return 0

    cdef int new_order(self, const chr_request *r, int64_t now) except -1:
        cdef const chr_new_order_t *order = &r.body.new
        cdef chr_order_row *row = self.order_row(r.seq)
        cdef uint64_t key = self.orders.count
        cdef chr_proposal asked
        cdef int slot, code
        row.id, row.seq = order_id(self.epoch, r.seq), r.seq
        row.sent_ns, row.arrived_ns, row.cause_ts = r.sent_ns, now, order.cause_ts
        row.price, row.stop_price, row.qty = order.price, order.stop_price, order.qty
        row.side, row.type, row.tif = order.side, order.order_type, order.time_in_force
        row.post_only = (order.flags & CHR_ORDER_FLAGS_POST_ONLY) != 0
        row.reduce_only = (order.flags & CHR_ORDER_FLAGS_REDUCE_ONLY) != 0
        slot = self.slot_of(order.instrument_id)
        if slot < 0:
            return self.refuse(r, row, CHR_EXEC_TYPE_REJECT, CHR_REJECT_CODE_UNKNOWN_INSTRUMENT, now)
        row.instrument = slot
        asked.qty, asked.price, asked.valid_until_ns = order.qty, order.price, order.valid_until_ns or INT64_MAX
        asked.is_buy, asked.type, asked.reduce_only = order.side == CHR_SIDE_BUY, order.order_type, row.reduce_only
        asked.replaces_leaves = asked.is_replace = 0
        if order.order_type == CHR_ORDER_TYPE_STOP_MARKET:
            asked.price = order.stop_price
        code = self.judge(slot, order.side, &asked, now)
        if code:
            return self.refuse(r, row, CHR_EXEC_TYPE_REJECT, code, now)
        return self.settle(chr_sim_new(&self.sim, slot, 0, order, key, r.seq + 1, now), now)

    cdef int cancel(self, const chr_request *r, int64_t now) except -1:
        cdef const chr_cancel_order_t *asked = &r.body.cancel
        cdef int64_t row = self.named(asked.order_epoch, asked.order_seq)
        if row < 0:
            return self.refuse(r, NULL, CHR_EXEC_TYPE_CANCEL_REJECT, CHR_REJECT_CODE_UNKNOWN_ORDER, now)
        if 0 < asked.valid_until_ns < now:
            return self.refuse(r, <chr_order_row *>chr_rows_at(&self.orders, row), CHR_EXEC_TYPE_CANCEL_REJECT, CHR_REJECT_CODE_STALE, now)
        return self.settle(chr_sim_cancel(&self.sim, row + 1, 0, r.seq + 1, now), now)

    cdef int replace(self, const chr_request *r, int64_t now) except -1:
        cdef const chr_replace_order_t *asked = &r.body.replace
        cdef int64_t place = self.named(asked.order_epoch, asked.order_seq)
        cdef chr_order_row *row
        cdef chr_proposal wish
        cdef int64_t held_qty, held_price
        cdef int code
        if place < 0:
            return self.refuse(r, NULL, CHR_EXEC_TYPE_REPLACE_REJECT, CHR_REJECT_CODE_UNKNOWN_ORDER, now)
        row = <chr_order_row *>chr_rows_at(&self.orders, place)
        if 0 < asked.valid_until_ns < now:
            return self.refuse(r, row, CHR_EXEC_TYPE_REPLACE_REJECT, CHR_REJECT_CODE_STALE, now)
        if asked.qty > row.cum_qty:
            wish.qty, wish.price, wish.valid_until_ns = asked.qty - row.cum_qty, asked.price, INT64_MAX
            wish.is_buy, wish.type, wish.reduce_only = row.side == CHR_SIDE_BUY, row.type, row.reduce_only
            wish.replaces_leaves, wish.is_replace = row.qty - row.cum_qty, 1
            if row.type == CHR_ORDER_TYPE_STOP_MARKET:
                wish.price = row.stop_price  # it has no other price than that
            held_qty, held_price = row.open_qty, row.open_price
            code = self.gate_code(row.instrument, &wish, now)
            if not code:
                self.hold(row.instrument, row, 0, 0)   # what it holds back now is free for itself
                code = self.money_code(row.instrument, row.side, &wish)
                self.hold(row.instrument, row, held_qty, held_price)
            if code:
                return self.refuse(r, row, CHR_EXEC_TYPE_REPLACE_REJECT, code, now)
        return self.settle(chr_sim_replace(&self.sim, place + 1, 0, asked.price, asked.qty, r.seq + 1, now), now)

    cdef int judge(self, uint32_t slot, uint8_t side, const chr_proposal *asked, int64_t now) except -1:
        """Risk limits, then money: reject code, 0 = it may pass."""
        cdef int code = self.gate_code(slot, asked, now)
        return code if code else self.money_code(slot, side, asked)

    cdef int gate_code(self, uint32_t slot, const chr_proposal *asked, int64_t now) noexcept:
        cdef const chr_l2 *book = self.sim.slots[slot].book
        cdef chr_level_t level
        cdef int64_t bid = level.price if chr_l2_best(book, CHR_BID, &level) else 0
        cdef int64_t ask = level.price if chr_l2_best(book, CHR_ASK, &level) else 0
        self.gate.open_orders = self.sim.open
        return self.gate.judge(slot, asked, bid, ask, self.markets[slot].heard_ns, now)

    cdef int money_code(self, uint32_t slot, uint8_t side, const chr_proposal *asked) except -1:
        if self.account.a.slots[slot].margined:
            self.value(slot)
        cdef const chr_l2 *book = self.sim.slots[slot].book
        cdef chr_level_t level
        cdef int64_t bid = level.price if chr_l2_best(book, CHR_BID, &level) else 0
        cdef int64_t ask = level.price if chr_l2_best(book, CHR_ASK, &level) else 0
        return self.account.check(slot, side, asked.type, asked.price, asked.qty, bid, ask, asked.reduce_only)

    cdef int refuse(self, const chr_request *r, chr_order_row *row, uint8_t kind, uint16_t code, int64_t now) except -1:
        """A request that never reaches the matcher. `row` NULL: of an order that is not open."""
        cdef chr_report *report = self.report(self.asked, CHR_EXECUTION_REPORT, sizeof(chr_execution_report_t), now)
        cdef chr_execution_report_t *body = &report.body.execution
        self.next_exec_id += 1
        self.rejects[code & 63] += 1
        body.order_queue_id, body.order_epoch = self.queue_id, self.epoch
        body.exec_id, body.exec_type, body.reject_code = self.next_exec_id, kind, code
        body.venue_ts, body.request_seq, body.fee_exponent = now, r.seq, MONEY_EXPONENT
        if row == NULL:
            body.order_seq = r.body.cancel.order_seq  # where a replace has it too
        else:
            self.describe(body, row)
            if kind == CHR_EXEC_TYPE_REJECT:
                body.instrument_id, body.leaves_qty = r.body.new.instrument_id, 0
                row.state, row.reject_code, row.done_ns = CHR_SIM_REJECTED, code, now
        self.fold(report)
        return 0
