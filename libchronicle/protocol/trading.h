#ifndef CHR_TRADING_H
#define CHR_TRADING_H
/* Trading: orders, reports, positions, accounts, risk, operator commands.
   Generated from chronicle.xml by `python -m libchronicle.protocol.generate`; do not edit. */

#include <stddef.h>
#include <stdint.h>

/* NewOrder: A strategy asks for an order. */
typedef struct __attribute__((packed)) {
    uint64_t instrument_id;
    int64_t price;
    int64_t qty;
    int64_t stop_price;
    int64_t valid_until_ns; /* the router rejects STALE after this; 0 = router default */
    int64_t expire_ns; /* GTD only */
    uint64_t cause_queue_id;
    uint64_t cause_seq;
    int64_t cause_ts; /* append time of the cause */
    uint64_t parent_seq;
    uint32_t cause_epoch;
    uint32_t parent_epoch; /* 0 = no parent */
    uint16_t flags; /* OrderFlags */
    uint8_t side; /* Side */
    uint8_t order_type; /* OrderType */
    uint8_t time_in_force; /* TimeInForce */
    uint8_t stp_mode; /* StpMode */
    uint8_t reserved[2];
    char account[16];
    char tag[16];
} chr_new_order_t;
_Static_assert(sizeof(chr_new_order_t) == 128, "NewOrder");
_Static_assert(offsetof(chr_new_order_t, instrument_id) == 0 && offsetof(chr_new_order_t, price) == 8 && offsetof(chr_new_order_t, qty) == 16 && offsetof(chr_new_order_t, stop_price) == 24 && offsetof(chr_new_order_t, valid_until_ns) == 32 && offsetof(chr_new_order_t, expire_ns) == 40 && offsetof(chr_new_order_t, cause_queue_id) == 48 && offsetof(chr_new_order_t, cause_seq) == 56 && offsetof(chr_new_order_t, cause_ts) == 64 && offsetof(chr_new_order_t, parent_seq) == 72 && offsetof(chr_new_order_t, cause_epoch) == 80 && offsetof(chr_new_order_t, parent_epoch) == 84 && offsetof(chr_new_order_t, flags) == 88 && offsetof(chr_new_order_t, side) == 90 && offsetof(chr_new_order_t, order_type) == 91 && offsetof(chr_new_order_t, time_in_force) == 92 && offsetof(chr_new_order_t, stp_mode) == 93 && offsetof(chr_new_order_t, reserved) == 94 && offsetof(chr_new_order_t, account) == 96 && offsetof(chr_new_order_t, tag) == 112, "NewOrder");

/* CancelOrder: A strategy asks for one of its orders to be cancelled. */
typedef struct __attribute__((packed)) {
    uint64_t instrument_id;
    uint64_t order_seq;
    int64_t valid_until_ns;
    uint64_t cause_queue_id;
    uint64_t cause_seq;
    int64_t cause_ts;
    uint32_t cause_epoch;
    uint32_t order_epoch;
} chr_cancel_order_t;
_Static_assert(sizeof(chr_cancel_order_t) == 56, "CancelOrder");
_Static_assert(offsetof(chr_cancel_order_t, instrument_id) == 0 && offsetof(chr_cancel_order_t, order_seq) == 8 && offsetof(chr_cancel_order_t, valid_until_ns) == 16 && offsetof(chr_cancel_order_t, cause_queue_id) == 24 && offsetof(chr_cancel_order_t, cause_seq) == 32 && offsetof(chr_cancel_order_t, cause_ts) == 40 && offsetof(chr_cancel_order_t, cause_epoch) == 48 && offsetof(chr_cancel_order_t, order_epoch) == 52, "CancelOrder");

/* ReplaceOrder: A strategy asks for a new price or quantity of one of its orders. */
typedef struct __attribute__((packed)) {
    uint64_t instrument_id;
    uint64_t order_seq;
    int64_t price;
    int64_t qty; /* new total quantity */
    int64_t valid_until_ns;
    uint64_t cause_queue_id;
    uint64_t cause_seq;
    int64_t cause_ts;
    uint32_t cause_epoch;
    uint32_t order_epoch;
} chr_replace_order_t;
_Static_assert(sizeof(chr_replace_order_t) == 72, "ReplaceOrder");
_Static_assert(offsetof(chr_replace_order_t, instrument_id) == 0 && offsetof(chr_replace_order_t, order_seq) == 8 && offsetof(chr_replace_order_t, price) == 16 && offsetof(chr_replace_order_t, qty) == 24 && offsetof(chr_replace_order_t, valid_until_ns) == 32 && offsetof(chr_replace_order_t, cause_queue_id) == 40 && offsetof(chr_replace_order_t, cause_seq) == 48 && offsetof(chr_replace_order_t, cause_ts) == 56 && offsetof(chr_replace_order_t, cause_epoch) == 64 && offsetof(chr_replace_order_t, order_epoch) == 68, "ReplaceOrder");

