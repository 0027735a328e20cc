"""Pre-trade checks: the table and its rules are in checks.h. Pure: the situation is passed in."""

from libc.string cimport memset

from libchronicle.portfolio.position cimport Position, Terms, i64

from libchronicle.protocol import RejectCode
from libchronicle.risk.situation import Breach

MOST_OPEN_ORDERS = CHR_MOST_OPEN_ORDERS
SECOND_NS = 1_000_000_000
LARGEST = (1 << 63) - 1

cdef tuple CODES = tuple(RejectCode(code) if code in RejectCode._value2member_map_ else None for code in range(64))


cdef class TokenBucket:
    """At most `burst` at once and `rate_per_s` in the long run: the generic cell rate algorithm, one number of state, no timer, no
    float. Time is whatever the caller passes in."""

    def __init__(self, int64_t rate_per_s, burst=None):
        self.b.cost_ns = SECOND_NS // rate_per_s
        self.b.depth_ns = self.b.cost_ns * <int64_t> (burst or rate_per_s)
        self.b.full_at_ns = 0

    def has_token(self, int64_t now_ns):
        """Whether `take` would succeed; takes nothing."""
        return bool(chr_bucket_has(&self.b, now_ns))

    def take(self, int64_t now_ns):
        """Take a token; False and nothing taken when there is none. A clock that steps back refills nothing."""
        return bool(chr_bucket_take(&self.b, now_ns))


cdef int64_t _clamped(object value) except? -1:
    """A number of any size as 64 bits: what is beyond them breaches whatever it is held against."""
    return max(-LARGEST, min(LARGEST, value))


cdef int64_t _limit(object value) except? -2:
    return CHR_NO_LIMIT if value is None else _clamped(value)


cdef int limits_into(object limits, chr_limits *into) except -1:
    into.order_qty = _limit(limits.max_order_qty)
    into.order_notional = _limit(limits.max_order_notional)
    into.position_qty = _limit(limits.max_position_qty)
    into.position_notional = _limit(limits.max_position_notional)
    into.exposure = _limit(limits.max_exposure)
    into.open_orders = _limit(limits.max_open_orders)
    into.price_band_bps = _limit(limits.price_band_bps)
    into.data_age_ns = _limit(limits.max_data_age_ns)
    into.allowed = limits.allowed
    return 0


def check(order, now):
    """The first Breach of a Proposal in a Situation, or None. Never raises for an order's values: what does not fit 64 bits is a
    breach."""
    cdef chr_proposal o
    cdef chr_situation s
    cdef chr_limits limits
    cdef chr_breach b
    memset(&s, 0, sizeof(s))
    o.is_buy = bool(order.is_buy)
    o.qty, o.price, o.replaces_leaves = _clamped(order.qty), _clamped(order.price), _clamped(order.replaces_leaves)
    o.valid_until_ns = _clamped(order.valid_until_ns)
    o.type, o.reduce_only, o.is_replace = order.order_type, bool(order.reduce_only), bool(order.is_replace)
    limits_into(now.limits, &limits)
    s.limits = &limits
    s.now_ns, s.killed, s.open_orders, s.exposure = now.now_ns, bool(now.killed), now.open_orders, _clamped(now.exposure)
    _known(now.terms, now.holding, &s)
    s.unpermitted = not now.permitted
    market, tripped, bucket = now.market, now.tripped, now.bucket
    if market is not None:
        s.has_market = True
        s.best_bid, s.best_ask, s.reference, s.market_ts = market.best_bid, market.best_ask, market.reference, market.ts_ns
    if tripped is not None:
        s.tripped, s.tripped_limit, s.tripped_actual = tripped.code, _clamped(tripped.limit), _clamped(tripped.actual)
    if bucket is not None:
        s.bucket = &(<TokenBucket> bucket).b
    if not chr_risk_check(&o, &s, &b):
        return None
    return Breach(CODES[b.code], b.limit, b.actual)


cdef int _known(object terms, object holding, chr_situation *s) except -1:
    """The instrument and what is held of it; one without the other is none."""
    if terms is None or holding is None:
        return 0
    s.terms = &(<Terms> terms.native).t
    s.position = (<Position> holding.position).p.qty
    s.open_buy, s.open_sell = _clamped(holding.open_buy), _clamped(holding.open_sell)
    return 0
