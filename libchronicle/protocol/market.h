#ifndef CHR_MARKET_H
#define CHR_MARKET_H
/* Market data: instruments, books, trades, order-level events, gaps, venue status.
   Generated from chronicle.xml by `python -m libchronicle.protocol.generate`; do not edit. */

#include <stddef.h>
#include <stdint.h>

/* Instrument: Definition of one instrument; repeated at the head of every raw and clean segment. */
typedef struct __attribute__((packed)) {
    uint64_t instrument_id;
    int64_t tick_size; /* mantissa at priceExponent */
    int64_t lot_size; /* mantissa at qtyExponent */
    int64_t min_qty;
    int64_t max_qty;
    int64_t min_notional; /* mantissa at priceExponent + qtyExponent */
    int64_t contract_size; /* mantissa at qtyExponent */
    int8_t price_exponent;
    int8_t qty_exponent;
    uint8_t contract_kind; /* ContractKind */
    uint8_t book_mode; /* BookMode */
    uint8_t trading; /* 1 while the venue accepts orders */
    uint8_t reserved[3];
    char venue[16];
    char symbol[32];
    char base_currency[16];
    char quote_currency[16];
    char settle_currency[16];
} chr_instrument_t;
_Static_assert(sizeof(chr_instrument_t) == 160, "Instrument");
_Static_assert(offsetof(chr_instrument_t, instrument_id) == 0 && offsetof(chr_instrument_t, tick_size) == 8 && offsetof(chr_instrument_t, lot_size) == 16 && offsetof(chr_instrument_t, min_qty) == 24 && offsetof(chr_instrument_t, max_qty) == 32 && offsetof(chr_instrument_t, min_notional) == 40 && offsetof(chr_instrument_t, contract_size) == 48 && offsetof(chr_instrument_t, price_exponent) == 56 && offsetof(chr_instrument_t, qty_exponent) == 57 && offsetof(chr_instrument_t, contract_kind) == 58 && offsetof(chr_instrument_t, book_mode) == 59 && offsetof(chr_instrument_t, trading) == 60 && offsetof(chr_instrument_t, reserved) == 61 && offsetof(chr_instrument_t, venue) == 64 && offsetof(chr_instrument_t, symbol) == 80 && offsetof(chr_instrument_t, base_currency) == 112 && offsetof(chr_instrument_t, quote_currency) == 128 && offsetof(chr_instrument_t, settle_currency) == 144, "Instrument");

/* BookSnapshot: All levels the venue gave at one update id, best first; the book starts anew from it. Groups: bids, asks. */
typedef struct __attribute__((packed)) {
    uint64_t instrument_id;
    int64_t venue_ts;
    int64_t event_ts;
    int64_t recv_ts;
    uint64_t last_update_id;
    uint64_t raw_seq; /* clean records: seq of the raw record */
    uint16_t flags; /* BookFlags */
    uint8_t reserved[6];
} chr_book_snapshot_t;
_Static_assert(sizeof(chr_book_snapshot_t) == 56, "BookSnapshot");
_Static_assert(offsetof(chr_book_snapshot_t, instrument_id) == 0 && offsetof(chr_book_snapshot_t, venue_ts) == 8 && offsetof(chr_book_snapshot_t, event_ts) == 16 && offsetof(chr_book_snapshot_t, recv_ts) == 24 && offsetof(chr_book_snapshot_t, last_update_id) == 32 && offsetof(chr_book_snapshot_t, raw_seq) == 40 && offsetof(chr_book_snapshot_t, flags) == 48 && offsetof(chr_book_snapshot_t, reserved) == 50, "BookSnapshot");

/* BookDelta: Levels that changed between two update ids; quantity 0 removes a level. Groups: bids, asks. */
typedef struct __attribute__((packed)) {
    uint64_t instrument_id;
    int64_t venue_ts;
    int64_t event_ts;
    int64_t recv_ts;
    uint64_t first_update_id;
    uint64_t last_update_id;
    uint64_t prev_update_id; /* 0 where the venue gives none */
    uint64_t raw_seq;
    uint16_t flags; /* BookFlags */
    uint8_t reserved[6];
} chr_book_delta_t;
_Static_assert(sizeof(chr_book_delta_t) == 72, "BookDelta");
_Static_assert(offsetof(chr_book_delta_t, instrument_id) == 0 && offsetof(chr_book_delta_t, venue_ts) == 8 && offsetof(chr_book_delta_t, event_ts) == 16 && offsetof(chr_book_delta_t, recv_ts) == 24 && offsetof(chr_book_delta_t, first_update_id) == 32 && offsetof(chr_book_delta_t, last_update_id) == 40 && offsetof(chr_book_delta_t, prev_update_id) == 48 && offsetof(chr_book_delta_t, raw_seq) == 56 && offsetof(chr_book_delta_t, flags) == 64 && offsetof(chr_book_delta_t, reserved) == 66, "BookDelta");

