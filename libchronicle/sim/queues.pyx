"""Queue models and chances of fills, as users name them. The formulas stand in sim_queue.h.

    RiskAverseQueue()            only trades move the queue; `capped=True`: and never more ahead than is displayed
    ProbQueue(power=2)           what leaves a level without a trade leaves in part behind us
    LogProbQueue()               the same with a logarithm
    FifoQueue()                  exact; instruments need an order-level (L3) book
    a class of your own          a subclass of UserQueue: on_new, on_trade, on_depth -> quantity ahead
"""

from libc.stdint cimport int64_t

from libchronicle.protocol.layout cimport CHR_SIDE_BUY
from libchronicle.sim.matcher cimport (
    CHR_SIM_ON_NEW,
    CHR_SIM_ON_TRADE,
    CHR_SIM_QUEUE_CAPPED,
    CHR_SIM_QUEUE_FIFO,
    CHR_SIM_QUEUE_LOG,
    CHR_SIM_QUEUE_LOG_2,
    CHR_SIM_QUEUE_POWER,
    CHR_SIM_QUEUE_POWER_2,
    CHR_SIM_QUEUE_POWER_3,
    CHR_SIM_QUEUE_TRADES,
    CHR_SIM_QUEUE_USER,
)

from libchronicle.errors import InvalidArgument
from libchronicle.protocol import Side

cdef enum:
    MOST_POWER = 16  # 2^64 to this power is a double still

__all__ = [
    "FifoQueue",
    "FillChances",
    "LogProbQueue",
    "ProbQueue",
    "QueueModel",
    "QueuedOrder",
    "RiskAverseQueue",
    "UserQueue",
]


cdef class QueueModel:
    """Base of the models. The risk-averse one unless a subclass says otherwise."""

    def __cinit__(self, *args, **more):
        self.kind = CHR_SIM_QUEUE_TRADES
        self.power = 1.0

    @property
    def needs_orders(self) -> bool:
        """Whether the model works on order-level (L3) books only."""
        return self.kind == CHR_SIM_QUEUE_FIFO

    cdef int into(self, chr_sim_terms *terms) except -1:
        terms.queue = self.kind
        terms.power = self.power
        return 0

    cdef int check(self) except -1:
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return 0


cdef class RiskAverseQueue(QueueModel):
    """An order waits until all that was displayed at its price when it came has traded: cancellations ahead are not believed.

    `capped`: what is displayed now bounds what can be ahead.
    """

    def __init__(self, *, capped=False):
        self.kind = CHR_SIM_QUEUE_CAPPED if capped else CHR_SIM_QUEUE_TRADES

    def __repr__(self) -> str:
        return f"RiskAverseQueue(capped={self.kind == CHR_SIM_QUEUE_CAPPED})"


cdef class ProbQueue(QueueModel):
    """Of what leaves a level without a trade, a part p leaves behind us; f(x) = x ** power. `variant` 1:
    p = f(back) / (f(back) + f(front)); 2: f(back) / f(back + front); 3: 1 - f(front / (front + back)). Raises InvalidArgument."""

    def __init__(self, power=2, *, variant=1):
        if not 0 < power <= MOST_POWER:
            raise InvalidArgument(where="ProbQueue", field="power", value=power, allowed=f"above 0, at most {MOST_POWER}")
        if variant not in (1, 2, 3):
            raise InvalidArgument(where="ProbQueue", field="variant", value=variant, allowed="1, 2, 3")
        self.power = power
        self.kind = (CHR_SIM_QUEUE_POWER, CHR_SIM_QUEUE_POWER_2, CHR_SIM_QUEUE_POWER_3)[variant - 1]

    def __repr__(self) -> str:
        variant = {CHR_SIM_QUEUE_POWER: 1, CHR_SIM_QUEUE_POWER_2: 2, CHR_SIM_QUEUE_POWER_3: 3}[self.kind]
        return f"ProbQueue(power={self.power:g}, variant={variant})"


cdef class LogProbQueue(QueueModel):
    """As ProbQueue with f(x) = ln(1 + x), x in units of 1. `variant` 1: p = f(back) / (f(back) + f(front)); 2: f(back) /
    f(back + front). Raises InvalidArgument."""

    def __init__(self, *, variant=1):
        if variant not in (1, 2):
            raise InvalidArgument(where="LogProbQueue", field="variant", value=variant, allowed="1, 2")
        self.kind = CHR_SIM_QUEUE_LOG if variant == 1 else CHR_SIM_QUEUE_LOG_2

    def __repr__(self) -> str:
        return f"LogProbQueue(variant={1 if self.kind == CHR_SIM_QUEUE_LOG else 2})"


