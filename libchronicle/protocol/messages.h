#ifndef CHR_MESSAGES_H
#define CHR_MESSAGES_H
/* Chronicle's message ABI: templates, headers, structs of every fixed block.
   Generated from chronicle.xml by `python -m libchronicle.protocol.generate`; do not edit. */

#include "enums.h"
#include "market.h"
#include "trading.h"
#include "session.h"

enum {
    CHR_SCHEMA_ID = 4347,
    CHR_SCHEMA_VERSION = 3,
    /* templates: type_id of the frame */
    CHR_INSTRUMENT = 1,
    CHR_BOOK_SNAPSHOT = 2,
    CHR_BOOK_DELTA = 3,
    CHR_BEST_BID_ASK = 4,
    CHR_TRADE = 5,
    CHR_ORDER_ADD = 6,
    CHR_ORDER_MODIFY = 7,
    CHR_ORDER_DELETE = 8,
    CHR_ORDER_EXECUTE = 9,
    CHR_BOOK_RESET = 10,
    CHR_GAP = 11,
    CHR_HEARTBEAT = 12,
    CHR_VENUE_STATUS = 13,
    CHR_PHASE_CHANGE = 14,
    CHR_AUCTION_INFO = 15,
    CHR_NEW_ORDER = 20,
    CHR_CANCEL_ORDER = 21,
    CHR_REPLACE_ORDER = 22,
    CHR_CANCEL_ALL = 23,
    CHR_SUBMITTED = 24,
    CHR_EXECUTION_REPORT = 25,
    CHR_POSITION_REPORT = 26,
    CHR_ACCOUNT_REPORT = 27,
    CHR_RISK_EVENT = 28,
    CHR_CONTROL_COMMAND = 30,
    CHR_SESSION_START = 40,
    CHR_SESSION_SOURCE = 41,
    CHR_DISPATCH = 42,
    CHR_TIMER_FIRED = 43,
    CHR_STATE_CHANGE = 44,
    CHR_PARAMETER = 45,
    CHR_KILL_CHANGE = 46,
    CHR_SESSION_STOP = 47,
    CHR_OPEN_ORDER = 48,
    CHR_CARRY_OVER = 49,
    CHR_STATE_CHUNK = 50,
    /* length of the fixed block */
    CHR_INSTRUMENT_BLOCK = 160,
    CHR_BOOK_SNAPSHOT_BLOCK = 56,
    CHR_BOOK_DELTA_BLOCK = 72,
    CHR_BEST_BID_ASK_BLOCK = 80,
    CHR_TRADE_BLOCK = 72,
    CHR_ORDER_ADD_BLOCK = 88,
    CHR_ORDER_MODIFY_BLOCK = 96,
    CHR_ORDER_DELETE_BLOCK = 72,
    CHR_ORDER_EXECUTE_BLOCK = 88,
    CHR_BOOK_RESET_BLOCK = 40,
    CHR_GAP_BLOCK = 48,
    CHR_HEARTBEAT_BLOCK = 16,
    CHR_VENUE_STATUS_BLOCK = 104,
    CHR_PHASE_CHANGE_BLOCK = 56,
    CHR_AUCTION_INFO_BLOCK = 96,
    CHR_NEW_ORDER_BLOCK = 128,
    CHR_CANCEL_ORDER_BLOCK = 56,
    CHR_REPLACE_ORDER_BLOCK = 72,
    CHR_CANCEL_ALL_BLOCK = 48,
    CHR_SUBMITTED_BLOCK = 88,
    CHR_EXECUTION_REPORT_BLOCK = 200,
    CHR_POSITION_REPORT_BLOCK = 88,
    CHR_ACCOUNT_REPORT_BLOCK = 64,
    CHR_RISK_EVENT_BLOCK = 136,
    CHR_CONTROL_COMMAND_BLOCK = 408,
    CHR_SESSION_START_BLOCK = 192,
    CHR_SESSION_SOURCE_BLOCK = 152,
    CHR_DISPATCH_BLOCK = 32,
    CHR_TIMER_FIRED_BLOCK = 48,
    CHR_STATE_CHANGE_BLOCK = 88,
    CHR_PARAMETER_BLOCK = 200,
    CHR_KILL_CHANGE_BLOCK = 80,
    CHR_SESSION_STOP_BLOCK = 72,
    CHR_OPEN_ORDER_BLOCK = 152,
    CHR_CARRY_OVER_BLOCK = 72,
    CHR_STATE_CHUNK_BLOCK = 1032,
};

/* Every payload: this header, the fixed block, then the groups, each led by its own header. */
typedef struct __attribute__((packed)) {
    uint16_t block_length, template_id, schema_id, version;
} chr_sbe_header_t;

typedef struct __attribute__((packed)) {
    uint16_t block_length, num_in_group, num_groups, num_var_data_fields;
} chr_group_t;

/* One entry of the groups `bids` and `asks`: mantissas at the instrument's exponents. */
typedef struct __attribute__((packed)) {
    int64_t price, qty;
} chr_level_t;

_Static_assert(sizeof(chr_sbe_header_t) == 8, "sbe header");
_Static_assert(sizeof(chr_group_t) == 8, "group header");
_Static_assert(sizeof(chr_level_t) == 16, "level");

