/* One frame into the queue: scan, classify, check continuity, write the record into reserved queue space, commit.
 *
 * Everything that is not the plain case returns a code and leaves no trace; state of the symbol changes only after the commit.
 */
#ifndef CHR_BN_PUSH_H
#define CHR_BN_PUSH_H

#include "chr_hot.h"
#include "continuity.h"

enum {
    BN_SYNC = 8,                /* a depth diff for the sync machine: its gate is closed, or it does not continue */
    BN_ROLLED = 9,              /* a new segment began: write its head first, then push again */
    BN_DUPLICATE = -7,
    BN_REORDERED = -8,
    BN_QUEUE_ERROR = -9,        /* writer->error says why */
};

typedef struct {
    bn_table table;
    bn_fields fields;
    bn_frame frame;             /* the last one */
    chr_writer *writer;
    uint64_t position_base;     /* of the segment whose head was written */
    uint64_t missing_trades;    /* trade ids jumped over, all in all */
    uint64_t late_trades;
} bn_decoder;

static inline int bn_admit_diff(bn_symbol *s, const bn_frame *f)
{
    if (BN_UNLIKELY(!s->open))
        return BN_SYNC;
    bn_follow how = bn_follows(s->chain, f->before, f->last);
    if (BN_LIKELY(how == BN_NEXT))
        return BN_OK;
    return how == BN_SEEN && ++s->old_diffs <= BN_OLD_RUN ? BN_DUPLICATE : BN_SYNC;
}

static inline int bn_admit(bn_decoder *d)
{
    bn_symbol *s = d->frame.symbol;
    uint64_t id = d->frame.last;
    if (d->frame.kind == BN_DEPTH)
        return bn_admit_diff(s, &d->frame);
    int code = BN_OK;
    if (d->frame.kind == BN_TRADE) {
        if (BN_UNLIKELY(bn_trade_seen(s, id)))
            code = BN_DUPLICATE;
    } else if (BN_UNLIKELY(id <= s->last_ticker)) {
        code = id == s->last_ticker ? BN_DUPLICATE : BN_REORDERED;
    }
    if (BN_LIKELY(code == BN_OK)) {
        s->old_run = 0;
    } else if (++s->old_run > BN_OLD_RUN) {
        bn_forget(s);
        code = BN_OK;
    }
    return code;
}

static inline void bn_note(bn_decoder *d)
{
    bn_symbol *s = d->frame.symbol;
    switch (d->frame.kind) {
    case BN_DEPTH:
        s->chain = d->frame.last;
        s->old_diffs = 0;
        break;
    case BN_TRADE:
        d->late_trades += d->frame.last < s->last_trade;
        d->missing_trades += bn_trade_note(s, d->frame.last);
        break;
    default:
        s->last_ticker = d->frame.last;
    }
}

static inline uint64_t bn_segment(const chr_writer *w) { return w->position_base; }

/* The kind (> 0) of the record appended; BN_REPLY, BN_SYNC, BN_ROLLED: the caller's turn; < 0: why the frame was not taken. */
static int bn_push(bn_decoder *d, const uint8_t *p, size_t n, int64_t recv_ts)
{
    chr_writer *w = d->writer;
    d->frame.kind = BN_NONE;
    d->frame.symbol = NULL;
    if (BN_UNLIKELY(bn_scan(p, n, &d->fields) != BN_SCAN_OK))
        return BN_UNUSUAL;
    int code = bn_classify(&d->table, &d->fields, &d->frame);
    if (BN_UNLIKELY(code != BN_OK))
        return code;
    if (BN_UNLIKELY(d->frame.kind == BN_REPLY))
        return BN_REPLY;
    if (BN_UNLIKELY((code = bn_admit(d)) != BN_OK))
        return code;
    uint8_t *out = chr_reserve(w, bn_template(d->frame.kind), d->frame.size);
    if (BN_UNLIKELY(out == NULL))
        return BN_QUEUE_ERROR;
    if (BN_UNLIKELY(w->position_base != d->position_base)) {
        chr_abort(w);
        return BN_ROLLED;
    }
    if (BN_UNLIKELY((code = bn_write(&d->fields, &d->frame, recv_ts, out)) != BN_OK)) {
        chr_abort(w);
        return code;
    }
    if (BN_UNLIKELY(chr_commit(w, d->frame.size, -1) < 0)) {
        chr_abort(w);
        return BN_QUEUE_ERROR;
    }
    bn_note(d);
    return d->frame.kind;
}

#endif