/* CancelAll: A strategy asks for all its orders to be cancelled. */
typedef struct __attribute__((packed)) {
    uint64_t instrument_id; /* 0 = every instrument */
    int64_t cause_ts;
    char reason[32];
} chr_cancel_all_t;
_Static_assert(sizeof(chr_cancel_all_t) == 48, "CancelAll");
_Static_assert(offsetof(chr_cancel_all_t, instrument_id) == 0 && offsetof(chr_cancel_all_t, cause_ts) == 8 && offsetof(chr_cancel_all_t, reason) == 16, "CancelAll");

/* Submitted: Router journal: appended before the request leaves. */
typedef struct __attribute__((packed)) {
    uint64_t order_queue_id;
    uint64_t order_seq;
    uint64_t instrument_id;
    uint32_t order_epoch;
    uint16_t request_template; /* template of the request: 20 to 23 */
    uint8_t reserved[2];
    char gateway[16];
    char client_order_id[32];
    int64_t place; /* 1 + quantity displayed at the price asked for: what stands before it should it rest; 0 = not known */
} chr_submitted_t;
_Static_assert(sizeof(chr_submitted_t) == 88, "Submitted");
_Static_assert(offsetof(chr_submitted_t, order_queue_id) == 0 && offsetof(chr_submitted_t, order_seq) == 8 && offsetof(chr_submitted_t, instrument_id) == 16 && offsetof(chr_submitted_t, order_epoch) == 24 && offsetof(chr_submitted_t, request_template) == 28 && offsetof(chr_submitted_t, reserved) == 30 && offsetof(chr_submitted_t, gateway) == 32 && offsetof(chr_submitted_t, client_order_id) == 48 && offsetof(chr_submitted_t, place) == 80, "Submitted");

/* ExecutionReport: What became of an order or of a request to change it. */
typedef struct __attribute__((packed)) {
    uint64_t order_queue_id;
    uint64_t order_seq;
    uint64_t instrument_id;
    uint64_t exec_id; /* contiguous per strategy; the same report never has two */
    uint64_t venue_order_id;
    uint64_t trade_id;
    int64_t price; /* limit price of the order as it stands */
    int64_t qty; /* total quantity of the order as it stands */
    int64_t last_price;
    int64_t last_qty;
    int64_t cum_qty;
    int64_t leaves_qty;
    int64_t fee; /* mantissa at feeExponent; negative = rebate */
    int64_t venue_ts;
    int64_t order_ts; /* append time of the order */
    int64_t cause_ts; /* append time of the market record that caused the order */
    uint64_t request_seq; /* record in orders_out this answers: the order, its cancel or replace */
    uint32_t order_epoch;
    uint16_t reject_code; /* RejectCode */
    uint16_t flags; /* ReportFlags */
    uint8_t exec_type; /* ExecType */
    uint8_t side; /* Side */
    uint8_t liquidity; /* Liquidity */
    int8_t fee_exponent;
    uint8_t reserved[4];
    char fee_currency[16];
    char text[32];
} chr_execution_report_t;
_Static_assert(sizeof(chr_execution_report_t) == 200, "ExecutionReport");
_Static_assert(offsetof(chr_execution_report_t, order_queue_id) == 0 && offsetof(chr_execution_report_t, order_seq) == 8 && offsetof(chr_execution_report_t, instrument_id) == 16 && offsetof(chr_execution_report_t, exec_id) == 24 && offsetof(chr_execution_report_t, venue_order_id) == 32 && offsetof(chr_execution_report_t, trade_id) == 40 && offsetof(chr_execution_report_t, price) == 48 && offsetof(chr_execution_report_t, qty) == 56 && offsetof(chr_execution_report_t, last_price) == 64 && offsetof(chr_execution_report_t, last_qty) == 72 && offsetof(chr_execution_report_t, cum_qty) == 80 && offsetof(chr_execution_report_t, leaves_qty) == 88 && offsetof(chr_execution_report_t, fee) == 96 && offsetof(chr_execution_report_t, venue_ts) == 104 && offsetof(chr_execution_report_t, order_ts) == 112 && offsetof(chr_execution_report_t, cause_ts) == 120 && offsetof(chr_execution_report_t, request_seq) == 128 && offsetof(chr_execution_report_t, order_epoch) == 136 && offsetof(chr_execution_report_t, reject_code) == 140 && offsetof(chr_execution_report_t, flags) == 142 && offsetof(chr_execution_report_t, exec_type) == 144 && offsetof(chr_execution_report_t, side) == 145 && offsetof(chr_execution_report_t, liquidity) == 146 && offsetof(chr_execution_report_t, fee_exponent) == 147 && offsetof(chr_execution_report_t, reserved) == 148 && offsetof(chr_execution_report_t, fee_currency) == 152 && offsetof(chr_execution_report_t, text) == 168, "ExecutionReport");

