# Generated from chronicle.xml by `python -m libchronicle.protocol.generate`; do not edit.
from libc.stdint cimport int8_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "enums.h":
    pass

cdef extern from "market.h":
    pass

cdef extern from "trading.h":
    pass

cdef extern from "session.h":
    pass

cdef extern from "messages.h" nogil:
    enum:
        CHR_SCHEMA_ID, CHR_SCHEMA_VERSION, CHR_INSTRUMENT, CHR_INSTRUMENT_BLOCK, CHR_BOOK_SNAPSHOT
        CHR_BOOK_SNAPSHOT_BLOCK, CHR_BOOK_DELTA, CHR_BOOK_DELTA_BLOCK, CHR_BEST_BID_ASK
        CHR_BEST_BID_ASK_BLOCK, CHR_TRADE, CHR_TRADE_BLOCK, CHR_ORDER_ADD, CHR_ORDER_ADD_BLOCK
        CHR_ORDER_MODIFY, CHR_ORDER_MODIFY_BLOCK, CHR_ORDER_DELETE, CHR_ORDER_DELETE_BLOCK
        CHR_ORDER_EXECUTE, CHR_ORDER_EXECUTE_BLOCK, CHR_BOOK_RESET, CHR_BOOK_RESET_BLOCK, CHR_GAP
        CHR_GAP_BLOCK, CHR_HEARTBEAT, CHR_HEARTBEAT_BLOCK, CHR_VENUE_STATUS
        CHR_VENUE_STATUS_BLOCK, CHR_PHASE_CHANGE, CHR_PHASE_CHANGE_BLOCK, CHR_AUCTION_INFO
        CHR_AUCTION_INFO_BLOCK, CHR_NEW_ORDER, CHR_NEW_ORDER_BLOCK, CHR_CANCEL_ORDER
        CHR_CANCEL_ORDER_BLOCK, CHR_REPLACE_ORDER, CHR_REPLACE_ORDER_BLOCK, CHR_CANCEL_ALL
        CHR_CANCEL_ALL_BLOCK, CHR_SUBMITTED, CHR_SUBMITTED_BLOCK, CHR_EXECUTION_REPORT
        CHR_EXECUTION_REPORT_BLOCK, CHR_POSITION_REPORT, CHR_POSITION_REPORT_BLOCK
        CHR_ACCOUNT_REPORT, CHR_ACCOUNT_REPORT_BLOCK, CHR_RISK_EVENT, CHR_RISK_EVENT_BLOCK
        CHR_CONTROL_COMMAND, CHR_CONTROL_COMMAND_BLOCK, CHR_SESSION_START, CHR_SESSION_START_BLOCK
        CHR_SESSION_SOURCE, CHR_SESSION_SOURCE_BLOCK, CHR_DISPATCH, CHR_DISPATCH_BLOCK
        CHR_TIMER_FIRED, CHR_TIMER_FIRED_BLOCK, CHR_STATE_CHANGE, CHR_STATE_CHANGE_BLOCK
        CHR_PARAMETER, CHR_PARAMETER_BLOCK, CHR_KILL_CHANGE, CHR_KILL_CHANGE_BLOCK
        CHR_SESSION_STOP, CHR_SESSION_STOP_BLOCK, CHR_OPEN_ORDER, CHR_OPEN_ORDER_BLOCK
        CHR_CARRY_OVER, CHR_CARRY_OVER_BLOCK, CHR_STATE_CHUNK, CHR_STATE_CHUNK_BLOCK
        CHR_SIDE_NONE, CHR_SIDE_BUY, CHR_SIDE_SELL, CHR_CONTRACT_KIND_SPOT
        CHR_CONTRACT_KIND_LINEAR, CHR_CONTRACT_KIND_INVERSE, CHR_BOOK_MODE_L2, CHR_BOOK_MODE_L3
        CHR_ORDER_TYPE_MARKET, CHR_ORDER_TYPE_LIMIT, CHR_ORDER_TYPE_STOP_MARKET
        CHR_ORDER_TYPE_STOP_LIMIT, CHR_TIME_IN_FORCE_GTC, CHR_TIME_IN_FORCE_IOC
        CHR_TIME_IN_FORCE_FOK, CHR_TIME_IN_FORCE_GTD, CHR_STP_MODE_NONE, CHR_STP_MODE_EXPIRE_TAKER
        CHR_STP_MODE_EXPIRE_MAKER, CHR_STP_MODE_EXPIRE_BOTH, CHR_LIQUIDITY_NONE
        CHR_LIQUIDITY_MAKER, CHR_LIQUIDITY_TAKER, CHR_EXEC_TYPE_ACK, CHR_EXEC_TYPE_REJECT
        CHR_EXEC_TYPE_PARTIAL_FILL, CHR_EXEC_TYPE_FILL, CHR_EXEC_TYPE_CANCELLED
        CHR_EXEC_TYPE_EXPIRED, CHR_EXEC_TYPE_REPLACED, CHR_EXEC_TYPE_CANCEL_REJECT
        CHR_EXEC_TYPE_REPLACE_REJECT, CHR_REJECT_CODE_NONE, CHR_REJECT_CODE_STALE
        CHR_REJECT_CODE_KILLED, CHR_REJECT_CODE_UNKNOWN_INSTRUMENT, CHR_REJECT_CODE_BAD_PRICE
        CHR_REJECT_CODE_BAD_QTY, CHR_REJECT_CODE_ORDER_SIZE_LIMIT, CHR_REJECT_CODE_POSITION_LIMIT
        CHR_REJECT_CODE_NOTIONAL_LIMIT, CHR_REJECT_CODE_RATE_LIMIT, CHR_REJECT_CODE_WOULD_CROSS
        CHR_REJECT_CODE_NO_MARKET, CHR_REJECT_CODE_UNKNOWN_ORDER, CHR_REJECT_CODE_NOT_FILLABLE
        CHR_REJECT_CODE_VENUE, CHR_REJECT_CODE_LOST, CHR_REJECT_CODE_UNSUPPORTED
        CHR_REJECT_CODE_DUPLICATE, CHR_REJECT_CODE_MALFORMED, CHR_REJECT_CODE_OPEN_ORDERS_LIMIT
        CHR_REJECT_CODE_REDUCE_ONLY, CHR_REJECT_CODE_INSUFFICIENT_BALANCE
        CHR_REJECT_CODE_NOT_ALLOWED, CHR_REJECT_CODE_STALE_MARKET, CHR_REJECT_CODE_EXPOSURE_LIMIT
        CHR_REJECT_CODE_DRAWDOWN_LIMIT, CHR_REJECT_CODE_DAILY_LOSS_LIMIT
        CHR_REJECT_CODE_LOSS_STREAK, CHR_REJECT_CODE_SELF_TRADE, CHR_REJECT_CODE_LIQUIDATION
        CHR_REJECT_CODE_RISK_GATEWAY, CHR_GAP_REASON_SEQUENCE, CHR_GAP_REASON_RECONNECT
        CHR_GAP_REASON_MALFORMED, CHR_GAP_REASON_OVERFLOW, CHR_GAP_REASON_EVICTED
        CHR_GAP_REASON_LOST, CHR_GAP_REASON_CROSSED, CHR_VENUE_STATE_CONNECTING
        CHR_VENUE_STATE_CONNECTED, CHR_VENUE_STATE_DISCONNECTED, CHR_VENUE_STATE_SYNCING
        CHR_VENUE_STATE_SYNCED, CHR_RUN_MODE_LIVE, CHR_RUN_MODE_PAPER, CHR_RUN_MODE_BACKTEST
        CHR_COMMAND_KILL, CHR_COMMAND_UNKILL, CHR_COMMAND_PAUSE, CHR_COMMAND_RESUME
        CHR_COMMAND_SET_PARAMETER, CHR_COMMAND_RESYNC, CHR_COMMAND_STOP, CHR_COMMAND_CANCEL_ALL
        CHR_BOOK_FLAGS_STALE, CHR_BOOK_FLAGS_QUANTITY_IS_CHANGE, CHR_BOOK_FLAGS_INJECTED
        CHR_BOOK_FLAGS_RESYNC, CHR_TRADING_PHASE_UNKNOWN, CHR_TRADING_PHASE_PRE_OPEN
        CHR_TRADING_PHASE_OPENING_AUCTION, CHR_TRADING_PHASE_CONTINUOUS
        CHR_TRADING_PHASE_INTRADAY_AUCTION, CHR_TRADING_PHASE_CLOSING_AUCTION
        CHR_TRADING_PHASE_POST_CLOSE, CHR_TRADING_PHASE_CLOSED, CHR_TRADING_PHASE_HALTED
        CHR_PHASE_FLAGS_NO_CANCEL, CHR_PHASE_FLAGS_NO_MODIFY, CHR_PHASE_FLAGS_NO_NEW_ORDERS
        CHR_PHASE_FLAGS_UNCROSSING, CHR_AUCTION_FLAGS_FINAL, CHR_AUCTION_FLAGS_NO_PRICE
        CHR_ORDER_BOOK_FLAGS_NO_PRICE, CHR_ORDER_BOOK_FLAGS_INJECTED, CHR_ORDER_BOOK_FLAGS_FIRST
        CHR_ORDER_BOOK_FLAGS_LAST, CHR_ORDER_FLAGS_REDUCE_ONLY, CHR_ORDER_FLAGS_POST_ONLY
        CHR_REPORT_FLAGS_CARRY_OVER, CHR_REPORT_FLAGS_RECOVERED

    ctypedef packed struct chr_sbe_header_t:
        uint16_t block_length, template_id, schema_id, version

    ctypedef packed struct chr_group_t:
        uint16_t block_length, num_in_group, num_groups, num_var_data_fields

    ctypedef packed struct chr_level_t:
        int64_t price, qty

    uint32_t chr_instrument_offset(uint16_t type_id) nogil
    uint32_t chr_raw_seq_offset(uint16_t type_id) nogil
    uint16_t chr_block_length(uint16_t type_id) nogil

    ctypedef packed struct chr_instrument_t:
        uint8_t reserved[3]
        char venue[16]
        char symbol[32]
        char base_currency[16]
        char quote_currency[16]
        char settle_currency[16]
        uint64_t instrument_id
        int64_t tick_size, lot_size, min_qty, max_qty, min_notional, contract_size
        int8_t price_exponent, qty_exponent
        uint8_t contract_kind, book_mode, trading

    ctypedef packed struct chr_book_snapshot_t:
        uint8_t reserved[6]
        uint64_t instrument_id, last_update_id, raw_seq
        int64_t venue_ts, event_ts, recv_ts
        uint16_t flags

    ctypedef packed struct chr_book_delta_t:
        uint8_t reserved[6]
        uint64_t instrument_id, first_update_id, last_update_id, prev_update_id, raw_seq
        int64_t venue_ts, event_ts, recv_ts
        uint16_t flags

    ctypedef packed struct chr_best_bid_ask_t:
        uint64_t instrument_id, update_id, raw_seq
        int64_t venue_ts, event_ts, recv_ts, bid_price, bid_qty, ask_price, ask_qty

    ctypedef packed struct chr_trade_t:
        uint8_t reserved[7]
        uint64_t instrument_id, trade_id, raw_seq
        int64_t venue_ts, event_ts, recv_ts, price, qty
        uint8_t aggressor

    ctypedef packed struct chr_order_add_t:
        uint8_t reserved[7]
        uint8_t reserved2[6]
        uint64_t instrument_id, venue_seq, order_id, raw_seq
        int64_t venue_ts, event_ts, recv_ts, price, qty
        uint8_t side
        uint16_t flags

    ctypedef packed struct chr_order_modify_t:
        uint8_t reserved[7]
        uint8_t reserved2[6]
        uint64_t instrument_id, venue_seq, order_id, new_order_id, raw_seq
        int64_t venue_ts, event_ts, recv_ts, price, qty
        uint8_t side
        uint16_t flags

    ctypedef packed struct chr_order_delete_t:
        uint8_t reserved[7]
        uint64_t instrument_id, venue_seq, order_id, raw_seq
        int64_t venue_ts, event_ts, recv_ts, qty
        uint8_t side

    ctypedef packed struct chr_order_execute_t:
        uint8_t reserved[7]
        uint64_t instrument_id, venue_seq, order_id, trade_id, raw_seq
        int64_t venue_ts, event_ts, recv_ts, price, qty
        uint8_t side

    ctypedef packed struct chr_book_reset_t:
        uint8_t reserved[7]
        uint64_t instrument_id, raw_seq
        int64_t venue_ts, recv_ts
        uint8_t reason

    ctypedef packed struct chr_gap_t:
        uint8_t reserved[7]
        uint64_t instrument_id, expected_id, received_id, raw_seq
        int64_t recv_ts
        uint8_t reason

    ctypedef packed struct chr_heartbeat_t:
        int64_t ts
        uint64_t count

    ctypedef packed struct chr_venue_status_t:
        uint8_t reserved[7]
        char venue[16]
        char reason[64]
        uint64_t instrument_id
        int64_t recv_ts
        uint8_t state

    ctypedef packed struct chr_phase_change_t:
        uint8_t reserved2[4]
        uint64_t instrument_id, venue_seq, raw_seq
        int64_t venue_ts, event_ts, recv_ts
        uint8_t phase, reserved
        uint16_t flags

    ctypedef packed struct chr_auction_info_t:
        uint8_t reserved[4]
        uint64_t instrument_id, venue_seq, raw_seq
        int64_t venue_ts, event_ts, recv_ts, price, qty, imbalance_qty, reference_price, far_price
        uint8_t imbalance_side, phase
        uint16_t flags

    ctypedef packed struct chr_new_order_t:
        uint8_t reserved[2]
        char account[16]
        char tag[16]
        uint64_t instrument_id, cause_queue_id, cause_seq, parent_seq
        int64_t price, qty, stop_price, valid_until_ns, expire_ns, cause_ts
        uint32_t cause_epoch, parent_epoch
        uint16_t flags
        uint8_t side, order_type, time_in_force, stp_mode

    ctypedef packed struct chr_cancel_order_t:
        uint64_t instrument_id, order_seq, cause_queue_id, cause_seq
        int64_t valid_until_ns, cause_ts
        uint32_t cause_epoch, order_epoch

    ctypedef packed struct chr_replace_order_t:
        uint64_t instrument_id, order_seq, cause_queue_id, cause_seq
        int64_t price, qty, valid_until_ns, cause_ts
        uint32_t cause_epoch, order_epoch

    ctypedef packed struct chr_cancel_all_t:
        char reason[32]
        uint64_t instrument_id
        int64_t cause_ts

    ctypedef packed struct chr_submitted_t:
        uint8_t reserved[2]
        char gateway[16]
        char client_order_id[32]
        uint64_t order_queue_id, order_seq, instrument_id
        uint32_t order_epoch
        uint16_t request_template
        int64_t place

    ctypedef packed struct chr_execution_report_t:
        uint8_t reserved[4]
        char fee_currency[16]
        char text[32]
        uint64_t order_queue_id, order_seq, instrument_id, exec_id, venue_order_id, trade_id, request_seq
        int64_t price, qty, last_price, last_qty, cum_qty, leaves_qty, fee, venue_ts, order_ts, cause_ts
        uint32_t order_epoch
        uint16_t reject_code, flags
        uint8_t exec_type, side, liquidity
        int8_t fee_exponent

    ctypedef packed struct chr_position_report_t:
        uint8_t reserved[5]
        char account[16]
        uint64_t instrument_id, last_exec_id
        int64_t ts, qty, avg_price, realized_pnl, fees, open_cost
        uint16_t flags
        int8_t pnl_exponent

    ctypedef packed struct chr_account_report_t:
        uint8_t reserved[7]
        char account[16]
        char currency[16]
        int64_t ts, balance, available
        int8_t exponent

    ctypedef packed struct chr_risk_event_t:
        uint8_t reserved[6]
        char strategy[32]
        char text[64]
        uint64_t instrument_id
        int64_t ts, limit_value, actual_value
        uint16_t code

    ctypedef packed struct chr_control_command_t:
        uint8_t reserved[7]
        char user[32]
        char host[32]
        char target[64]
        char value[128]
        char reason[128]
        int64_t ts
        uint32_t uid, pid
        uint8_t command

    ctypedef packed struct chr_session_start_t:
        uint8_t reserved[7]
        uint8_t config_hash[32]
        char name[64]
        char code_version[64]
        uint64_t session_id
        int64_t realtime_ns, monotonic_ns
        uint8_t mode

    ctypedef packed struct chr_session_source_t:
        uint8_t reserved[2]
        char path[128]
        uint64_t queue_id, start_seq
        uint32_t epoch
        uint16_t source

    ctypedef packed struct chr_dispatch_t:
        uint64_t first_seq, last_seq
        int64_t now_ns
        uint32_t epoch
        uint16_t source
        uint8_t muted, reserved

    ctypedef packed struct chr_timer_fired_t:
        char name[32]
        int64_t deadline_ns, now_ns

    ctypedef packed struct chr_state_change_t:
        uint8_t reserved[5]
        char reason[64]
        int64_t now_ns
        uint64_t instrument_id
        uint8_t machine, from_state, to_state

    ctypedef packed struct chr_parameter_t:
        char name[64]
        char value[128]
        int64_t now_ns

    ctypedef packed struct chr_kill_change_t:
        uint8_t reserved[7]
        char reason[64]
        int64_t now_ns
        uint8_t killed

    ctypedef packed struct chr_session_stop_t:
        char reason[64]
        int64_t now_ns

    ctypedef packed struct chr_open_order_t:
        uint8_t reserved[6]
        char account[16]
        char tag[16]
        uint8_t reserved2[7]
        uint64_t order_queue_id, order_seq, instrument_id, venue_order_id
        int64_t price, qty, cum_qty, stop_price, expire_ns, order_ts, cause_ts, place
        uint32_t order_epoch
        uint16_t flags
        uint8_t side, order_type, time_in_force, stp_mode, state

    ctypedef packed struct chr_carry_over_t:
        uint8_t reserved[4]
        int64_t now_ns
        uint64_t orders_out_queue_id, orders_out_seq, orders_in_queue_id, orders_in_seq, last_exec_id
        uint32_t orders_out_epoch, orders_in_epoch, open_orders, positions, instruments

    ctypedef packed struct chr_state_chunk_t:
        uint8_t data[1024]
        uint32_t total_size, offset
