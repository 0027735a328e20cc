#ifndef CHR_ENUMS_H
#define CHR_ENUMS_H
/* Constants of the schema's enums and sets (sets as bit masks).
   Generated from chronicle.xml by `python -m libchronicle.protocol.generate`; do not edit. */

enum {
    /* Side (uint8_t): Side of an order, or the side that took liquidity in a trade */
    CHR_SIDE_NONE = 0,
    CHR_SIDE_BUY = 1,
    CHR_SIDE_SELL = 2,
    /* ContractKind (uint8_t): What a quantity of the instrument is: the asset itself, or a linear or inverse contract */
    CHR_CONTRACT_KIND_SPOT = 0,
    CHR_CONTRACT_KIND_LINEAR = 1,
    CHR_CONTRACT_KIND_INVERSE = 2,
    /* BookMode (uint8_t): Which book the venue publishes: price levels (L2) or single orders (L3) */
    CHR_BOOK_MODE_L2 = 2,
    CHR_BOOK_MODE_L3 = 3,
    /* OrderType (uint8_t): How an order is priced, and whether it waits for its stop price */
    CHR_ORDER_TYPE_MARKET = 1,
    CHR_ORDER_TYPE_LIMIT = 2,
    CHR_ORDER_TYPE_STOP_MARKET = 3,
    CHR_ORDER_TYPE_STOP_LIMIT = 4,
    /* TimeInForce (uint8_t): How long an order stands */
    CHR_TIME_IN_FORCE_GTC = 1,
    CHR_TIME_IN_FORCE_IOC = 2,
    CHR_TIME_IN_FORCE_FOK = 3,
    CHR_TIME_IN_FORCE_GTD = 4,
    /* StpMode (uint8_t): Self-trade prevention: which order goes when both sides are ours */
    CHR_STP_MODE_NONE = 0,
    CHR_STP_MODE_EXPIRE_TAKER = 1,
    CHR_STP_MODE_EXPIRE_MAKER = 2,
    CHR_STP_MODE_EXPIRE_BOTH = 3,
    /* Liquidity (uint8_t): Whether a fill made or took liquidity */
    CHR_LIQUIDITY_NONE = 0,
    CHR_LIQUIDITY_MAKER = 1,
    CHR_LIQUIDITY_TAKER = 2,
    /* ExecType (uint8_t): What an execution report says */
    CHR_EXEC_TYPE_ACK = 1,
    CHR_EXEC_TYPE_REJECT = 2,
    CHR_EXEC_TYPE_PARTIAL_FILL = 3,
    CHR_EXEC_TYPE_FILL = 4,
    CHR_EXEC_TYPE_CANCELLED = 5,
    CHR_EXEC_TYPE_EXPIRED = 6,
    CHR_EXEC_TYPE_REPLACED = 7,
    CHR_EXEC_TYPE_CANCEL_REJECT = 8,
    CHR_EXEC_TYPE_REPLACE_REJECT = 9,
    /* RejectCode (uint16_t): Stable reason of a rejection; numbers are never given a new meaning */
    CHR_REJECT_CODE_NONE = 0,
    CHR_REJECT_CODE_STALE = 1,
    CHR_REJECT_CODE_KILLED = 2,
    CHR_REJECT_CODE_UNKNOWN_INSTRUMENT = 3,
    CHR_REJECT_CODE_BAD_PRICE = 4,
    CHR_REJECT_CODE_BAD_QTY = 5,
    CHR_REJECT_CODE_ORDER_SIZE_LIMIT = 6,
    CHR_REJECT_CODE_POSITION_LIMIT = 7,
    CHR_REJECT_CODE_NOTIONAL_LIMIT = 8,
    CHR_REJECT_CODE_RATE_LIMIT = 9,
    CHR_REJECT_CODE_WOULD_CROSS = 10,
    CHR_REJECT_CODE_NO_MARKET = 11,
    CHR_REJECT_CODE_UNKNOWN_ORDER = 12,
    CHR_REJECT_CODE_NOT_FILLABLE = 13,
    CHR_REJECT_CODE_VENUE = 14,
    CHR_REJECT_CODE_LOST = 15,
    CHR_REJECT_CODE_UNSUPPORTED = 16,
    CHR_REJECT_CODE_DUPLICATE = 17,
    CHR_REJECT_CODE_MALFORMED = 18,
    CHR_REJECT_CODE_OPEN_ORDERS_LIMIT = 19,
    CHR_REJECT_CODE_REDUCE_ONLY = 20,
    CHR_REJECT_CODE_INSUFFICIENT_BALANCE = 21,
    CHR_REJECT_CODE_NOT_ALLOWED = 22,
    CHR_REJECT_CODE_STALE_MARKET = 23,
    CHR_REJECT_CODE_EXPOSURE_LIMIT = 24,
    CHR_REJECT_CODE_DRAWDOWN_LIMIT = 25,
    CHR_REJECT_CODE_DAILY_LOSS_LIMIT = 26,
    CHR_REJECT_CODE_LOSS_STREAK = 27,
    CHR_REJECT_CODE_SELF_TRADE = 28,
    CHR_REJECT_CODE_LIQUIDATION = 29,
    CHR_REJECT_CODE_RISK_GATEWAY = 30,
    /* GapReason (uint8_t): Why records are missing or a book was reset */
    CHR_GAP_REASON_SEQUENCE = 1,
    CHR_GAP_REASON_RECONNECT = 2,
    CHR_GAP_REASON_MALFORMED = 3,
    CHR_GAP_REASON_OVERFLOW = 4,
    CHR_GAP_REASON_EVICTED = 5,
    CHR_GAP_REASON_LOST = 6,
    CHR_GAP_REASON_CROSSED = 7,
    /* VenueState (uint8_t): State of the connection to a venue, or of one instrument of it */
    CHR_VENUE_STATE_CONNECTING = 1,
    CHR_VENUE_STATE_CONNECTED = 2,
    CHR_VENUE_STATE_DISCONNECTED = 3,
    CHR_VENUE_STATE_SYNCING = 4,
    CHR_VENUE_STATE_SYNCED = 5,
    /* RunMode (uint8_t): Whether orders are real, simulated on live data, or simulated on recorded data */
    CHR_RUN_MODE_LIVE = 1,
    CHR_RUN_MODE_PAPER = 2,
    CHR_RUN_MODE_BACKTEST = 3,
    /* Command (uint8_t): What an operator asks of a daemon */
    CHR_COMMAND_KILL = 1,
    CHR_COMMAND_UNKILL = 2,
    CHR_COMMAND_PAUSE = 3,
    CHR_COMMAND_RESUME = 4,
    CHR_COMMAND_SET_PARAMETER = 5,
    CHR_COMMAND_RESYNC = 6,
    CHR_COMMAND_STOP = 7,
    CHR_COMMAND_CANCEL_ALL = 8,
    /* BookFlags (uint16_t): Of a book record: stale = older than the snapshot to come, injected = written from our own book, resync = first after a gap */
    CHR_BOOK_FLAGS_STALE = 1,
    CHR_BOOK_FLAGS_QUANTITY_IS_CHANGE = 2,
    CHR_BOOK_FLAGS_INJECTED = 4,
    CHR_BOOK_FLAGS_RESYNC = 8,
    /* TradingPhase (uint8_t): What the market of an instrument does now: collects orders for an auction, trades as they come, or rests */
    CHR_TRADING_PHASE_UNKNOWN = 0,
    CHR_TRADING_PHASE_PRE_OPEN = 1,
    CHR_TRADING_PHASE_OPENING_AUCTION = 2,
    CHR_TRADING_PHASE_CONTINUOUS = 3,
    CHR_TRADING_PHASE_INTRADAY_AUCTION = 4,
    CHR_TRADING_PHASE_CLOSING_AUCTION = 5,
    CHR_TRADING_PHASE_POST_CLOSE = 6,
    CHR_TRADING_PHASE_CLOSED = 7,
    CHR_TRADING_PHASE_HALTED = 8,
    /* PhaseFlags (uint16_t): What a trading phase does not allow; uncrossing = the auction's executions follow */
    CHR_PHASE_FLAGS_NO_CANCEL = 1,
    CHR_PHASE_FLAGS_NO_MODIFY = 2,
    CHR_PHASE_FLAGS_NO_NEW_ORDERS = 4,
    CHR_PHASE_FLAGS_UNCROSSING = 8,
    /* AuctionFlags (uint16_t): Of an auction's price and volumes: final = the auction took place, noPrice = nothing would trade */
    CHR_AUCTION_FLAGS_FINAL = 1,
    CHR_AUCTION_FLAGS_NO_PRICE = 2,
    /* OrderBookFlags (uint16_t): Of an order-level record. noPrice = an order at any price, for the auction. injected = written from our own book; first = the book starts anew with this order, last = it is whole after this one */
    CHR_ORDER_BOOK_FLAGS_NO_PRICE = 1,
    CHR_ORDER_BOOK_FLAGS_INJECTED = 2,
    CHR_ORDER_BOOK_FLAGS_FIRST = 4,
    CHR_ORDER_BOOK_FLAGS_LAST = 8,
    /* OrderFlags (uint16_t): Conditions of an order */
    CHR_ORDER_FLAGS_REDUCE_ONLY = 1,
    CHR_ORDER_FLAGS_POST_ONLY = 2,
    /* ReportFlags (uint16_t): How a report came about: carried over from the last session, or recovered by a query */
    CHR_REPORT_FLAGS_CARRY_OVER = 1,
    CHR_REPORT_FLAGS_RECOVERED = 2,
};

#endif