cdef class FifoQueue(QueueModel):
    """The place among the real orders of an order-level (L3) book: first in, first out."""

    def __init__(self):
        self.kind = CHR_SIM_QUEUE_FIFO

    def __repr__(self) -> str:
        return "FifoQueue()"


# ---------------------------------------------------------------- in Python


cdef class QueuedOrder:
    """What a model in Python sees of an order, within the call. Mantissas."""

    cdef const chr_sim_order *o

    @property
    def id(self) -> int:
        return self.o.key

    @property
    def side(self):
        return Side.BUY if self.o.side == CHR_SIDE_BUY else Side.SELL

    @property
    def price(self) -> int:
        return self.o.price

    @property
    def leaves(self) -> int:
        return self.o.qty - self.o.cum

    @property
    def ahead(self) -> int:
        """As the model said last."""
        return self.o.ahead

    def __repr__(self) -> str:
        return f"<QueuedOrder {self.side.name} {self.leaves} @ {self.price}, {self.ahead} ahead>"


cdef class UserQueue(QueueModel):
    """A queue model in Python: subclass it and say what is ahead. The base is the risk-averse model; a result below 0 counts as 0.

    What a method raises ends the run.
    """

    def __cinit__(self, *args, **more):
        self.kind = CHR_SIM_QUEUE_USER

    cdef int into(self, chr_sim_terms *terms) except -1:
        QueueModel.into(self, terms)
        terms.ahead = ask_user
        terms.context = <void *> self
        return 0

    def on_new(self, order, displayed):
        """The order joined a level that displays so much."""
        return displayed

    def on_trade(self, order, qty, displayed):
        """So much traded at its price."""
        return order.ahead - qty

    def on_depth(self, order, before, now):
        """Its level displayed `before` and displays `now`."""
        return order.ahead


cdef int64_t ask_user(void *context, int what, const chr_sim_order *order, int64_t a, int64_t b) noexcept with gil:
    cdef UserQueue model = <UserQueue> context
    cdef QueuedOrder view = QueuedOrder.__new__(QueuedOrder)
    view.o = order
    try:
        if what == CHR_SIM_ON_NEW:
            return model.on_new(view, a)
        if what == CHR_SIM_ON_TRADE:
            return model.on_trade(view, a, b)
        return model.on_depth(view, a, b)
    except BaseException as error:
        if model.error is None:
            model.error = error
        return order.ahead


cdef QueueModel queue_model(object model):
    """Of what a user gave: a model, or None for the risk-averse one. Raises InvalidArgument."""
    if model is None:
        return RiskAverseQueue()
    if isinstance(model, QueueModel):
        return model
    allowed = "RiskAverseQueue, ProbQueue, LogProbQueue, FifoQueue, an instance of a subclass of UserQueue"
    raise InvalidArgument(where="a simulated venue", field="queue", value=model, allowed=allowed)


# ---------------------------------------------------------------- chances


cdef uint32_t _ppm(str name, object share) except? 0xFFFFFFFF:
    if not 0 <= share <= 1:
        raise InvalidArgument(where="FillChances", field=name, value=share, allowed="a share of 0 to 1")
    return <uint32_t> round(share * 1_000_000)


cdef class FillChances:
    """Chances that make fills worse than the rules allow, drawn from the run's seed. None of them changes what a limit forbids.

    touch            chance that a trade at our price, with nothing ahead of us, fills us; drawn per order and trade. A trade through the
                     price always does
    through_only     adverse selection: share of orders that fill only when the market goes through their price, never at the touch
    slippage         share of taking orders that pay `slippage_ticks` more on each level, up to their limit
    """

    def __init__(self, *, touch=1.0, through_only=0.0, slippage=0.0, slippage_ticks=1):
        _ppm("touch", touch), _ppm("through_only", through_only), _ppm("slippage", slippage)
        if not 0 <= slippage_ticks <= 1_000_000:
            raise InvalidArgument(where="FillChances", field="slippage_ticks", value=slippage_ticks, allowed="0 to a million")
        self.touch, self.through_only, self.slippage, self.slippage_ticks = touch, through_only, slippage, slippage_ticks

    cdef int into(self, chr_sim_terms *terms) except -1:
        terms.miss_ppm = 1_000_000 - _ppm("touch", self.touch)
        terms.through_ppm = _ppm("through_only", self.through_only)
        terms.slip_ppm = _ppm("slippage", self.slippage)
        terms.slip_ticks = self.slippage_ticks
        return 0

    def __repr__(self) -> str:
        return (
            f"FillChances(touch={self.touch}, through_only={self.through_only}, slippage={self.slippage}, "
            f"slippage_ticks={self.slippage_ticks})"
        )
