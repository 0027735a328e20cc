/* From scanned fields to records: which kind of frame it is, which symbol, and the SBE record of it written in place.
 *
 * Rules
 *  - bn_classify reads everything but the levels; it decides kind, symbol, ids and the exact size of the record.
 *  - bn_write_* then write that many bytes, no more; a failure leaves a half-written buffer the caller throws away.
 *  - A number that does not fit the instrument's exponent is BN_BAD_DECIMAL. Nothing is rounded, nothing becomes 0.
 *  - Times come in milliseconds, or in microseconds where the connection asked for `timeUnit=MICROSECOND`: told apart by size
 *    (10^14 ms is the year 5138). A time the venue does not send is 0.
 *
 * Shapes: "WebSocket Streams" (Trade, Individual Symbol Book Ticker, Diff. Depth) of the Binance spot API documentation, and the chapters of
 * the same names in "USDS-Margined Futures". A spot bookTicker has neither "e" nor times; a futures depth has "pu" and "T".
 */
#ifndef CHR_BN_RECORDS_H
#define CHR_BN_RECORDS_H

#include "decimal.h"
#include "json_scan.h"
#include "sbe.h"

typedef enum { BN_NONE = 0, BN_DEPTH, BN_TRADE, BN_TICKER, BN_REPLY, BN_KINDS } bn_kind;

/* Why a frame was not taken. UNUSUAL: ask the full decoder, which gives the final word. */
enum {
    BN_OK = 0,
    BN_UNUSUAL = -1,
    BN_MALFORMED = -2,
    BN_UNKNOWN_STREAM = -3,
    BN_UNKNOWN_SYMBOL = -4,
    BN_BAD_DECIMAL = -5,
    BN_INCONSISTENT = -6,
};

typedef struct {
    char name[32];
    uint32_t name_size;
    int32_t price_exponent, qty_exponent;
    uint64_t instrument_id;
    /* sync gate: while open, a diff that continues the chain is appended at once (continuity.h) */
    uint64_t chain;
    uint32_t open;
    uint32_t old_run;           /* trades and tickers in a row that were behind: the venue may have started anew */
    uint32_t old_diffs;         /* the same of diffs */
    uint64_t last_ticker, last_trade;
    uint64_t trade_window[64];  /* bit (id mod 4096): the trade was seen */
} bn_symbol;

typedef struct {
    bn_symbol *symbols;
    uint32_t count;
    uint32_t last;              /* index of the last hit: frames of one symbol come in bursts */
    uint32_t futures;           /* depth carries "pu" */
    uint32_t mask;              /* slots - 1, a power of two above twice the count */
    uint16_t *slots;            /* open addressing by name: index + 1, 0 = free */
} bn_table;

typedef struct {
    bn_kind kind;
    uint32_t index;             /* of the symbol */
    bn_symbol *symbol;
    uint32_t size;              /* of the record */
    uint64_t first, last, before; /* depth: U, u, and what must have been seen before: U - 1 or pu. Others: last = id */
    uint64_t prev;              /* depth: pu, 0 where there is none */
} bn_frame;

static inline uint32_t bn_hash(const uint8_t *name, uint32_t n)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (uint32_t i = 0; i < n; i++)
        hash = (hash ^ name[i]) * 16777619u;
    return hash;
}

static inline int bn_named(const bn_symbol *s, const uint8_t *name, uint32_t n)
{
    return s->name_size == n && memcmp(s->name, name, n) == 0;
}

static inline bn_symbol *bn_find(bn_table *t, const uint8_t *name, uint32_t n, uint32_t *index)
{
    if (BN_UNLIKELY(t->count == 0))
        return NULL;
    if (BN_LIKELY(bn_named(&t->symbols[t->last], name, n))) {
        *index = t->last;
        return &t->symbols[t->last];
    }
    for (uint32_t at = bn_hash(name, n) & t->mask; t->slots[at]; at = (at + 1) & t->mask) {
        uint32_t found = t->slots[at] - 1u;
        if (bn_named(&t->symbols[found], name, n)) {
            t->last = *index = found;
            return &t->symbols[found];
        }
    }
    return NULL;
}

/* After `symbols` and `count` have changed; `slots` has mask + 1 entries. */
static inline void bn_index(bn_table *t)
{
    memset(t->slots, 0, (t->mask + 1) * sizeof *t->slots);
    for (uint32_t i = 0; i < t->count; i++) {
        uint32_t at = bn_hash((const uint8_t *)t->symbols[i].name, t->symbols[i].name_size) & t->mask;
        while (t->slots[at])
            at = (at + 1) & t->mask;
        t->slots[at] = (uint16_t)(i + 1);
    }
}