/* BestBidAsk: Best price and quantity of both sides. */
typedef struct __attribute__((packed)) {
    uint64_t instrument_id;
    int64_t venue_ts;
    int64_t event_ts;
    int64_t recv_ts;
    uint64_t update_id;
    int64_t bid_price;
    int64_t bid_qty;
    int64_t ask_price;
    int64_t ask_qty;
    uint64_t raw_seq;
} chr_best_bid_ask_t;
_Static_assert(sizeof(chr_best_bid_ask_t) == 80, "BestBidAsk");
_Static_assert(offsetof(chr_best_bid_ask_t, instrument_id) == 0 && offsetof(chr_best_bid_ask_t, venue_ts) == 8 && offsetof(chr_best_bid_ask_t, event_ts) == 16 && offsetof(chr_best_bid_ask_t, recv_ts) == 24 && offsetof(chr_best_bid_ask_t, update_id) == 32 && offsetof(chr_best_bid_ask_t, bid_price) == 40 && offsetof(chr_best_bid_ask_t, bid_qty) == 48 && offsetof(chr_best_bid_ask_t, ask_price) == 56 && offsetof(chr_best_bid_ask_t, ask_qty) == 64 && offsetof(chr_best_bid_ask_t, raw_seq) == 72, "BestBidAsk");

/* Trade: One trade as the venue published it. */
typedef struct __attribute__((packed)) {
    uint64_t instrument_id;
    int64_t venue_ts;
    int64_t event_ts;
    int64_t recv_ts;
    uint64_t trade_id;
    int64_t price;
    int64_t qty;
    uint64_t raw_seq;
    uint8_t aggressor; /* Side */
    uint8_t reserved[7];
} chr_trade_t;
_Static_assert(sizeof(chr_trade_t) == 72, "Trade");
_Static_assert(offsetof(chr_trade_t, instrument_id) == 0 && offsetof(chr_trade_t, venue_ts) == 8 && offsetof(chr_trade_t, event_ts) == 16 && offsetof(chr_trade_t, recv_ts) == 24 && offsetof(chr_trade_t, trade_id) == 32 && offsetof(chr_trade_t, price) == 40 && offsetof(chr_trade_t, qty) == 48 && offsetof(chr_trade_t, raw_seq) == 56 && offsetof(chr_trade_t, aggressor) == 64 && offsetof(chr_trade_t, reserved) == 65, "Trade");

/* OrderAdd: Order-level (L3): an order entered the book. */
typedef struct __attribute__((packed)) {
    uint64_t instrument_id;
    int64_t venue_ts;
    int64_t event_ts;
    int64_t recv_ts;
    uint64_t venue_seq;
    uint64_t order_id;
    int64_t price;
    int64_t qty;
    uint64_t raw_seq;
    uint8_t side; /* Side */
    uint8_t reserved[7];
    uint16_t flags; /* OrderBookFlags */
    uint8_t reserved2[6];
} chr_order_add_t;
_Static_assert(sizeof(chr_order_add_t) == 88, "OrderAdd");
_Static_assert(offsetof(chr_order_add_t, instrument_id) == 0 && offsetof(chr_order_add_t, venue_ts) == 8 && offsetof(chr_order_add_t, event_ts) == 16 && offsetof(chr_order_add_t, recv_ts) == 24 && offsetof(chr_order_add_t, venue_seq) == 32 && offsetof(chr_order_add_t, order_id) == 40 && offsetof(chr_order_add_t, price) == 48 && offsetof(chr_order_add_t, qty) == 56 && offsetof(chr_order_add_t, raw_seq) == 64 && offsetof(chr_order_add_t, side) == 72 && offsetof(chr_order_add_t, reserved) == 73 && offsetof(chr_order_add_t, flags) == 80 && offsetof(chr_order_add_t, reserved2) == 82, "OrderAdd");

/* OrderModify: Order-level (L3): an order changed price or quantity. */
typedef struct __attribute__((packed)) {
    uint64_t instrument_id;
    int64_t venue_ts;
    int64_t event_ts;
    int64_t recv_ts;
    uint64_t venue_seq;
    uint64_t order_id;
    uint64_t new_order_id; /* same as orderId where the venue keeps it */
    int64_t price;
    int64_t qty;
    uint64_t raw_seq;
    uint8_t side; /* Side */
    uint8_t reserved[7];
    uint16_t flags; /* OrderBookFlags */
    uint8_t reserved2[6];
} chr_order_modify_t;
_Static_assert(sizeof(chr_order_modify_t) == 96, "OrderModify");
_Static_assert(offsetof(chr_order_modify_t, instrument_id) == 0 && offsetof(chr_order_modify_t, venue_ts) == 8 && offsetof(chr_order_modify_t, event_ts) == 16 && offsetof(chr_order_modify_t, recv_ts) == 24 && offsetof(chr_order_modify_t, venue_seq) == 32 && offsetof(chr_order_modify_t, order_id) == 40 && offsetof(chr_order_modify_t, new_order_id) == 48 && offsetof(chr_order_modify_t, price) == 56 && offsetof(chr_order_modify_t, qty) == 64 && offsetof(chr_order_modify_t, raw_seq) == 72 && offsetof(chr_order_modify_t, side) == 80 && offsetof(chr_order_modify_t, reserved) == 81 && offsetof(chr_order_modify_t, flags) == 88 && offsetof(chr_order_modify_t, reserved2) == 90, "OrderModify");

