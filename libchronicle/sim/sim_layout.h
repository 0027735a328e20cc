#ifndef CHR_SIM_LAYOUT_H
#define CHR_SIM_LAYOUT_H
/* What the simulated venue holds: orders, lines of orders by priority, what was taken of the displayed levels. matcher.h has
   the rules, sim_store.h the arithmetic of these structures. Fixed-point, no Python; allocates only to grow.

   Prices become keys, as in ladder.h: the key of a buy is its price, of a sell ~price, so that higher = better on both sides and
   every rule is written once. An order of side s may take what is displayed on the other side at keys >= ~key.

   line     orders by (key, age): the best and oldest of its equals is LAST, so that what trades first is at hand and what is quoted
            near the touch moves little memory. Resting orders: line by side. Waiting stops: `falling` (sell stops, key = stop price)
            and `rising` (buy stops, key = ~stop price); the first to go is last
   taken    (key, displayed when last looked at, taken of it), ascending by key
   orders   a pool; place 0 is nobody. Those that ended are kept until the events that tell of it were taken (count = 0) */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "enums.h"
#include "l3.h"
#include "messages.h"

enum { CHR_SIM_BUY = 0, CHR_SIM_SELL = 1 }; /* sides within the simulator: as CHR_BID, CHR_ASK */

enum { CHR_SIM_AHEAD_UNKNOWN = -1 }; /* of `ahead`: no trade at the price uses it up; one through it still fills */

/* States, as libchronicle.portfolio.OrderState. */
enum {
    CHR_SIM_PENDING = 0,
    CHR_SIM_OPEN = 1,
    CHR_SIM_PARTIAL = 2,
    CHR_SIM_FILLED = 3,
    CHR_SIM_CANCELLED = 4,
    CHR_SIM_EXPIRED = 5,
    CHR_SIM_REJECTED = 6,
};

/* Why an order filled. */
enum chr_sim_rule {
    CHR_SIM_RULE_NONE = 0,
    CHR_SIM_RULE_TAKE = 1,    /* it walked the displayed levels when it arrived */
    CHR_SIM_RULE_STOP = 2,    /* the same, when its stop price was reached */
    CHR_SIM_RULE_QUEUE = 3,   /* a trade at its price, after the quantity ahead */
    CHR_SIM_RULE_THROUGH = 4, /* a trade strictly through its price */
    CHR_SIM_RULE_REACHED = 5, /* the opposite best came to its price */
};

/* How the place in the queue of a level is estimated: sim_queue.h. */
enum {
    CHR_SIM_QUEUE_TRADES = 0,  /* risk-averse: only trades move the queue */
    CHR_SIM_QUEUE_CAPPED = 1,  /* the same, but never more ahead than the level displays */
    CHR_SIM_QUEUE_POWER = 2,   /* probabilistic, f(x) = x^n, f(back) / (f(back) + f(front)) */
    CHR_SIM_QUEUE_LOG = 3,     /* probabilistic, f(x) = ln(1 + x), same quotient */
    CHR_SIM_QUEUE_POWER_2 = 4, /* f(x) = x^n, f(back) / f(back + front) */
    CHR_SIM_QUEUE_LOG_2 = 5,   /* f(x) = ln(1 + x), same quotient */
    CHR_SIM_QUEUE_POWER_3 = 6, /* 1 - f(front / (front + back)) */
    CHR_SIM_QUEUE_FIFO = 7,    /* exact, on an order-level (L3) book */
    CHR_SIM_QUEUE_USER = 8,    /* terms.ahead says */
    CHR_SIM_QUEUE_MODELS = 9,
};

/* What a stop looks at. */
enum {
    CHR_SIM_TRIGGER_TRADE = 0, /* the last trade's price */
    CHR_SIM_TRIGGER_BOOK = 1,  /* the opposite best: a buy stop the best ask, a sell stop the best bid */
};

enum {
    CHR_SIM_TRIGGERED = 1,     /* order flags: it was a stop; `type` says what it is now */
    CHR_SIM_WAITING = 2,       /* a stop whose price was not reached yet */
    CHR_SIM_THROUGH_ONLY = 4,  /* drawn: no trade at its price fills it */
    CHR_SIM_RESTING = 8,       /* stands in its line */
    CHR_SIM_ENDED = 16,
    CHR_SIM_DATED = 32,        /* stands in the heap of expiries */
    CHR_SIM_MOVED = 64,        /* its place, or what it is, has changed otherwise than its events say; cleared by who wrote it down */
};

typedef struct {            /* an order at the venue; index into sim->orders */
    uint64_t key;           /* the caller's name of it (order id), unique, not 0 */
    uint64_t venue_order_id;
    int64_t price, stop_price, qty, cum, ahead, expire_ns, arrived_ns;
    int64_t shown;          /* displayed at its price when the queue model last looked */
    int64_t traded;         /* at its price since then */
    uint64_t stamp;         /* L3: what of its level the place was reckoned from */
    uint32_t mark;          /* L3: the newest real order that stood before it */
    uint32_t owner, slot;   /* owner: a small number the caller gives (strategy, account); slot: instrument */
    uint32_t next, prev;    /* of all open orders, by arrival; of free places */
    uint8_t side, type, tif, stp, post_only, reduce_only, state, flags; /* side, type, tif, stp: CHR_SIDE_* and so on */
} chr_sim_order;