static inline int64_t bn_time(const bn_value *v)
{
    return (int64_t)(v->number >= 100000000000000ull ? v->number * 1000 : v->number * 1000000);
}

static inline int bn_time_ok(const bn_value *v)
{
    /* in ns it stays below 2^63 either way, see bn_time */
    return v != NULL && (v->number <= 9200000000000ull || (v->number >= 100000000000000ull && v->number <= 9200000000000000ull));
}

static inline int bn_ends_with(const bn_value *v, const char *text, uint32_t n)
{
    return v->n >= n && memcmp(v->p + v->n - n, text, n) == 0;
}

static inline bn_kind bn_kind_of(const bn_fields *f)
{
    const bn_value *event = bn_typed(f, bn_slot('e'), BN_STRING);
    if (event != NULL) {
        if (bn_is(event, "depthUpdate", 11))
            return BN_DEPTH;
        if (bn_is(event, "trade", 5))
            return BN_TRADE;
        return bn_is(event, "bookTicker", 10) ? BN_TICKER : BN_NONE;
    }
    const bn_value *stream = bn_typed(f, BN_STREAM, BN_STRING);
    if (stream != NULL)
        return bn_ends_with(stream, "@bookTicker", 11) ? BN_TICKER : BN_NONE;
    if (f->present >> BN_RESPONSE & 1)
        return BN_REPLY;
    /* a raw stream's spot ticker */
    return bn_typed(f, bn_slot('B'), BN_STRING) && bn_typed(f, bn_slot('A'), BN_STRING) && bn_typed(f, bn_slot('u'), BN_NUMBER) ? BN_TICKER
                                                                                                                            : BN_NONE;
}

static inline int bn_classify_depth(bn_table *t, const bn_fields *f, bn_frame *out)
{
    const bn_value *first = bn_typed(f, bn_slot('U'), BN_NUMBER), *last = bn_typed(f, bn_slot('u'), BN_NUMBER);
    const bn_value *bids = bn_typed(f, bn_slot('b'), BN_ARRAY), *asks = bn_typed(f, bn_slot('a'), BN_ARRAY);
    const bn_value *prev = bn_typed(f, BN_PU, BN_NUMBER);
    if (BN_UNLIKELY(!first || !last || !bids || !asks || !bn_time_ok(bn_typed(f, bn_slot('E'), BN_NUMBER)) || (t->futures && !prev)))
        return BN_UNUSUAL;
    if (BN_UNLIKELY(f->arrays & ~(1ull << bn_slot('b') | 1ull << bn_slot('a'))))
        return BN_UNUSUAL;
    if (BN_UNLIKELY(bids->levels > 0xFFFF || asks->levels > 0xFFFF))
        return BN_MALFORMED;
    out->first = first->number;
    out->last = last->number;
    out->prev = t->futures ? prev->number : 0;
    out->before = t->futures ? prev->number : first->number - 1;
    out->size = chr_book_size(CHR_BOOK_DELTA, bids->levels + asks->levels);
    if (BN_UNLIKELY(out->first == 0 || out->first > out->last || out->before >= out->last))
        return BN_INCONSISTENT;
    return BN_OK;
}

static inline int bn_classify_trade(const bn_fields *f, bn_frame *out)
{
    const bn_value *id = bn_typed(f, bn_slot('t'), BN_NUMBER), *maker = bn_get(f, bn_slot('m'));
    if (BN_UNLIKELY(!id || !bn_typed(f, bn_slot('p'), BN_STRING) || !bn_typed(f, bn_slot('q'), BN_STRING) || !maker))
        return BN_UNUSUAL;
    if (BN_UNLIKELY(maker->type != BN_TRUE && maker->type != BN_FALSE))
        return BN_UNUSUAL;
    if (BN_UNLIKELY(!bn_time_ok(bn_typed(f, bn_slot('E'), BN_NUMBER)) || !bn_time_ok(bn_typed(f, bn_slot('T'), BN_NUMBER)) || f->arrays))
        return BN_UNUSUAL;
    out->last = id->number;
    out->size = sizeof(chr_sbe_header_t) + sizeof(chr_trade_t);
    return BN_OK;
}

