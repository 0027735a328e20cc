"""What an order costs before it is sent, and a fill after it: native loops over a gate and its account."""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memset

from libchronicle.portfolio.account cimport Account
from libchronicle.protocol.layout cimport CHR_ORDER_TYPE_LIMIT, CHR_SIDE_BUY, CHR_SIDE_SELL
from libchronicle.risk.checks cimport chr_proposal
from libchronicle.risk.gate cimport RiskGate


def judge(RiskGate gate not None, int64_t orders, bint with_account):
    """(refused, a sum that depends on every answer) of `orders` limit orders around 100.00, of both sides."""
    cdef chr_proposal o
    cdef Account account = gate.account
    cdef int64_t i, refused = 0, mixed = 0, now = 1_000_000_000
    cdef int code
    memset(&o, 0, sizeof(o))
    o.type = CHR_ORDER_TYPE_LIMIT
    for i in range(orders):
        o.is_buy = i & 1
        o.qty = 1 + (i * 7) % 2000
        o.price = 10_000 + (i * 13) % 400 - 200
        now += 1000
        code = gate.judge(0, &o, 9_999, 10_001, now - 500, now)
        if code == 0 and with_account:
            code = account.check(0, CHR_SIDE_BUY if o.is_buy else CHR_SIDE_SELL, o.type, o.price, o.qty, 9_999, 10_001, False)
        refused += code != 0
        mixed = mixed * 31 + code
    return refused, mixed & 0x7FFFFFFFFFFFFFFF


def book(RiskGate gate not None, int64_t fills):
    """The equity that `fills` fills of both sides leave, each followed by a mark and a look at the breakers."""
    cdef Account account = gate.account
    cdef int64_t i, fee = 0, before, now = 1_000_000_000
    for i in range(fills):
        before = account.position_of(0)
        now += 1000
        account.fill(
            0, CHR_SIDE_BUY if i & 1 else CHR_SIDE_SELL, 10_000 + (i * 13) % 40 - 20, 1 + i % 9, i & 2, True, now, &fee
        )
        gate.filled(0, before, now)
        account.mark(0, 10_000 + (i * 7) % 40 - 20)
        gate.marked(now)
    return account.equity_now()