/* OrderDelete: Order-level (L3): an order, or part of it, left the book unfilled. */
typedef struct __attribute__((packed)) {
    uint64_t instrument_id;
    int64_t venue_ts;
    int64_t event_ts;
    int64_t recv_ts;
    uint64_t venue_seq;
    uint64_t order_id;
    int64_t qty; /* quantity cancelled; 0 = all that is left */
    uint64_t raw_seq;
    uint8_t side; /* Side */
    uint8_t reserved[7];
} chr_order_delete_t;
_Static_assert(sizeof(chr_order_delete_t) == 72, "OrderDelete");
_Static_assert(offsetof(chr_order_delete_t, instrument_id) == 0 && offsetof(chr_order_delete_t, venue_ts) == 8 && offsetof(chr_order_delete_t, event_ts) == 16 && offsetof(chr_order_delete_t, recv_ts) == 24 && offsetof(chr_order_delete_t, venue_seq) == 32 && offsetof(chr_order_delete_t, order_id) == 40 && offsetof(chr_order_delete_t, qty) == 48 && offsetof(chr_order_delete_t, raw_seq) == 56 && offsetof(chr_order_delete_t, side) == 64 && offsetof(chr_order_delete_t, reserved) == 65, "OrderDelete");

/* OrderExecute: Order-level (L3): an order in the book was filled, wholly or in part. */
typedef struct __attribute__((packed)) {
    uint64_t instrument_id;
    int64_t venue_ts;
    int64_t event_ts;
    int64_t recv_ts;
    uint64_t venue_seq;
    uint64_t order_id;
    uint64_t trade_id;
    int64_t price;
    int64_t qty;
    uint64_t raw_seq;
    uint8_t side; /* Side */
    uint8_t reserved[7];
} chr_order_execute_t;
_Static_assert(sizeof(chr_order_execute_t) == 88, "OrderExecute");
_Static_assert(offsetof(chr_order_execute_t, instrument_id) == 0 && offsetof(chr_order_execute_t, venue_ts) == 8 && offsetof(chr_order_execute_t, event_ts) == 16 && offsetof(chr_order_execute_t, recv_ts) == 24 && offsetof(chr_order_execute_t, venue_seq) == 32 && offsetof(chr_order_execute_t, order_id) == 40 && offsetof(chr_order_execute_t, trade_id) == 48 && offsetof(chr_order_execute_t, price) == 56 && offsetof(chr_order_execute_t, qty) == 64 && offsetof(chr_order_execute_t, raw_seq) == 72 && offsetof(chr_order_execute_t, side) == 80 && offsetof(chr_order_execute_t, reserved) == 81, "OrderExecute");

/* BookReset: The book is empty from here on and invalid until a snapshot. */
typedef struct __attribute__((packed)) {
    uint64_t instrument_id;
    int64_t venue_ts;
    int64_t recv_ts;
    uint64_t raw_seq;
    uint8_t reason; /* GapReason */
    uint8_t reserved[7];
} chr_book_reset_t;
_Static_assert(sizeof(chr_book_reset_t) == 40, "BookReset");
_Static_assert(offsetof(chr_book_reset_t, instrument_id) == 0 && offsetof(chr_book_reset_t, venue_ts) == 8 && offsetof(chr_book_reset_t, recv_ts) == 16 && offsetof(chr_book_reset_t, raw_seq) == 24 && offsetof(chr_book_reset_t, reason) == 32 && offsetof(chr_book_reset_t, reserved) == 33, "BookReset");

/* Gap: Records of this instrument are missing before this one; books are invalid until a snapshot. */
typedef struct __attribute__((packed)) {
    uint64_t instrument_id; /* 0 = all of the feed */
    int64_t recv_ts;
    uint64_t expected_id;
    uint64_t received_id;
    uint64_t raw_seq;
    uint8_t reason; /* GapReason */
    uint8_t reserved[7];
} chr_gap_t;
_Static_assert(sizeof(chr_gap_t) == 48, "Gap");
_Static_assert(offsetof(chr_gap_t, instrument_id) == 0 && offsetof(chr_gap_t, recv_ts) == 8 && offsetof(chr_gap_t, expected_id) == 16 && offsetof(chr_gap_t, received_id) == 24 && offsetof(chr_gap_t, raw_seq) == 32 && offsetof(chr_gap_t, reason) == 40 && offsetof(chr_gap_t, reserved) == 41, "Gap");