/* Where a payload of this type holds its instrument id; 0 = nowhere. */
static inline uint32_t chr_instrument_offset(uint16_t type_id) {
    switch (type_id) {
    case CHR_INSTRUMENT:
    case CHR_BOOK_SNAPSHOT:
    case CHR_BOOK_DELTA:
    case CHR_BEST_BID_ASK:
    case CHR_TRADE:
    case CHR_ORDER_ADD:
    case CHR_ORDER_MODIFY:
    case CHR_ORDER_DELETE:
    case CHR_ORDER_EXECUTE:
    case CHR_BOOK_RESET:
    case CHR_GAP:
    case CHR_VENUE_STATUS:
    case CHR_PHASE_CHANGE:
    case CHR_AUCTION_INFO:
    case CHR_NEW_ORDER:
    case CHR_CANCEL_ORDER:
    case CHR_REPLACE_ORDER:
    case CHR_CANCEL_ALL:
    case CHR_POSITION_REPORT:
    case CHR_RISK_EVENT:
        return 8;
    case CHR_STATE_CHANGE:
        return 16;
    case CHR_SUBMITTED:
    case CHR_EXECUTION_REPORT:
    case CHR_OPEN_ORDER:
        return 24;
    default:
        return 0;
    }
}

/* Where a payload of this type holds its seq of the raw record it was made of; 0 = nowhere. */
static inline uint32_t chr_raw_seq_offset(uint16_t type_id) {
    switch (type_id) {
    case CHR_BOOK_RESET:
        return 32;
    case CHR_GAP:
        return 40;
    case CHR_BOOK_SNAPSHOT:
    case CHR_PHASE_CHANGE:
        return 48;
    case CHR_BOOK_DELTA:
    case CHR_TRADE:
    case CHR_ORDER_DELETE:
        return 64;
    case CHR_ORDER_ADD:
        return 72;
    case CHR_BEST_BID_ASK:
    case CHR_ORDER_MODIFY:
    case CHR_ORDER_EXECUTE:
        return 80;
    case CHR_AUCTION_INFO:
        return 88;
    default:
        return 0;
    }
}

/* Length of the fixed block of a template; 0 = unknown template. */
static inline uint16_t chr_block_length(uint16_t type_id) {
    switch (type_id) {
    case CHR_INSTRUMENT: return CHR_INSTRUMENT_BLOCK;
    case CHR_BOOK_SNAPSHOT: return CHR_BOOK_SNAPSHOT_BLOCK;
    case CHR_BOOK_DELTA: return CHR_BOOK_DELTA_BLOCK;
    case CHR_BEST_BID_ASK: return CHR_BEST_BID_ASK_BLOCK;
    case CHR_TRADE: return CHR_TRADE_BLOCK;
    case CHR_ORDER_ADD: return CHR_ORDER_ADD_BLOCK;
    case CHR_ORDER_MODIFY: return CHR_ORDER_MODIFY_BLOCK;
    case CHR_ORDER_DELETE: return CHR_ORDER_DELETE_BLOCK;
    case CHR_ORDER_EXECUTE: return CHR_ORDER_EXECUTE_BLOCK;
    case CHR_BOOK_RESET: return CHR_BOOK_RESET_BLOCK;
    case CHR_GAP: return CHR_GAP_BLOCK;
    case CHR_HEARTBEAT: return CHR_HEARTBEAT_BLOCK;
    case CHR_VENUE_STATUS: return CHR_VENUE_STATUS_BLOCK;
    case CHR_PHASE_CHANGE: return CHR_PHASE_CHANGE_BLOCK;
    case CHR_AUCTION_INFO: return CHR_AUCTION_INFO_BLOCK;
    case CHR_NEW_ORDER: return CHR_NEW_ORDER_BLOCK;
    case CHR_CANCEL_ORDER: return CHR_CANCEL_ORDER_BLOCK;
    case CHR_REPLACE_ORDER: return CHR_REPLACE_ORDER_BLOCK;
    case CHR_CANCEL_ALL: return CHR_CANCEL_ALL_BLOCK;
    case CHR_SUBMITTED: return CHR_SUBMITTED_BLOCK;
    case CHR_EXECUTION_REPORT: return CHR_EXECUTION_REPORT_BLOCK;
    case CHR_POSITION_REPORT: return CHR_POSITION_REPORT_BLOCK;
    case CHR_ACCOUNT_REPORT: return CHR_ACCOUNT_REPORT_BLOCK;
    case CHR_RISK_EVENT: return CHR_RISK_EVENT_BLOCK;
    case CHR_CONTROL_COMMAND: return CHR_CONTROL_COMMAND_BLOCK;
    case CHR_SESSION_START: return CHR_SESSION_START_BLOCK;
    case CHR_SESSION_SOURCE: return CHR_SESSION_SOURCE_BLOCK;
    case CHR_DISPATCH: return CHR_DISPATCH_BLOCK;
    case CHR_TIMER_FIRED: return CHR_TIMER_FIRED_BLOCK;
    case CHR_STATE_CHANGE: return CHR_STATE_CHANGE_BLOCK;
    case CHR_PARAMETER: return CHR_PARAMETER_BLOCK;
    case CHR_KILL_CHANGE: return CHR_KILL_CHANGE_BLOCK;
    case CHR_SESSION_STOP: return CHR_SESSION_STOP_BLOCK;
    case CHR_OPEN_ORDER: return CHR_OPEN_ORDER_BLOCK;
    case CHR_CARRY_OVER: return CHR_CARRY_OVER_BLOCK;
    case CHR_STATE_CHUNK: return CHR_STATE_CHUNK_BLOCK;
    default: return 0;
    }
}

#endif
