"""An account at a venue; its arithmetic and rules are in account.h and buying_power.h. Pure: it reads no clock."""

from libc.stdlib cimport free, realloc
from libc.string cimport memset

from libchronicle.portfolio.fees cimport CHR_FEE_RING, FeeSchedule, chr_fees, chr_fees_recall
from libchronicle.portfolio.position cimport Position, Terms, i64, overflow

from decimal import Decimal

from libchronicle.errors import BadAmount, MisuseError, UnknownInstrument
from libchronicle.portfolio.fees import rate_of_bps
from libchronicle.portfolio.fixed import MONEY_EXPONENT, mantissa_of


cdef class Account:
    """Balances, positions and margin of one owner.

    `cash`: what is there at first, in `currency` (none: what the first instrument is settled in), or amounts by currency.
    `leverage`: None = spot is paid in full and cannot be sold short, contracts need their whole value as margin. A number, or
    numbers by `venue:SYMBOL` or venue: initial margin is one part in so many, and spot may be bought on credit and sold short.
    `fees`: a FeeSchedule, or one by `venue:SYMBOL` or venue. Money is int mantissas at MONEY_EXPONENT. Raises BadAmount.
    """

    def __cinit__(self):
        memset(&self.a, 0, sizeof(self.a))

    def __init__(self, cash=0, *, str currency="", leverage=None, fees=None, maintenance_bps=50, liquidation_bps=0):
        self.terms, self.currencies, self._schedules = [], [], []
        self._slots, self._places = {}, {}
        by_currency = hasattr(cash, "keys")
        self._deposits = dict(cash) if by_currency else {currency: cash}
        self.currency = currency or (next(iter(self._deposits), "") if by_currency else "")
        self._fees, self._leverage = FeeSchedule() if fees is None else fees, leverage
        self._maintenance_rate = rate_of_bps(maintenance_bps, "maintenance margin")
        self._liquidation_rate = rate_of_bps(liquidation_bps, "liquidation fee")
        for times in leverage.values() if hasattr(leverage, "keys") else (leverage,):
            _leverage_of(times)
        if self.currency:
            self._place_of(self.currency, MONEY_EXPONENT)
        for name, amount in self._deposits.items():
            if mantissa_of(amount, MONEY_EXPONENT, "cash") < 0:
                raise BadAmount(what="cash", value=amount, reason="is below zero")
            if name:
                self._place_of(name, MONEY_EXPONENT)

    def __dealloc__(self):
        free(self.a.slots)
        free(self.a.currencies)
        free(self.a.fees)

    # ------------------------------------------------------------ instruments

    cpdef int add(self, object terms) except -1:
        """Make an instrument known; its slot. Known already: its tick, lot and filters change. Raises BadAmount."""
        known = self._slots.get(terms.instrument_id)
        if known is not None:
            self.a.slots[<int> known].terms = (<Terms> terms.native).t
            self.terms[known] = terms
            return known
        name = terms.name or str(terms.instrument_id)
        if not self.currency:
            self.currency = terms.settle_currency or name
            self._deposits[self.currency] = self._deposits.pop("", 0)
        leverage = _chosen(self._leverage, terms, "leverage", None)
        cdef chr_account_slot s
        memset(&s, 0, sizeof(s))
        s.terms = (<Terms> terms.native).t
        s.margined = not s.terms.spot or leverage is not None
        s.leverage = _leverage_of(leverage)
        s.maintenance_rate = min(self._maintenance_rate, 10**16 // s.leverage)
        s.liquidation_rate = self._liquidation_rate
        s.settle = s.base = self._place_of(terms.settle_currency or self.currency, MONEY_EXPONENT)
        if s.terms.spot:
            s.base = self._place_of(terms.base_currency or name, terms.qty_exponent)
        s.qty_times, s.qty_over = 10 ** max(terms.qty_exponent, 0), 10 ** max(-terms.qty_exponent, 0)
        s.price_exponent = terms.price_exponent
        s.fees = self._fees_of(terms)
        slots = <chr_account_slot *> realloc(self.a.slots, (self.a.count + 1) * sizeof(chr_account_slot))
        if slots == NULL:
            raise MemoryError
        self.a.slots = slots
        slots[self.a.count] = s
        self.a.count += 1
        self.terms.append(terms)
        self._slots[terms.instrument_id] = self.a.count - 1
        self._rescale()
        self._find_prices()
        return self.a.count - 1

    cpdef int find(self, uint64_t instrument_id) except? -1:
        known = self._slots.get(instrument_id)
        return -1 if known is None else known

    cdef int _place_of(self, str currency, int exponent) except -1:
        """The currency's place; its balance has at least this exponent from now on."""
        cdef chr_currency *c
        if currency not in self._places:
            c = <chr_currency *> realloc(self.a.currencies, (self.a.currency_count + 1) * sizeof(chr_currency))
            if c == NULL:
                raise MemoryError
            self.a.currencies = c
            c += self.a.currency_count
            memset(c, 0, sizeof(c[0]))
            c.exponent = exponent
            c.balance = mantissa_of(self._deposits.get(currency, 0), exponent, "cash")
            self._places[currency] = self.a.currency_count
            self.a.currency_count += 1
            self.currencies.append(currency)
        place = self._places[currency]
        c = &self.a.currencies[<int> place]
        if exponent < c.exponent:
            c.balance = i64(int(c.balance) * 10 ** (c.exponent - exponent), "balance")
            c.exponent = exponent
        c.scale = 10 ** max(MONEY_EXPONENT - c.exponent, 0)
        return place

    cdef int _fees_of(self, object terms) except -1:
        """Place of the schedule that holds for an instrument; a schedule's instruments share one volume."""
        cdef FeeSchedule chosen = _chosen(self._fees, terms, "fees", None) or FeeSchedule()
        for place, known in enumerate(self._schedules):
            if known is chosen:
                return place
        fees = <chr_fees *> realloc(self.a.fees, (self.a.fee_count + 1) * sizeof(chr_fees))
        if fees == NULL:
            raise MemoryError
        self.a.fees = fees
        fees[self.a.fee_count] = chosen.fees
        self._schedules.append(chosen)
        self.a.fee_count += 1
        return self.a.fee_count - 1

    cdef int _rescale(self) except -1:
        """Exponents of balances may have become finer: what is locked in them is counted anew."""
        cdef chr_account_slot *s
        cdef uint32_t place
        for place in range(self.a.currency_count):
            self.a.currencies[place].locked = 0
        for place in range(self.a.count):
            s = &self.a.slots[place]
            s.locked_base = s.locked_settle = 0
            s.base_scale = 10 ** (self.terms[place].qty_exponent - self.a.currencies[s.base].exponent) if s.terms.spot else 0
            overflow(chr_account_refresh(&self.a, s))

    cdef int _find_prices(self) except -1:
        """By which instruments' prices each currency is worth something in the account's; the shortest way, spot first."""
        reached, place = [self.currency], 0
        order = sorted(range(self.a.count), key=lambda slot: not self.a.slots[<int> slot].terms.spot)
        while place < len(reached):
            for slot in order:
                terms = self.terms[slot]
                base, quote = self.currencies[self.a.slots[<int> slot].base], self.currencies[self.a.slots[<int> slot].settle]
                if not self.a.slots[<int> slot].terms.spot:
                    base, quote = terms.base_currency, terms.quote_currency
                for flip, start, end in ((0, base, quote), (1, quote, base)):
                    if end == reached[place] and start not in reached and start in self._places:
                        reached.append(start)
                        c = &self.a.currencies[<int> self._places[start]]
                        c.priced, c.flip, c.slot, c.next = 1, flip, slot, self._places[end]
            place += 1

    # ------------------------------------------------------------ the simulation's face

    cpdef int check(
        self, int slot, uint8_t side, uint8_t type, int64_t price, int64_t qty, int64_t best_bid, int64_t best_ask,
        bint reduce_only,
    ) noexcept:
        """Reject code, 0 = it may be sent. The price of a stop-market order is its stop price."""
        return chr_account_check(&self.a, slot, side, type, price, qty, best_bid, best_ask, reduce_only)

    cpdef void opened(self, int slot, uint8_t side, int64_t leaves_delta, int64_t price) noexcept:
        """Leaves of an open order at this price grew by `leaves_delta`: what it may cost is held back."""
        chr_account_opened(&self.a, slot, side, leaves_delta, price)

    cdef int fill(
        self, int slot, uint8_t side, int64_t price, int64_t qty, bint maker, bint first, int64_t ts_ns, int64_t *fee
    ) except -1:
        return overflow(chr_account_fill(&self.a, slot, side, price, qty, maker, first, ts_ns, fee))

    cpdef int mark(self, int slot, int64_t price) except -1:
        """A price to value the position at; 1 = equity is at or below the maintenance margin."""
        cdef int answer = chr_account_mark(&self.a, slot, price)
        return answer if answer >= 0 else overflow(answer)

    cpdef int fund(self, int slot, int64_t rate, int64_t mark) except -1:
        """Pay funding at `rate` (mantissa at RATE_EXPONENT; a long pays one above zero); 1 as of `mark`."""
        cdef int64_t paid
        overflow(chr_account_fund(&self.a, slot, rate, mark, &paid))
        return self.mark(slot, mark)

    cdef int liquidate(self, int slot, int64_t price, int64_t ts_ns, int64_t *fee) except -1:
        return overflow(chr_account_liquidate(&self.a, slot, price, ts_ns, fee))

    cdef int64_t equity_now(self) except? -1:
        cdef int64_t total = 0
        if self.a.currency_count:
            overflow(chr_account_total(&self.a, self._places[self.currency], &total))
        return total

    cdef int64_t position_of(self, int slot) noexcept:
        return self.a.slots[slot].position.qty

    # ------------------------------------------------------------ Python's face

    def trade(self, int slot, uint8_t side, price, qty, *, bint maker=False, bint first=True, int64_t ts_ns=0):
        """Book a fill; returns its fee. Nothing changes when it raises FixedPointOverflow."""
        cdef int64_t fee = 0
        self._slot(slot)
        quantity = i64(qty, "quantity")
        if quantity <= 0 or price <= 0:
            raise BadAmount(what="fill", value=(price, qty), reason="needs a price and a quantity above zero")
        self.fill(slot, side, i64(price, "price"), quantity, maker, first, ts_ns, &fee)
        return fee

    def book(self, int slot, uint8_t side, price, qty, fee, *, int64_t ts_ns=0):
        """Book a fill of before, with the fee it had. Nothing changes when it raises FixedPointOverflow."""
        self._slot(slot)
        overflow(chr_account_rebook(&self.a, slot, side, i64(price, "price"), i64(qty, "quantity"), i64(fee, "fee"), ts_ns))

    def restore(self, int slot, Position position not None):
        """Take up a position as it stands: balances move by what its fills have brought beside those booked here. Raises
        FixedPointOverflow."""
        self._slot(slot)
        overflow(chr_account_restore(&self.a, slot, &position.p))

    def memory(self):
        """What neither deposits nor positions tell: {"shortfall": {currency: mantissa}, "volumes": {instrument id: [day, traded …]}},
        without what is nothing. For `recall`."""
        cdef int place, slot, i
        cdef chr_fees *f
        short = {name: self.a.currencies[<int> at].shortfall for name, at in self._places.items()}
        volumes = {}
        for place in range(self.a.fee_count):
            f = &self.a.fees[place]
            if f.count > 1 and f.first:
                user = next(terms for slot, terms in enumerate(self.terms) if self.a.slots[<int> slot].fees == place)
                volumes[str(user.instrument_id)] = [f.day, *[f.traded[i] for i in range(CHR_FEE_RING)]]
        told = {"shortfall": {name: amount for name, amount in short.items() if amount}, "volumes": volumes}
        return {name: what for name, what in told.items() if what}

    def recall(self, memory):
        """Take up what `memory` of an account with these instruments gave; what concerns none of them is left out."""
        cdef chr_currency *c
        cdef int64_t traded[CHR_FEE_RING]
        cdef int i, slot
        for name, amount in memory.get("shortfall", {}).items():
            if name in self._places:
                c = &self.a.currencies[<int> self._places[name]]
                c.balance = i64(int(c.balance) + amount, "balance")
                c.shortfall = i64(int(c.shortfall) + amount, "balance")
        for name, (day, *amounts) in memory.get("volumes", {}).items():
            slot = self.find(int(name))
            if slot >= 0 and len(amounts) == CHR_FEE_RING:
                for i in range(CHR_FEE_RING):
                    traded[i] = i64(amounts[i], "volume")
                chr_fees_recall(&self.a.fees[self.a.slots[slot].fees], day, traded)

    def close_out(self, int slot, price, *, int64_t ts_ns=0):
        """Liquidate the slot's position at this price; returns what was charged. Raises FixedPointOverflow."""
        cdef int64_t fee = 0
        if self._slot(slot).position.qty:
            self.liquidate(slot, i64(price, "price"), ts_ns, &fee)
        return fee

    def slot(self, instrument):
        """Slot of an instrument id or a `venue:SYMBOL`. Raises UnknownInstrument."""
        for place, terms in enumerate(self.terms):
            if instrument in (terms.instrument_id, terms.name):
                return place
        raise UnknownInstrument(instrument=instrument)

    cdef chr_account_slot *_slot(self, int slot) except NULL:
        if not 0 <= slot < <int> self.a.count:
            raise UnknownInstrument(instrument=slot)
        return &self.a.slots[slot]

    def position(self, int slot):
        """The slot's position as it stands: a copy."""
        cdef chr_account_slot *s = self._slot(slot)
        cdef Position made = Position(self.terms[slot])
        made.p = s.position
        return made

    def funding(self, int slot):
        """Funding paid for the slot so far, money; received is negative."""
        return self._slot(slot).funding

    def is_margined(self, int slot):
        """Whether its positions can be liquidated."""
        return bool(self._slot(slot).margined)

    def mantissas(self, str currency=None):
        """(balance, available, exponent) of a currency; what does not fit 64 bits is the nearest that does."""
        cdef chr_currency *c = self._currency(currency)
        free = _int(chr_account_free(c))
        return c.balance, max(-(1 << 63), min((1 << 63) - 1, free)), c.exponent

    def currencies_of(self, int slot):
        """What a fill in the slot moves: its settle currency, and on spot the base."""
        cdef chr_account_slot *s = self._slot(slot)
        return [self.currencies[place] for place in ([s.settle, s.base] if s.terms.spot and s.base != s.settle else [s.settle])]

    def open_qty(self, int slot):
        """(buys, sells): leaves of open orders."""
        cdef chr_account_slot *s = self._slot(slot)
        return s.open_qty[0], s.open_qty[1]

    def balance(self, str currency=None):
        """What is there of a currency, exactly; of the account's own without a name. Spot inventory is one too."""
        cdef chr_currency *c = self._currency(currency)
        return Decimal(c.balance).scaleb(c.exponent)

    def available(self, str currency=None):
        """What new orders may use of a currency: equity less what is locked and what is margin."""
        cdef chr_currency *c = self._currency(currency)
        return Decimal(_int(chr_account_free(c))).scaleb(c.exponent)

    def equity_in(self, str currency=None):
        """Balance, unrealised profit of contracts settled in it and margined spot at the mark."""
        cdef chr_currency *c = self._currency(currency)
        return Decimal(_int(chr_account_equity(c))).scaleb(c.exponent)

    def initial_margin(self, str currency=None):
        """What positions and open orders settled in a currency need to be opened, money."""
        return self._currency(currency).initial

    def maintenance_margin(self, str currency=None):
        """What positions settled in a currency need to be kept, money."""
        return self._currency(currency).maintenance

    def shortfall(self, str currency=None):
        """What liquidations lost beyond the balance; the venue's loss."""
        cdef chr_currency *c = self._currency(currency)
        return Decimal(c.shortfall).scaleb(c.exponent)

    cdef chr_currency *_currency(self, str currency) except NULL:
        name = self.currency if currency is None else currency
        if name not in self._places:
            known = ", ".join(self.currencies) or "none"
            raise MisuseError(reason=f"the account has no currency {name!r}; there are: {known}")
        return &self.a.currencies[<int> self._places[name]]

    @property
    def cash(self):
        """Balance of the account's currency, money."""
        return int(self.balance().scaleb(-MONEY_EXPONENT).to_integral_value()) if self.currencies else 0

    @property
    def equity(self):
        """Everything in the account's currency, money: balances at their marks, unrealised profit of contracts. What has no
        price yet counts as nothing; `unpriced` names it. Raises FixedPointOverflow."""
        return self.equity_now()

    @property
    def unpriced(self):
        """Currencies of which there is something and no instrument added here gives a price."""
        cdef chr_currency *c
        found = []
        for name, place in self._places.items():
            c = &self.a.currencies[<int> place]
            if c.balance and name != self.currency and not (c.priced and self.a.slots[c.slot].mark):
                found.append(name)
        return found

    @property
    def realized(self):
        """Realised profit of all slots settled in the account's currency, before fees and funding, money."""
        return sum([p.realized for p in self._own()])

    @property
    def fees(self):
        return sum([p.fees for p in self._own()])

    @property
    def unrealized(self):
        """Profit of what is open, at the marks, money; of slots settled in the account's currency."""
        marks = [self.a.slots[<int> slot].mark for slot in range(self.a.count)]
        return sum([self.position(slot).unrealized(marks[slot]) for slot in self._own_slots() if marks[slot]])

    def _own_slots(self):
        place = self._places.get(self.currency)
        return [slot for slot in range(self.a.count) if self.a.slots[<int> slot].settle == place]

    def _own(self):
        return [self.position(slot) for slot in self._own_slots()]

    @property
    def liquidations(self):
        return self.a.liquidations

    def liquidation_price(self, int slot):
        """The price of the instrument, at its exponent, at which the account would be liquidated if all others stood still;
        0 when it is flat or no price does it. Raises UnknownInstrument."""
        cdef chr_account_slot *s = self._slot(slot)
        return _liquidation_price(self, slot) if s.position.qty and s.margined and s.mark else 0

    def __repr__(self):
        held = ", ".join(f"{self.balance(name).normalize():f} {name}" for name in self.currencies)
        return f"<Account {held or 'empty'}>"


cdef object _int(chr_i128 value):
    """Python's int of 128 bits: Cython would take the low 64 of them."""
    cdef int64_t high = <int64_t> (value >> 64)
    cdef uint64_t low = <uint64_t> value
    return int(high) * (1 << 64) + low


def _liquidation_price(Account account not None, int slot):
    """By bisection on a trial: the condition is monotone in the price."""
    cdef int64_t mark = account.a.slots[slot].mark, low = 1, high = mark, middle
    cdef bint down = account.a.slots[slot].position.qty > 0
    if not down:
        low, high = mark, mark * 64
    try:
        if not account.mark(slot, low if down else high):
            return 0
        while high - low > 1:
            middle = low + (high - low) // 2
            if bool(account.mark(slot, middle)) == down:
                low = middle
            else:
                high = middle
        return low if down else high
    finally:
        account.mark(slot, mark)


def _chosen(choice, terms, str what, default):
    """What holds for an instrument: a value for all, or by its name, its venue, or "*" for every other one."""
    if not hasattr(choice, "keys"):
        return choice
    for name in (terms.name, terms.name.partition(":")[0], "*"):
        if name in choice:
            return choice[name]
    return default


def _leverage_of(leverage):
    """Mantissa at 1e-8. Raises BadAmount."""
    times = mantissa_of(1 if leverage is None else leverage, MONEY_EXPONENT, "leverage")
    if not 10**8 <= times <= 1000 * 10**8:
        raise BadAmount(what="leverage", value=leverage, reason="is not between 1 and 1000")
    return times