/* Heartbeat: Nothing happened; the writer lives. */
typedef struct __attribute__((packed)) {
    int64_t ts;
    uint64_t count;
} chr_heartbeat_t;
_Static_assert(sizeof(chr_heartbeat_t) == 16, "Heartbeat");
_Static_assert(offsetof(chr_heartbeat_t, ts) == 0 && offsetof(chr_heartbeat_t, count) == 8, "Heartbeat");

/* VenueStatus: State of the venue connection, or of one instrument. */
typedef struct __attribute__((packed)) {
    uint64_t instrument_id; /* 0 = the whole venue */
    int64_t recv_ts;
    uint8_t state; /* VenueState */
    uint8_t reserved[7];
    char venue[16];
    char reason[64];
} chr_venue_status_t;
_Static_assert(sizeof(chr_venue_status_t) == 104, "VenueStatus");
_Static_assert(offsetof(chr_venue_status_t, instrument_id) == 0 && offsetof(chr_venue_status_t, recv_ts) == 8 && offsetof(chr_venue_status_t, state) == 16 && offsetof(chr_venue_status_t, reserved) == 17 && offsetof(chr_venue_status_t, venue) == 24 && offsetof(chr_venue_status_t, reason) == 40, "VenueStatus");

/* PhaseChange: The market of an instrument enters another trading phase. */
typedef struct __attribute__((packed)) {
    uint64_t instrument_id; /* 0 = the whole venue */
    int64_t venue_ts;
    int64_t event_ts;
    int64_t recv_ts;
    uint64_t venue_seq; /* place in the venue's channel */
    uint64_t raw_seq;
    uint8_t phase; /* TradingPhase */
    uint8_t reserved;
    uint16_t flags; /* PhaseFlags */
    uint8_t reserved2[4];
} chr_phase_change_t;
_Static_assert(sizeof(chr_phase_change_t) == 56, "PhaseChange");
_Static_assert(offsetof(chr_phase_change_t, instrument_id) == 0 && offsetof(chr_phase_change_t, venue_ts) == 8 && offsetof(chr_phase_change_t, event_ts) == 16 && offsetof(chr_phase_change_t, recv_ts) == 24 && offsetof(chr_phase_change_t, venue_seq) == 32 && offsetof(chr_phase_change_t, raw_seq) == 40 && offsetof(chr_phase_change_t, phase) == 48 && offsetof(chr_phase_change_t, reserved) == 49 && offsetof(chr_phase_change_t, flags) == 50 && offsetof(chr_phase_change_t, reserved2) == 52, "PhaseChange");

/* AuctionInfo: At which price and volume an auction would clear, or did. */
typedef struct __attribute__((packed)) {
    uint64_t instrument_id;
    int64_t venue_ts;
    int64_t event_ts;
    int64_t recv_ts;
    uint64_t venue_seq;
    int64_t price; /* at which most would trade */
    int64_t qty; /* that would trade there */
    int64_t imbalance_qty; /* that would find no counterpart at that price */
    int64_t reference_price; /* of the venue, to choose among equals; 0 = not said */
    int64_t far_price; /* at which the auction's own orders alone would clear; 0 = not said */
    uint64_t raw_seq;
    uint8_t imbalance_side; /* Side */
    uint8_t phase; /* TradingPhase: the auction meant */
    uint16_t flags; /* AuctionFlags */
    uint8_t reserved[4];
} chr_auction_info_t;
_Static_assert(sizeof(chr_auction_info_t) == 96, "AuctionInfo");
_Static_assert(offsetof(chr_auction_info_t, instrument_id) == 0 && offsetof(chr_auction_info_t, venue_ts) == 8 && offsetof(chr_auction_info_t, event_ts) == 16 && offsetof(chr_auction_info_t, recv_ts) == 24 && offsetof(chr_auction_info_t, venue_seq) == 32 && offsetof(chr_auction_info_t, price) == 40 && offsetof(chr_auction_info_t, qty) == 48 && offsetof(chr_auction_info_t, imbalance_qty) == 56 && offsetof(chr_auction_info_t, reference_price) == 64 && offsetof(chr_auction_info_t, far_price) == 72 && offsetof(chr_auction_info_t, raw_seq) == 80 && offsetof(chr_auction_info_t, imbalance_side) == 88 && offsetof(chr_auction_info_t, phase) == 89 && offsetof(chr_auction_info_t, flags) == 90 && offsetof(chr_auction_info_t, reserved) == 92, "AuctionInfo");

#endif
