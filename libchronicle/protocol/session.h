#ifndef CHR_SESSION_H
#define CHR_SESSION_H
/* Session: what a strategy host or router dispatched, in order.
   Generated from chronicle.xml by `python -m libchronicle.protocol.generate`; do not edit. */

#include <stddef.h>
#include <stdint.h>

/* SessionStart: A session begins: configuration, code and clocks it runs with. */
typedef struct __attribute__((packed)) {
    uint64_t session_id;
    int64_t realtime_ns;
    int64_t monotonic_ns;
    uint8_t mode; /* RunMode */
    uint8_t reserved[7];
    uint8_t config_hash[32]; /* BLAKE2b-256 of the configuration as decoded */
    char name[64];
    char code_version[64];
} chr_session_start_t;
_Static_assert(sizeof(chr_session_start_t) == 192, "SessionStart");
_Static_assert(offsetof(chr_session_start_t, session_id) == 0 && offsetof(chr_session_start_t, realtime_ns) == 8 && offsetof(chr_session_start_t, monotonic_ns) == 16 && offsetof(chr_session_start_t, mode) == 24 && offsetof(chr_session_start_t, reserved) == 25 && offsetof(chr_session_start_t, config_hash) == 32 && offsetof(chr_session_start_t, name) == 64 && offsetof(chr_session_start_t, code_version) == 128, "SessionStart");

/* SessionSource: A queue the session reads, and where it began. */
typedef struct __attribute__((packed)) {
    uint64_t queue_id;
    uint64_t start_seq;
    uint32_t epoch;
    uint16_t source; /* rank of the source; ties in time are broken by it */
    uint8_t reserved[2];
    char path[128]; /* relative to the bus root */
} chr_session_source_t;
_Static_assert(sizeof(chr_session_source_t) == 152, "SessionSource");
_Static_assert(offsetof(chr_session_source_t, queue_id) == 0 && offsetof(chr_session_source_t, start_seq) == 8 && offsetof(chr_session_source_t, epoch) == 16 && offsetof(chr_session_source_t, source) == 20 && offsetof(chr_session_source_t, reserved) == 22 && offsetof(chr_session_source_t, path) == 24, "SessionSource");

/* Dispatch: A run of records of one source was dispatched at one time. */
typedef struct __attribute__((packed)) {
    uint64_t first_seq;
    uint64_t last_seq;
    int64_t now_ns;
    uint32_t epoch;
    uint16_t source;
    uint8_t muted; /* 1 = books only, the strategy was not called */
    uint8_t reserved;
} chr_dispatch_t;
_Static_assert(sizeof(chr_dispatch_t) == 32, "Dispatch");
_Static_assert(offsetof(chr_dispatch_t, first_seq) == 0 && offsetof(chr_dispatch_t, last_seq) == 8 && offsetof(chr_dispatch_t, now_ns) == 16 && offsetof(chr_dispatch_t, epoch) == 24 && offsetof(chr_dispatch_t, source) == 28 && offsetof(chr_dispatch_t, muted) == 30 && offsetof(chr_dispatch_t, reserved) == 31, "Dispatch");

/* TimerFired: A timer was dispatched. */
typedef struct __attribute__((packed)) {
    int64_t deadline_ns;
    int64_t now_ns;
    char name[32];
} chr_timer_fired_t;
_Static_assert(sizeof(chr_timer_fired_t) == 48, "TimerFired");
_Static_assert(offsetof(chr_timer_fired_t, deadline_ns) == 0 && offsetof(chr_timer_fired_t, now_ns) == 8 && offsetof(chr_timer_fired_t, name) == 16, "TimerFired");

/* StateChange: A state machine of the session changed state. */
typedef struct __attribute__((packed)) {
    int64_t now_ns;
    uint64_t instrument_id;
    uint8_t machine; /* 1 feed, 2 router, 3 host, 4 book */
    uint8_t from_state;
    uint8_t to_state;
    uint8_t reserved[5];
    char reason[64];
} chr_state_change_t;
_Static_assert(sizeof(chr_state_change_t) == 88, "StateChange");
_Static_assert(offsetof(chr_state_change_t, now_ns) == 0 && offsetof(chr_state_change_t, instrument_id) == 8 && offsetof(chr_state_change_t, machine) == 16 && offsetof(chr_state_change_t, from_state) == 17 && offsetof(chr_state_change_t, to_state) == 18 && offsetof(chr_state_change_t, reserved) == 19 && offsetof(chr_state_change_t, reason) == 24, "StateChange");

/* Parameter: A parameter had this value from here on. */
typedef struct __attribute__((packed)) {
    int64_t now_ns;
    char name[64];
    char value[128];
} chr_parameter_t;
_Static_assert(sizeof(chr_parameter_t) == 200, "Parameter");
_Static_assert(offsetof(chr_parameter_t, now_ns) == 0 && offsetof(chr_parameter_t, name) == 8 && offsetof(chr_parameter_t, value) == 72, "Parameter");

/* KillChange: The kill word changed. */
typedef struct __attribute__((packed)) {
    int64_t now_ns;
    uint8_t killed;
    uint8_t reserved[7];
    char reason[64];
} chr_kill_change_t;
_Static_assert(sizeof(chr_kill_change_t) == 80, "KillChange");
_Static_assert(offsetof(chr_kill_change_t, now_ns) == 0 && offsetof(chr_kill_change_t, killed) == 8 && offsetof(chr_kill_change_t, reserved) == 9 && offsetof(chr_kill_change_t, reason) == 16, "KillChange");

