"""What a simulated venue writes: reports on their way to the strategy, and the rows of the result.

A report never overtakes the one before it from the same venue: it is due at max(now + latency, when that one is due), as on one connection.
Execution ids rise in the order in which reports reach the strategy, over all venues, as those of a router do.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from libchronicle.backtest.hashing cimport chr_fold, chr_fold_bytes
from libchronicle.backtest.sink cimport chr_lanes_at, chr_lanes_free, chr_lanes_init, chr_lanes_push
from libchronicle.protocol.layout cimport (
    CHR_ACCOUNT_REPORT,
    CHR_EXECUTION_REPORT,
    CHR_POSITION_REPORT,
    CHR_SCHEMA_ID,
    CHR_SCHEMA_VERSION,
    chr_account_report_t,
    chr_sbe_header_t,
)
from libchronicle.sim.latency cimport LatencyModel, latency_model


cdef class Outbox:
    def __cinit__(self, *args, **more):
        chr_rows_init(&self.orders, sizeof(chr_order_row))
        chr_rows_init(&self.fills, sizeof(chr_fill_row))
        chr_rows_init(&self.curve, sizeof(chr_equity_row))
        chr_rows_init(&self.marks, sizeof(chr_mark_row))
        chr_rows_init(&self.rows_by_seq, sizeof(uint64_t))

    def __dealloc__(self):
        chr_lanes_free(&self.reports)
        chr_rows_free(&self.orders)
        chr_rows_free(&self.fills)
        chr_rows_free(&self.curve)
        chr_rows_free(&self.marks)
        chr_rows_free(&self.rows_by_seq)

    # ------------------------------------------------------------ reports

    def open_lanes(self, latencies, uint64_t seed):
        """A way back for each latency model; before the first report."""
        cdef LatencyModel model
        self.told = {}
        self.models = [latency_model(one) for one in latencies]
        for model in self.models:
            model.start(seed)
        if chr_lanes_init(&self.reports, len(self.models), sizeof(chr_report)):
            raise MemoryError("no memory for reports")

    cdef chr_report *report(self, uint32_t lane, uint16_t type_id, uint16_t size, int64_t now) except NULL:
        """A message to the strategy, its body zeroed. Fill it, then `fold` it."""
        cdef int64_t latency = (<LatencyModel>self.models[lane]).response(now), due
        cdef chr_report *report = <chr_report *>chr_lanes_push(&self.reports, lane, now + latency)
        if report == NULL:
            raise MemoryError("no memory for reports")
        due = report.due
        memset(report, 0, sizeof(chr_report))
        report.due = due
        report.seq = self.next_report
        report.type_id = type_id
        report.size = sizeof(chr_sbe_header_t) + size
        report.header.block_length, report.header.template_id = size, type_id
        report.header.schema_id, report.header.version = CHR_SCHEMA_ID, CHR_SCHEMA_VERSION
        self.next_report += 1
        return report

    cdef chr_report *first_report(self) except NULL:
        """The one that chr_lanes_due has found, numbered in the order of delivery."""
        cdef chr_report *report = <chr_report *>chr_lanes_at(&self.reports)
        if self.reports.count == 1:
            return report  # the order in which they were made
        report.seq = self.delivered
        self.delivered += 1
        if report.type_id == CHR_EXECUTION_REPORT:
            self.delivered_execs += 1
            report.body.execution.exec_id = self.delivered_execs
            if report.fill:
                (<chr_fill_row *>chr_rows_at(&self.fills, report.fill - 1)).exec_id = self.delivered_execs
        elif report.type_id == CHR_POSITION_REPORT:
            report.body.position.last_exec_id = self.delivered_execs
        elif report.type_id == CHR_ACCOUNT_REPORT:
            self.no_older(&report.body.account)
        return report

    cdef int no_older(self, chr_account_report_t *body) except -1:
        """A balance that was overtaken by a later one of the same currency, told by way of another venue, is that one."""
        cdef bytes currency = (<char *>body.currency)[:sizeof(body.currency)]
        told = self.told.get(currency)
        if told is not None and told[0] > body.ts:
            body.ts, body.balance, body.available = told
        else:
            self.told[currency] = (body.ts, body.balance, body.available)
        return 0

    cdef int fold(self, const chr_report *report) noexcept:
        """Into the hash of the run."""
        self.hash = chr_fold_bytes(
            chr_fold(self.hash, report.due, report.type_id, report.seq), <const uint8_t *>&report.body,
            report.size - sizeof(chr_sbe_header_t),
        )
        return 0

    # ------------------------------------------------------------ rows

    cdef chr_order_row *order_row(self, uint64_t seq) except NULL:
        """The row of a new order, which is request `seq`."""
        cdef chr_order_row *row = <chr_order_row *>chr_rows_add(&self.orders)
        while row != NULL and self.rows_by_seq.count <= seq:
            if chr_rows_add(&self.rows_by_seq) == NULL:
                row = NULL
        if row == NULL:
            raise MemoryError("no memory for orders")
        (<uint64_t *>chr_rows_at(&self.rows_by_seq, seq))[0] = self.orders.count
        return row

    cdef int64_t row_of(self, uint64_t seq) noexcept:
        """Row of the order that request `seq` was, or -1."""
        if seq >= self.rows_by_seq.count:
            return -1
        return <int64_t>(<uint64_t *>chr_rows_at(&self.rows_by_seq, seq))[0] - 1

    cdef chr_fill_row *fill_row(self) except NULL:
        cdef chr_fill_row *row = <chr_fill_row *>chr_rows_add(&self.fills)
        if row == NULL:
            raise MemoryError("no memory for fills")
        return row

    cdef chr_equity_row *equity_row(self) except NULL:
        cdef chr_equity_row *row = <chr_equity_row *>chr_rows_add(&self.curve)
        if row == NULL:
            raise MemoryError("no memory for the equity curve")
        return row

    cdef chr_mark_row *mark_row(self) except NULL:
        cdef chr_mark_row *row = <chr_mark_row *>chr_rows_add(&self.marks)
        if row == NULL:
            raise MemoryError("no memory for the equity curve")
        return row

    def table(self, str name):
        """The rows of `orders`, `fills`, `equity` or `marks` as [bytes of one row, chunk, chunk, ...]."""
        cdef chr_rows *rows = &self.marks
        if name != "marks":
            rows = &self.orders if name == "orders" else &self.fills if name == "fills" else &self.curve
        cdef uint64_t first = 0, count
        found = [rows.size]
        while first < rows.count:
            count = min(<uint64_t>CHR_ROWS_CHUNK, rows.count - first)
            found.append((<const char *>chr_rows_at(rows, first))[: count * rows.size])
            first += count
        return found
