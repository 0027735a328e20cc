#ifndef CHR_TILL_H
#define CHR_TILL_H
/* Pays for each fill before the matcher believes it, and remembers what was paid until the fill is told. */

#include "account.h"
#include "matcher.h"

typedef struct {
    int64_t fee, position, realized; /* position and profit: of the instrument, after the fill */
} chr_paid;

typedef struct {
    chr_account *account;
    int64_t now;
    chr_paid *paid; /* of fills not told yet */
    uint32_t count, told, room;
} chr_till;

/* A chr_sim_book_fill. What does not fit 64 bits ends the order. */
static inline int chr_till_fill(void *context, const chr_sim_order *order, int64_t price, int64_t qty, uint8_t liquidity) {
    chr_till *t = (chr_till *)context;
    int64_t fee = 0;
    if (t->count == t->room) {
        chr_paid *paid = (chr_paid *)realloc(t->paid, (2 * t->room + 16) * sizeof *paid);
        if (!paid) return CHR_REJECT_CODE_NOTIONAL_LIMIT;
        t->paid = paid;
        t->room = 2 * t->room + 16;
    }
    if (chr_account_fill(t->account, order->slot, order->side, price, qty, liquidity == CHR_LIQUIDITY_MAKER, order->cum == 0, t->now, &fee))
        return CHR_REJECT_CODE_NOTIONAL_LIMIT;
    const chr_pos *p = &t->account->slots[order->slot].position;
    t->paid[t->count++] = (chr_paid){fee, p->qty, p->realized};
    return 0;
}

#endif