/* SessionStop: The session ended in order. */
typedef struct __attribute__((packed)) {
    int64_t now_ns;
    char reason[64];
} chr_session_stop_t;
_Static_assert(sizeof(chr_session_stop_t) == 72, "SessionStop");
_Static_assert(offsetof(chr_session_stop_t, now_ns) == 0 && offsetof(chr_session_stop_t, reason) == 8, "SessionStop");

/* OpenOrder: carry-over: an order open at session start; positions are carried by PositionReport. */
typedef struct __attribute__((packed)) {
    uint64_t order_queue_id;
    uint64_t order_seq;
    uint64_t instrument_id;
    int64_t price;
    int64_t qty;
    int64_t cum_qty;
    int64_t stop_price;
    int64_t expire_ns; /* GTD only */
    int64_t order_ts; /* append time of the order */
    uint64_t venue_order_id;
    uint32_t order_epoch;
    uint16_t flags; /* OrderFlags */
    uint8_t side; /* Side */
    uint8_t order_type; /* OrderType */
    uint8_t time_in_force; /* TimeInForce */
    uint8_t stp_mode; /* StpMode */
    uint8_t reserved[6];
    char account[16];
    char tag[16];
    int64_t cause_ts; /* append time of the market record that caused the order */
    int64_t place; /* 1 + quantity that must trade at its price before it; 0 = not known */
    uint8_t state; /* 0 not acknowledged, or not said; 1 open; 2 partly filled */
    uint8_t reserved2[7];
} chr_open_order_t;
_Static_assert(sizeof(chr_open_order_t) == 152, "OpenOrder");
_Static_assert(offsetof(chr_open_order_t, order_queue_id) == 0 && offsetof(chr_open_order_t, order_seq) == 8 && offsetof(chr_open_order_t, instrument_id) == 16 && offsetof(chr_open_order_t, price) == 24 && offsetof(chr_open_order_t, qty) == 32 && offsetof(chr_open_order_t, cum_qty) == 40 && offsetof(chr_open_order_t, stop_price) == 48 && offsetof(chr_open_order_t, expire_ns) == 56 && offsetof(chr_open_order_t, order_ts) == 64 && offsetof(chr_open_order_t, venue_order_id) == 72 && offsetof(chr_open_order_t, order_epoch) == 80 && offsetof(chr_open_order_t, flags) == 84 && offsetof(chr_open_order_t, side) == 86 && offsetof(chr_open_order_t, order_type) == 87 && offsetof(chr_open_order_t, time_in_force) == 88 && offsetof(chr_open_order_t, stp_mode) == 89 && offsetof(chr_open_order_t, reserved) == 90 && offsetof(chr_open_order_t, account) == 96 && offsetof(chr_open_order_t, tag) == 112 && offsetof(chr_open_order_t, cause_ts) == 128 && offsetof(chr_open_order_t, place) == 136 && offsetof(chr_open_order_t, state) == 144 && offsetof(chr_open_order_t, reserved2) == 145, "OpenOrder");

/* CarryOver: Ends the Instrument, OpenOrder and PositionReport records right before it: with the strategy's order queues read from these places on, they are all that is known. */
typedef struct __attribute__((packed)) {
    int64_t now_ns;
    uint64_t orders_out_queue_id;
    uint64_t orders_out_seq; /* of the first record that is not in it */
    uint64_t orders_in_queue_id; /* 0 = there was no such queue */
    uint64_t orders_in_seq; /* of the first record that is not in it */
    uint64_t last_exec_id;
    uint32_t orders_out_epoch; /* of the last record that is in it; 0 = none */
    uint32_t orders_in_epoch; /* of the last record that is in it; 0 = none */
    uint32_t open_orders; /* OpenOrder records that belong to it */
    uint32_t positions; /* PositionReport and AccountReport records that belong to it */
    uint32_t instruments; /* Instrument records that belong to it: those of the orders and positions */
    uint8_t reserved[4];
} chr_carry_over_t;
_Static_assert(sizeof(chr_carry_over_t) == 72, "CarryOver");
_Static_assert(offsetof(chr_carry_over_t, now_ns) == 0 && offsetof(chr_carry_over_t, orders_out_queue_id) == 8 && offsetof(chr_carry_over_t, orders_out_seq) == 16 && offsetof(chr_carry_over_t, orders_in_queue_id) == 24 && offsetof(chr_carry_over_t, orders_in_seq) == 32 && offsetof(chr_carry_over_t, last_exec_id) == 40 && offsetof(chr_carry_over_t, orders_out_epoch) == 48 && offsetof(chr_carry_over_t, orders_in_epoch) == 52 && offsetof(chr_carry_over_t, open_orders) == 56 && offsetof(chr_carry_over_t, positions) == 60 && offsetof(chr_carry_over_t, instruments) == 64 && offsetof(chr_carry_over_t, reserved) == 68, "CarryOver");

/* StateChunk: Part of what on_load was given: the JSON that on_save had returned. */
typedef struct __attribute__((packed)) {
    uint32_t total_size; /* bytes of the whole */
    uint32_t offset; /* of this part; what it lacks of 1024 bytes is zero */
    uint8_t data[1024];
} chr_state_chunk_t;
_Static_assert(sizeof(chr_state_chunk_t) == 1032, "StateChunk");
_Static_assert(offsetof(chr_state_chunk_t, total_size) == 0 && offsetof(chr_state_chunk_t, offset) == 4 && offsetof(chr_state_chunk_t, data) == 8, "StateChunk");

#endif