static inline int bn_classify_ticker(const bn_fields *f, bn_frame *out)
{
    const bn_value *id = bn_typed(f, bn_slot('u'), BN_NUMBER);
    if (BN_UNLIKELY(!id || !bn_typed(f, bn_slot('b'), BN_STRING) || !bn_typed(f, bn_slot('B'), BN_STRING) ||
                    !bn_typed(f, bn_slot('a'), BN_STRING) || !bn_typed(f, bn_slot('A'), BN_STRING) || f->arrays))
        return BN_UNUSUAL;
    for (const char *t = "ET"; *t; t++) {
        if (f->present >> bn_slot((uint8_t)*t) & 1 && !bn_time_ok(bn_typed(f, bn_slot((uint8_t)*t), BN_NUMBER)))
            return BN_UNUSUAL;
    }
    out->last = id->number;
    out->size = sizeof(chr_sbe_header_t) + sizeof(chr_best_bid_ask_t);
    return BN_OK;
}

/* Everything but the levels. BN_OK, or why not; `out->kind` and `out->symbol` are set as far as they are known. */
static inline int bn_classify(bn_table *t, const bn_fields *f, bn_frame *out)
{
    out->kind = bn_kind_of(f);
    out->symbol = NULL;
    out->first = out->last = out->before = out->prev = 0;
    out->size = 0;
    if (BN_UNLIKELY(out->kind == BN_REPLY))
        return f->arrays ? BN_UNUSUAL : BN_OK;
    if (BN_UNLIKELY(out->kind == BN_NONE))
        return f->arrays ? BN_UNUSUAL : BN_UNKNOWN_STREAM;
    const bn_value *name = bn_typed(f, bn_slot('s'), BN_STRING);
    if (BN_UNLIKELY(!name))
        return BN_UNUSUAL;
    out->symbol = bn_find(t, name->p, name->n, &out->index);
    int code = out->kind == BN_DEPTH ? bn_classify_depth(t, f, out) : out->kind == BN_TRADE ? bn_classify_trade(f, out) : bn_classify_ticker(f, out);
    return BN_UNLIKELY(code == BN_OK && out->symbol == NULL) ? BN_UNKNOWN_SYMBOL : code;
}

/* ---------------------------------------------------------------- records */

/* A price or quantity: never below zero. */
static inline int bn_decimal(const bn_value *v, int exponent, int64_t *mantissa)
{
    return chr_parse_decimal((const char *)v->p, v->n, exponent, mantissa) || *mantissa < 0;
}

static inline int bn_expect(const uint8_t **p, const uint8_t *end, const char *text, size_t n)
{
    if (BN_UNLIKELY((size_t)(end - *p) < n || memcmp(*p, text, n) != 0))
        return 0;
    *p += n;
    return 1;
}

/* `["price","qty"],["price","qty"]` into a group of exactly v->levels entries. Returns the byte after the group, NULL: *code says why. */
static uint8_t *bn_write_group(const bn_value *v, const bn_symbol *s, uint8_t *out, int *code)
{
    const uint8_t *p = v->p, *end = v->p + v->n;
    chr_level_t *level = chr_put_levels(out, (uint16_t)v->levels);
    for (uint32_t i = 0; i < v->levels; i++, level++) {
        int64_t price, qty;
        if (BN_UNLIKELY(!bn_expect(&p, end, i ? ",[\"" : "[\"", i ? 3 : 2)))
            goto unusual;
        if (BN_UNLIKELY(chr_scan_decimal((const char **)&p, (const char *)end, s->price_exponent, &price) != CHR_DECIMAL_OK))
            goto decimal;
        if (BN_UNLIKELY(!bn_expect(&p, end, "\",\"", 3)))
            goto after_decimal;
        if (BN_UNLIKELY(chr_scan_decimal((const char **)&p, (const char *)end, s->qty_exponent, &qty) != CHR_DECIMAL_OK))
            goto decimal;
        if (BN_UNLIKELY(!bn_expect(&p, end, "\"]", 2)))
            goto after_decimal;
        if (BN_UNLIKELY((price | qty) < 0))
            goto decimal;
        level->price = price;
        level->qty = qty;
    }
    if (BN_UNLIKELY(p != end))
        goto unusual;
    return (uint8_t *)level;
after_decimal: /* blanks after the closing quote are JSON, a character before it is no digit */
    if (p < end && (*p == '"' || *p == '\\'))
        goto unusual;
decimal:
    *code = BN_BAD_DECIMAL;
    return NULL;
unusual:
    *code = BN_UNUSUAL;
    return NULL;
}