typedef struct {
    uint8_t kind;           /* CHR_EXEC_TYPE_* */
    uint8_t liquidity, code, rule;   /* code: CHR_REJECT_CODE_*; rule: enum chr_sim_rule, why it filled */
    uint32_t owner, slot, order;     /* order: index, good until the events are taken (count = 0) and the next call; 0 = none */
    uint64_t key, request, trade_id, cause_seq;  /* request: the caller's number of the request answered, 0 = none; cause_seq: the market record behind it */
    int64_t price, qty, cum, leaves, last_price, last_qty;
    int64_t ahead, level_price, level_qty;   /* the fill explains itself: queue ahead before it, level or trade behind it */
} chr_sim_event;

typedef struct chr_sim chr_sim;

/* What happened to a level, for a queue model of the caller's. */
enum { CHR_SIM_ON_NEW = 0, CHR_SIM_ON_TRADE = 1, CHR_SIM_ON_DEPTH = 2 };

/* Quantity ahead of an order after it joined a level (a = displayed, b = 0), a trade at its price (a = quantity, b = displayed), or a
   change of the level (a = displayed before, b = now). */
typedef int64_t (*chr_sim_ahead)(void *context, int what, const chr_sim_order *order, int64_t a, int64_t b);

/* Books a fill before it happens: 0, or the CHR_REJECT_CODE_* with which the order ends instead. */
typedef int (*chr_sim_book_fill)(void *context, const chr_sim_order *order, int64_t price, int64_t qty, uint8_t liquidity);

typedef struct {
    int64_t tick, lot;      /* of prices and quantities; 0 = the caller has checked them */
    double unit;            /* mantissas in a quantity of 1 (10^-qtyExponent); the log models need it */
    double power;           /* n of the power models */
    chr_sim_ahead ahead;    /* CHR_SIM_QUEUE_USER */
    void *context;
    uint32_t miss_ppm;      /* chance, drawn per print, that a trade at its price passes an order by */
    uint32_t through_ppm;   /* chance, drawn per order, that only a trade through its price or the opposite best fills it */
    uint32_t slip_ppm;      /* chance, drawn per order, that what it takes costs slip_ticks more, never beyond its limit */
    uint32_t slip_ticks;
    uint8_t queue, trigger;
} chr_sim_terms;

typedef struct {
    int64_t key;
    uint32_t order;
} chr_sim_place;

typedef struct {
    chr_sim_place *at;
    uint32_t count, room;
} chr_sim_line;

typedef struct {
    int64_t key, shown, qty;
} chr_sim_taken;

typedef struct {
    chr_sim_taken *at;
    uint32_t count, room;
    uint8_t changed;        /* since it was written down; cleared by who did */
} chr_sim_memory;

typedef struct {
    int64_t reach[2];       /* a trade at T can matter only if T <= reach[0] or ~T <= reach[1] */
    int64_t last_trade;
    uint64_t last_seq;      /* of the last market record */
    const chr_l2 *book;
    const chr_l3 *l3;       /* the same book, if it is one of orders */
    chr_sim_line resting[2];
    chr_sim_line stops[2];  /* [0] falling, [1] rising */
    chr_sim_memory taken[2]; /* of the displayed bids, asks */
    chr_sim_memory told;    /* L3: by price, what executions at time told_ns told of, and no trade has repeated yet */
    int64_t told_ns;
    chr_sim_terms terms;
    uint64_t id;
    int64_t *positions;     /* by owner */
    uint32_t owners;
    uint8_t has_trade;
    uint8_t deep;           /* the queue model looks at the levels */
    uint8_t busy;           /* a change of the book can matter: orders rest, stops wait for it, or levels are remembered */
    uint8_t rejoin;         /* the book began anew: places in it are to be reckoned again */
    uint8_t moved;          /* an order is CHR_SIM_MOVED */
} chr_sim_slot;

struct chr_sim {
    chr_sim_event *events;  /* [0 .. count); the caller sets count = 0 */
    uint32_t count, room;
    chr_sim_order *orders;
    uint32_t orders_room, orders_used, orders_free;
    uint32_t open;          /* orders */
    uint32_t first, last;   /* of them, by arrival */
    uint32_t ended;         /* chain of those whose place is not free yet */
    chr_l3_table keys;      /* order key -> place */
    chr_sim_slot *slots;
    uint32_t slots_count, slots_room;
    chr_sim_place *expiries; /* heap by key = expire_ns; `order` may have ended since: stamped by venue_order_id */
    uint64_t *expiry_ids;
    uint32_t expiries_count, expiries_room;
    uint64_t next_order_id, next_trade_id;
    uint64_t random;
    chr_sim_book_fill book_fill; /* NULL = every fill stands */
    void *book_context;
    uint8_t no_memory;
};

#endif
