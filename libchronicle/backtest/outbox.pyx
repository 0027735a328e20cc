"""What a simulated venue writes: reports on their way to the strategy, and the rows of the result.

A report never overtakes the one before it: it is due at max(now + latency, when that one is due), as on one connection.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from libchronicle.backtest.hashing cimport chr_fold, chr_fold_bytes
from libchronicle.backtest.sink cimport chr_ring_free, chr_ring_init, chr_ring_push
from libchronicle.protocol.layout cimport CHR_SCHEMA_ID, CHR_SCHEMA_VERSION, chr_sbe_header_t
from libchronicle.sim.latency cimport LatencyModel


cdef class Outbox:
    def __cinit__(self, *args, **more):
        chr_rows_init(&self.orders, sizeof(chr_order_row))
        chr_rows_init(&self.fills, sizeof(chr_fill_row))
        chr_rows_init(&self.curve, sizeof(chr_equity_row))
        chr_rows_init(&self.marks, sizeof(chr_mark_row))
        chr_rows_init(&self.rows_by_seq, sizeof(uint64_t))
        if chr_ring_init(&self.reports, sizeof(chr_report)):
            raise MemoryError("no memory for reports")

    def __dealloc__(self):
        chr_ring_free(&self.reports)
        chr_rows_free(&self.orders)
        chr_rows_free(&self.fills)
        chr_rows_free(&self.curve)
        chr_rows_free(&self.marks)
        chr_rows_free(&self.rows_by_seq)

    # ------------------------------------------------------------ reports

    cdef chr_report *report(self, uint16_t type_id, uint16_t size, int64_t now) except NULL:
        """A message to the strategy, its body zeroed. Fill it, then `fold` it."""
        cdef int64_t latency = self.latency.response(now)
        cdef chr_report *report = <chr_report *>chr_ring_push(&self.reports)
        if report == NULL:
            raise MemoryError("no memory for reports")
        memset(report, 0, sizeof(chr_report))
        report.due = max(self.last_due, now + latency)
        report.seq = self.next_report
        report.type_id = type_id
        report.size = sizeof(chr_sbe_header_t) + size
        report.header.block_length, report.header.template_id = size, type_id
        report.header.schema_id, report.header.version = CHR_SCHEMA_ID, CHR_SCHEMA_VERSION
        self.last_due = report.due
        self.next_report += 1
        return report

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
