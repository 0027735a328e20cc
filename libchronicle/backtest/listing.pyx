"""What a backtest's venue trades: for each instrument a slot in the matcher and in the account, its queue model, and the lane of its venue."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from libchronicle.backtest.outbox cimport Outbox
from libchronicle.risk.gate cimport RiskGate
from libchronicle.sim.matcher cimport chr_sim_free, chr_sim_init, chr_sim_instrument, chr_sim_set_book, chr_sim_terms
from libchronicle.sim.queues cimport FillChances, QueueModel, queue_model
from libchronicle.strategy.bookview cimport Book
from libchronicle.strategy.instrument cimport Instrument

from libchronicle.errors import InvalidArgument
from libchronicle.portfolio import InstrumentTerms
from libchronicle.protocol import AccountReport
from libchronicle.sim.queues import UserQueue


def _too_coarse(name, model):
    return InvalidArgument(
        where=name, field="queue", value=model,
        allowed="a model of price levels (RiskAverseQueue, ProbQueue, LogProbQueue), since its data holds no single orders; exact places need "
        "them (LOBSTER, ITCH), and queue={instrument: model} chooses for each instrument",
    )


cdef class Listing(Outbox):
    """`queues`: a QueueModel, or one by instrument name; `chances`: FillChances or None; `latencies`: a model or None for each lane, `lanes`:
    which is whose, by venue."""

    def __cinit__(self, RiskGate gate not None, *, uint64_t seed=1, queues=None, chances=None, latencies=(None,), lanes=None, str account_name="",
                  **more):
        if chr_sim_init(&self.sim, seed):
            raise MemoryError("no memory for a venue")
        self.gate = gate
        self.account = gate.account
        self.queues, self.chances = queues, chances
        self.queue_models, self.books, self.names, self.currencies, self.definitions = [], [], [], [], {}
        self.open_lanes(latencies, seed)
        self.lanes = {} if lanes is None else lanes
        self.account_name = account_name.encode()[:16]

    def __dealloc__(self):
        chr_sim_free(&self.sim)
        free(self.markets)

    def define(self, Instrument instrument not None, definition, Book seen=None):
        """A definition (protocol Instrument): the slot of the instrument. Known already: its tick, lot and filters change. `seen`: what
        the venue matches against, None: the strategy's book. Raises InvalidArgument for a queue model that the book is too coarse for."""
        cdef Book book = instrument._book if seen is None else seen
        terms = InstrumentTerms.of(definition)
        cdef int slot = self.account.add(terms)
        self.definitions[instrument.name] = definition
        self.gate.add(slot)
        if slot < <int>self.sim.slots_count:
            if self.sim.slots[slot].book != book.b:
                chr_sim_set_book(&self.sim, slot, book.b, book.l3)
            self.sim.slots[slot].terms.tick, self.sim.slots[slot].terms.lot = definition.tick_size, definition.lot_size
            return slot
        cdef chr_sim_terms shape
        cdef QueueModel model = queue_model(self._queue_of(instrument))
        memset(&shape, 0, sizeof(shape))
        if model.needs_orders and book.l3 == NULL:
            self.misfit = _too_coarse(instrument.name, model)
            raise self.misfit
        model.into(&shape)
        if self.chances is not None:
            (<FillChances?>self.chances).into(&shape)
        shape.tick, shape.lot, shape.unit = definition.tick_size, definition.lot_size, 10.0 ** -definition.qty_exponent
        markets = <chr_market *>realloc(self.markets, (slot + 1) * sizeof(chr_market))
        if markets == NULL:
            raise MemoryError("no memory for an instrument")
        self.markets = markets
        markets[slot].heard_ns, markets[slot].lane = 0, self.lanes.get(instrument.venue, 0)
        if chr_sim_instrument(&self.sim, instrument.id, book.b, book.l3, &shape) != slot:
            raise MemoryError("no memory for an instrument")
        self.queue_models.append(model)
        self.books.append(book)
        self.asks_python = self.asks_python or isinstance(model, UserQueue)
        self.names.append(instrument.name)
        self.currencies.append(terms.settle_currency.encode()[:16])
        return slot

    def balances(self, int64_t now):
        """What the account holds, as the reports that tell of it."""
        found = []
        for place, currency in enumerate(self.account.currencies):
            if len(currency.encode()) > 16:
                continue  # the definition names no currency; the account calls it by the instrument's name, a report has no room for that
            balance, free = self.account.balance(currency), self.account.available(currency)
            exponent = self.account.a.currencies[place].exponent
            found.append(AccountReport(
                ts=now, balance=int(balance.scaleb(-exponent)), available=int(free.scaleb(-exponent)), exponent=exponent,
                account=self.account_name.decode(), currency=currency,
            ))
        return found

    def _queue_of(self, Instrument instrument):
        if isinstance(self.queues, dict):
            return self.queues.get(instrument.name)
        return self.queues

    cdef int slot_of(self, uint64_t instrument_id) noexcept:
        cdef uint32_t slot
        for slot in range(self.sim.slots_count):
            if self.sim.slots[slot].id == instrument_id:
                return slot
        return -1
