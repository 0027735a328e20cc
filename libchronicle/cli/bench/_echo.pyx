"""What a strategy host is measured against: a native loop that keeps the book and writes an order for every update.

`with_book` False leaves the book out: then it is the bare cost of reading a record and writing another.
"""

from libc.stdint cimport int64_t, uint64_t

from libchronicle.book.l2 cimport L2Book, chr_l2_apply, chr_l2_prefault
from libchronicle.native.binding cimport Publisher, Subscriber, raise_reader, raise_writer
from libchronicle.native.hot cimport chr_commit, chr_frame, chr_next, chr_now_ns, chr_reserve
from libchronicle.protocol.layout cimport (
    CHR_BEST_BID_ASK,
    CHR_BOOK_DELTA,
    CHR_BOOK_SNAPSHOT,
    CHR_HEARTBEAT,
    CHR_NEW_ORDER,
    CHR_ORDER_TYPE_LIMIT,
    CHR_SIDE_BUY,
    CHR_TIME_IN_FORCE_IOC,
    CHR_TRADE,
    chr_new_order_t,
    chr_sbe_header_t,
)
from libchronicle.protocol.sbe cimport chr_instrument_of, chr_put_block
from libchronicle.strategy.trace cimport StopMonitor


def echo(Subscriber reader not None, Publisher writer not None, StopMonitor monitor not None, bint with_book):
    """Until a Heartbeat record comes; how many orders were written."""
    cdef chr_frame f
    cdef int rc
    cdef int64_t n = 0, now
    cdef chr_new_order_t *order
    cdef void *to
    cdef uint64_t queue_id = reader.queue_id
    cdef L2Book book = L2Book(0)
    chr_l2_prefault(book.b)
    while True:
        rc = chr_next(reader.r, &f)
        now = chr_now_ns(&writer.w.clock)
        monitor.look(now, 2 * f.size if rc > 0 else 0)
        if rc == 0:
            continue
        if rc < 0:
            raise_reader(reader)
        if f.type_id == CHR_HEARTBEAT:
            return n
        if with_book and (f.type_id == CHR_BOOK_DELTA or f.type_id == CHR_BOOK_SNAPSHOT):
            chr_l2_apply(book.b, f.type_id, f.payload, f.size)
        if f.type_id != CHR_BEST_BID_ASK and f.type_id != CHR_TRADE and f.type_id != CHR_BOOK_DELTA:
            continue
        to = chr_reserve(writer.w, CHR_NEW_ORDER, sizeof(chr_sbe_header_t) + sizeof(chr_new_order_t))
        if to == NULL:
            raise_writer(writer)
        order = <chr_new_order_t *> chr_put_block(to, CHR_NEW_ORDER)
        order.instrument_id = chr_instrument_of(f.type_id, f.payload, f.size)
        order.price = 1
        order.qty = 1
        order.side = CHR_SIDE_BUY
        order.order_type = CHR_ORDER_TYPE_LIMIT
        order.time_in_force = CHR_TIME_IN_FORCE_IOC
        order.cause_queue_id = queue_id
        order.cause_seq = f.seq
        order.cause_ts = f.ts_ns
        order.cause_epoch = f.epoch
        if chr_commit(writer.w, sizeof(chr_sbe_header_t) + sizeof(chr_new_order_t), -1) < 0:
            raise_writer(writer)
        n += 1
        monitor.resume(chr_now_ns(&writer.w.clock))