/* PositionReport: Position of one strategy in one instrument. */
typedef struct __attribute__((packed)) {
    uint64_t instrument_id;
    int64_t ts;
    int64_t qty; /* signed */
    int64_t avg_price; /* average entry price, mantissa at priceExponent */
    int64_t realized_pnl; /* mantissa at pnlExponent, before fees */
    int64_t fees; /* mantissa at pnlExponent */
    uint64_t last_exec_id;
    uint16_t flags; /* ReportFlags */
    int8_t pnl_exponent;
    uint8_t reserved[5];
    char account[16];
    int64_t open_cost; /* exact signed cost of the open quantity, mantissa at pnlExponent: average cost survives a restart without rounding */
} chr_position_report_t;
_Static_assert(sizeof(chr_position_report_t) == 88, "PositionReport");
_Static_assert(offsetof(chr_position_report_t, instrument_id) == 0 && offsetof(chr_position_report_t, ts) == 8 && offsetof(chr_position_report_t, qty) == 16 && offsetof(chr_position_report_t, avg_price) == 24 && offsetof(chr_position_report_t, realized_pnl) == 32 && offsetof(chr_position_report_t, fees) == 40 && offsetof(chr_position_report_t, last_exec_id) == 48 && offsetof(chr_position_report_t, flags) == 56 && offsetof(chr_position_report_t, pnl_exponent) == 58 && offsetof(chr_position_report_t, reserved) == 59 && offsetof(chr_position_report_t, account) == 64 && offsetof(chr_position_report_t, open_cost) == 80, "PositionReport");

/* AccountReport: Balance of one currency of an account. */
typedef struct __attribute__((packed)) {
    int64_t ts;
    int64_t balance;
    int64_t available;
    int8_t exponent;
    uint8_t reserved[7];
    char account[16];
    char currency[16];
} chr_account_report_t;
_Static_assert(sizeof(chr_account_report_t) == 64, "AccountReport");
_Static_assert(offsetof(chr_account_report_t, ts) == 0 && offsetof(chr_account_report_t, balance) == 8 && offsetof(chr_account_report_t, available) == 16 && offsetof(chr_account_report_t, exponent) == 24 && offsetof(chr_account_report_t, reserved) == 25 && offsetof(chr_account_report_t, account) == 32 && offsetof(chr_account_report_t, currency) == 48, "AccountReport");

/* RiskEvent: A limit was hit. */
typedef struct __attribute__((packed)) {
    uint64_t instrument_id;
    int64_t ts;
    int64_t limit_value;
    int64_t actual_value;
    uint16_t code; /* RejectCode */
    uint8_t reserved[6];
    char strategy[32];
    char text[64];
} chr_risk_event_t;
_Static_assert(sizeof(chr_risk_event_t) == 136, "RiskEvent");
_Static_assert(offsetof(chr_risk_event_t, instrument_id) == 0 && offsetof(chr_risk_event_t, ts) == 8 && offsetof(chr_risk_event_t, limit_value) == 16 && offsetof(chr_risk_event_t, actual_value) == 24 && offsetof(chr_risk_event_t, code) == 32 && offsetof(chr_risk_event_t, reserved) == 34 && offsetof(chr_risk_event_t, strategy) == 40 && offsetof(chr_risk_event_t, text) == 72, "RiskEvent");

/* ControlCommand: A command of an operator, with who gave it and why. */
typedef struct __attribute__((packed)) {
    int64_t ts;
    uint32_t uid;
    uint32_t pid;
    uint8_t command; /* Command */
    uint8_t reserved[7];
    char user[32];
    char host[32];
    char target[64]; /* strategy, symbol or parameter name; empty = all */
    char value[128];
    char reason[128];
} chr_control_command_t;
_Static_assert(sizeof(chr_control_command_t) == 408, "ControlCommand");
_Static_assert(offsetof(chr_control_command_t, ts) == 0 && offsetof(chr_control_command_t, uid) == 8 && offsetof(chr_control_command_t, pid) == 12 && offsetof(chr_control_command_t, command) == 16 && offsetof(chr_control_command_t, reserved) == 17 && offsetof(chr_control_command_t, user) == 24 && offsetof(chr_control_command_t, host) == 56 && offsetof(chr_control_command_t, target) == 88 && offsetof(chr_control_command_t, value) == 152 && offsetof(chr_control_command_t, reason) == 280, "ControlCommand");

#endif