static inline int bn_write_depth(const bn_fields *f, const bn_frame *frame, int64_t recv_ts, uint8_t *out)
{
    const bn_value *event = &f->slot[bn_slot('E')], *venue = bn_typed(f, bn_slot('T'), BN_NUMBER);
    chr_book_delta_t *d = chr_put_block(out, CHR_BOOK_DELTA);
    int code = BN_OK;
    d->instrument_id = frame->symbol->instrument_id;
    d->event_ts = bn_time(event);
    d->venue_ts = bn_time_ok(venue) ? bn_time(venue) : d->event_ts;
    d->recv_ts = recv_ts;
    d->first_update_id = frame->first;
    d->last_update_id = frame->last;
    d->prev_update_id = frame->prev;
    out = bn_write_group(&f->slot[bn_slot('b')], frame->symbol, (uint8_t *)(d + 1), &code);
    if (BN_LIKELY(out != NULL))
        out = bn_write_group(&f->slot[bn_slot('a')], frame->symbol, out, &code);
    return code;
}

static inline int bn_write_trade(const bn_fields *f, const bn_frame *frame, int64_t recv_ts, uint8_t *out)
{
    chr_trade_t *t = chr_put_block(out, CHR_TRADE);
    int64_t price, qty;
    if (BN_UNLIKELY(bn_decimal(&f->slot[bn_slot('p')], frame->symbol->price_exponent, &price) ||
                    bn_decimal(&f->slot[bn_slot('q')], frame->symbol->qty_exponent, &qty)))
        return BN_BAD_DECIMAL;
    t->instrument_id = frame->symbol->instrument_id;
    t->event_ts = bn_time(&f->slot[bn_slot('E')]);
    t->venue_ts = bn_time(&f->slot[bn_slot('T')]);
    t->recv_ts = recv_ts;
    t->trade_id = frame->last;
    t->price = price;
    t->qty = qty;
    /* "m": is the buyer the market maker? Then the seller took. */
    t->aggressor = f->slot[bn_slot('m')].type == BN_TRUE ? CHR_SIDE_SELL : CHR_SIDE_BUY;
    return BN_OK;
}

static inline int bn_write_ticker(const bn_fields *f, const bn_frame *frame, int64_t recv_ts, uint8_t *out)
{
    chr_best_bid_ask_t *b = chr_put_block(out, CHR_BEST_BID_ASK);
    const bn_value *event = bn_typed(f, bn_slot('E'), BN_NUMBER), *venue = bn_typed(f, bn_slot('T'), BN_NUMBER);
    const bn_symbol *s = frame->symbol;
    int64_t bid, bid_qty, ask, ask_qty;
    if (BN_UNLIKELY(bn_decimal(&f->slot[bn_slot('b')], s->price_exponent, &bid) || bn_decimal(&f->slot[bn_slot('B')], s->qty_exponent, &bid_qty) ||
                    bn_decimal(&f->slot[bn_slot('a')], s->price_exponent, &ask) || bn_decimal(&f->slot[bn_slot('A')], s->qty_exponent, &ask_qty)))
        return BN_BAD_DECIMAL;
    b->instrument_id = s->instrument_id;
    b->event_ts = event ? bn_time(event) : 0;
    b->venue_ts = venue ? bn_time(venue) : b->event_ts;
    b->recv_ts = recv_ts;
    b->update_id = frame->last;
    b->bid_price = bid;
    b->bid_qty = bid_qty;
    b->ask_price = ask;
    b->ask_qty = ask_qty;
    return BN_OK;
}

static inline int bn_write(const bn_fields *f, const bn_frame *frame, int64_t recv_ts, uint8_t *out)
{
    switch (frame->kind) {
    case BN_DEPTH:
        return bn_write_depth(f, frame, recv_ts, out);
    case BN_TRADE:
        return bn_write_trade(f, frame, recv_ts, out);
    default:
        return bn_write_ticker(f, frame, recv_ts, out);
    }
}

/* The levels of a REST `depth` answer ("Order Book"): bids and asks found by the caller; `out` has chr_book_size bytes. */
static inline int bn_write_snapshot(const bn_symbol *s, const bn_value *bids, const bn_value *asks, uint64_t last_update_id, int64_t event_ts,
                                    int64_t venue_ts, int64_t recv_ts, uint8_t *out)
{
    chr_book_snapshot_t *b = chr_put_block(out, CHR_BOOK_SNAPSHOT);
    int code = BN_OK;
    b->instrument_id = s->instrument_id;
    b->event_ts = event_ts;
    b->venue_ts = venue_ts;
    b->recv_ts = recv_ts;
    b->last_update_id = last_update_id;
    out = bn_write_group(bids, s, (uint8_t *)(b + 1), &code);
    if (BN_LIKELY(out != NULL))
        bn_write_group(asks, s, out, &code);
    return code;
}

static inline uint16_t bn_template(bn_kind kind)
{
    return kind == BN_DEPTH ? CHR_BOOK_DELTA : kind == BN_TRADE ? CHR_TRADE : CHR_BEST_BID_ASK;
}

#endif
