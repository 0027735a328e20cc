"""All pre-trade risk of one account in one object: limits by instrument, rate, breakers. No Python object per order.

Positions, open orders and marks are the account's own; the caller says what the market is and counts open orders.
"""

from libc.stdlib cimport free, realloc
from libc.string cimport memset

from libchronicle.portfolio.account cimport chr_account_slot
from libchronicle.portfolio.position cimport chr_notional
from libchronicle.risk.breakers cimport chr_round_trip
from libchronicle.risk.checks cimport chr_risk_check, chr_situation, limits_into

from libchronicle.protocol import RejectCode
from libchronicle.risk.limits import RiskLimits, resolve
from libchronicle.risk.situation import Breach

cdef int64_t LARGEST = 0x7FFFFFFFFFFFFFFF


cdef class RiskGate:
    """`limits`: as configured (ConfiguredLimits), None = none. `allowed`: patterns of venue:SYMBOL, None = all of them."""

    def __init__(self, Account account not None, limits=None, *, allowed=None, Breakers breakers=None):
        self.account = account
        self._limits, self._allowed = limits, allowed
        rate = None if limits is None else limits.max_orders_per_s
        self.bucket = TokenBucket(rate) if rate else None
        self.breakers = Breakers() if breakers is None else breakers
        self._watches = self.breakers.is_set
        for slot in range(len(account.terms)):
            self.add(slot)

    def __dealloc__(self):
        free(self.limits)
        free(self.bases)

    cdef int add(self, int slot) except -1:
        """The account has a new slot, or one whose terms have changed."""
        cdef int room = max(slot + 1, self.count)
        limits = <chr_limits *> realloc(self.limits, room * sizeof(chr_limits))
        if limits == NULL:
            raise MemoryError
        self.limits = limits
        bases = <int64_t *> realloc(self.bases, room * sizeof(int64_t))
        if bases == NULL:
            raise MemoryError
        self.bases = bases
        terms = self.account.terms[slot]
        chosen = RiskLimits() if self._limits is None else resolve(self._limits, terms, self._allowed)
        limits_into(chosen, &self.limits[slot])
        if slot >= self.count:
            self.bases[slot] = 0
            self.count = slot + 1
        return 0

    def define(self, int slot):
        """As `add`, from Python."""
        self.add(slot)

    cdef int64_t exposure(self, int slot) noexcept:
        """Money of all other instruments settled in the slot's currency: the larger side of position and open orders, at the marks."""
        cdef int64_t at, total = 0, value, worst
        cdef chr_account_slot *s
        cdef chr_account_slot *own = &self.account.a.slots[slot]
        for at in range(self.account.a.count):
            s = &self.account.a.slots[at]
            if at == slot or s.settle != own.settle or not s.mark:
                continue
            worst = max(s.position.qty + s.open_qty[0], s.open_qty[1] - s.position.qty)
            if chr_notional(&s.terms, s.mark, worst, &value):
                return LARGEST
            total = total + value if total < LARGEST - value else LARGEST
        return total

    cdef uint16_t judge(
        self, int slot, const chr_proposal *o, int64_t best_bid, int64_t best_ask, int64_t market_ts, int64_t now
    ) noexcept:
        cdef chr_situation s
        cdef chr_account_slot *held = &self.account.a.slots[slot]
        memset(&s, 0, sizeof(s))
        s.now_ns = now
        s.killed = self.killed
        s.terms = &held.terms
        s.limits = &self.limits[slot]
        s.has_market = best_bid != 0 or best_ask != 0
        s.best_bid, s.best_ask, s.market_ts = best_bid, best_ask, market_ts
        s.reference = best_bid + (best_ask - best_bid) // 2 if best_bid and best_ask else best_bid or best_ask
        s.position = held.position.qty
        s.open_buy, s.open_sell = held.open_qty[0], held.open_qty[1]
        s.open_orders = self.open_orders
        if s.limits.exposure >= 0:
            s.exposure = self.exposure(slot)
        if self._watches and self.breakers.at(now):
            s.tripped = self.breakers.b.tripped
            s.tripped_limit, s.tripped_actual = self.breakers.b.limit, self.breakers.b.actual
        if self.bucket is not None:
            s.bucket = &self.bucket.b
        return chr_risk_check(o, &s, &self.breach)

    cdef int filled(self, int slot, int64_t before, int64_t now) except -1:
        cdef chr_account_slot *s = &self.account.a.slots[slot]
        cdef int64_t result = 0
        cdef int code = 0
        if not self._watches:
            return 0
        if chr_round_trip(before, s.position.qty, s.position.realized - s.position.fees, &self.bases[slot], &result):
            code = self.breakers.ended(result, now)
        return code or self.marked(now)

    cdef int marked(self, int64_t now) except -1:
        return self.breakers.watch(self.account.equity_now(), now) if self._watches else 0

    # ------------------------------------------------------------ Python's face

    def check(self, int slot, proposal, *, int64_t best_bid, int64_t best_ask, int64_t now_ns, int64_t market_ts=0):
        """The first Breach of a Proposal, or None."""
        cdef chr_proposal o
        o.is_buy, o.type, o.reduce_only = bool(proposal.is_buy), proposal.order_type, bool(proposal.reduce_only)
        o.qty, o.price, o.valid_until_ns = proposal.qty, proposal.price, proposal.valid_until_ns
        o.replaces_leaves, o.is_replace = proposal.replaces_leaves, bool(proposal.is_replace)
        if not self.judge(slot, &o, best_bid, best_ask, market_ts, now_ns):
            return None
        return Breach(RejectCode(self.breach.code), self.breach.limit, self.breach.actual)

    def after_fill(self, int slot, int64_t before, int64_t now_ns):
        """The Breach of a breaker that a fill has tripped, or None; `before`: the position before it."""
        return self.breakers.tripped(now_ns) if self.filled(slot, before, now_ns) else None

    def after_mark(self, int64_t now_ns):
        """The Breach of a breaker that a move of the marks has tripped, or None."""
        return self.breakers.tripped(now_ns) if self.marked(now_ns) else None
