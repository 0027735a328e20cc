"""The rows of the dashboard. Every query has data on a running suite; what counts trouble shows 0 there."""

from __future__ import annotations

from typing import Any

from panels import buckets, lines, number, rows, up_or_down


def quantiles(histogram: str, by: str = "") -> list[tuple[str, str]]:
    """Median and 99th percentile over five minutes, for each value of the label `by` if given."""
    labels = f"{by}, le" if by else "le"
    legend = f"{{{{{by}}}}} " if by else ""
    return [
        (
            f"histogram_quantile({q}, sum by ({labels}) (rate({histogram}_bucket[5m])))",
            f"{legend}p{round(q * 100)}",
        )
        for q in (0.5, 0.99)
    ]


def daemons() -> list[Any]:
    """Is everything there?"""
    return [
        up_or_down("Daemons", "chronicle_up", "{{daemon}}", "1 while a daemon's own loop beats.", 12),
        number(
            "Trading",
            "chronicle_killed",
            "killed",
            "1: the kill word stops all trading.",
            bad_from=1,
            width=3,
        ),
        rows("State", "chronicle_state == 1", "What each daemon says of itself.", 9),
        lines(
            "Heartbeat age",
            "s",
            [("chronicle_heartbeat_age_seconds", "{{daemon}}")],
            "Down from 5 s on; usual: below 0.5 s.",
        ),
        lines(
            "Restarts",
            "none",
            [("changes(chronicle_start_time_seconds[10m])", "{{daemon}}")],
            "Within the last ten minutes.",
        ),
        lines(
            "Disk free",
            "percentunit",
            [("chronicle_disk_free_bytes / chronicle_disk_size_bytes", "{{path}}")],
            "root: orders, sessions, counters. hot: market data.",
        ),
    ]


def feeds() -> list[Any]:
    """Does data come?"""
    return [
        lines(
            "Frames by kind",
            "cps",
            [("sum by (feed, kind) (rate(chronicle_feed_frames_total[1m]))", "{{feed}} {{kind}}")],
            "Frames of the venue that became records.",
        ),
        lines(
            "Rejects by reason",
            "cps",
            [("sum by (feed, reason) (rate(chronicle_feed_rejected_total[5m]))", "{{feed}} {{reason}}")],
            "Frames not taken; 0 on a good day.",
        ),
        lines(
            "Gaps",
            "none",
            [("increase(chronicle_feed_gaps_total[10m])", "{{feed}}")],
            "Declared within the last ten minutes; each is a record in the queue.",
        ),
        lines(
            "Symbols in sync",
            "none",
            [
                ("chronicle_feed_synced_symbols", "{{feed}} in sync"),
                ("chronicle_feed_symbols", "{{feed}} configured"),
            ],
            "Both lines of a feed must be one.",
        ),
        lines(
            "Connections",
            "none",
            [
                ("chronicle_feed_connected", "{{feed}} connected"),
                ("increase(chronicle_feed_connects_total[10m])", "{{feed}} opened in 10 min"),
            ],
            "Opened again and again: the venue or the network drops us.",
        ),
        lines(
            "Snapshots",
            "none",
            [
                ("increase(chronicle_feed_snapshots_total[10m])", "{{feed}} written"),
                ("increase(chronicle_feed_snapshot_failures_total[10m])", "{{feed}} not answered"),
            ],
            "Within the last ten minutes.",
        ),
    ]


def queues() -> list[Any]:
    """Does it get through?"""
    return [
        lines(
            "Append rate",
            "cps",
            [("sum by (queue) (rate(chronicle_queue_records_total[1m]))", "{{queue}}")],
            "Records per second and queue.",
        ),
        lines(
            "Reader lag",
            "none",
            [("chronicle_queue_reader_lag_records", "{{reader}} in {{queue}}")],
            "Records not committed yet. Commits come some times a second, so a busy reader shows a little.",
        ),
        lines(
            "Rolls and stalls",
            "none",
            [
                ("sum by (queue) (increase(chronicle_queue_rolls_total[10m]))", "{{queue}} rolls"),
                ("sum by (queue) (increase(chronicle_queue_roll_stalls_total[10m]))", "{{queue}} stalls"),
            ],
            "A stall: the next segment was not ready in time.",
        ),
        lines(
            "Budget used",
            "percentunit",
            [("chronicle_queue_budget_ratio", "{{queue}}")],
            "0 where there is no budget. From 80 % on an alert, at 100 % the oldest segment goes.",
        ),
        lines(
            "Size",
            "bytes",
            [("chronicle_queue_bytes", "{{queue}}")],
            "Of all segment files.",
        ),
        lines(
            "Trouble",
            "none",
            [
                ("sum(increase(chronicle_queue_evicted_total[10m]))", "evicted"),
                ("sum(increase(chronicle_queue_full_total[10m]))", "full"),
                ("sum(increase(chronicle_queue_sync_errors_total[10m]))", "sync errors"),
                ("sum(increase(chronicle_queue_forgotten_total[10m]))", "readers forgotten"),
                ("sum(chronicle_queue_quarantined)", "quarantined"),
            ],
            "All 0 on a good day.",
        ),
    ]


def strategies() -> list[Any]:
    """Do they act, and in time?"""
    return [
        lines(
            "Orders",
            "cps",
            [
                ("rate(chronicle_strategy_orders_total[1m])", "{{daemon}}"),
                ("rate(chronicle_strategy_refused_total[1m])", "{{daemon}} refused by its host"),
            ],
            "Orders sent to the router.",
        ),
        lines(
            "Fills",
            "cps",
            [("rate(chronicle_strategy_fills_total[1m])", "{{daemon}}")],
            "Reported, partial ones too.",
        ),
        lines(
            "Open orders",
            "none",
            [("chronicle_strategy_open_orders", "{{daemon}}")],
            "Without their final report.",
        ),
        lines(
            "Callbacks",
            "cps",
            [
                ("rate(chronicle_strategy_callbacks_total[1m])", "{{daemon}} callbacks"),
                ("rate(chronicle_strategy_records_total[1m])", "{{daemon}} records"),
            ],
            "Calls of the strategy, beside all records its host read.",
        ),
        lines(
            "Market data lag",
            "none",
            [("chronicle_strategy_lag_records", "{{daemon}}")],
            "Committed, not read yet.",
        ),
        lines(
            "Tick to trade",
            "s",
            quantiles("chronicle_strategy_tick_to_trade_seconds", "daemon"),
            "Market record committed to order record committed. At the top, 100 µs, it is at least that.",
        ),
        buckets(
            "Tick to trade, all orders",
            "sum by (le) (increase(chronicle_strategy_tick_to_trade_seconds_bucket[$__rate_interval]))",
            "s",
            "How many orders took how long.",
            24,
        ),
    ]


def refinery() -> list[Any]:
    """Is clean data made, whole and in time?"""
    return [
        lines(
            "Records refined",
            "cps",
            [("sum by (stream) (rate(chronicle_etl_records_total[1m]))", "{{stream}}")],
            "Raw records written into clean queues.",
        ),
        lines(
            "Lag",
            "s",
            quantiles("chronicle_etl_lag_seconds", "daemon"),
            "Raw record committed to its clean records committed.",
        ),
        lines(
            "Not taken, late, gaps",
            "none",
            [
                ("sum by (reason) (increase(chronicle_etl_rejected_total[10m]))", "{{reason}}"),
                ("sum (increase(chronicle_etl_late_total[10m]))", "late"),
                ("sum (increase(chronicle_etl_gaps_total[10m]))", "gaps"),
            ],
            "Raw records that no clean queue holds; those that came a day late; what feeds declared missing.",
        ),
        lines(
            "Snapshots and segments",
            "none",
            [
                ("sum (increase(chronicle_etl_snapshots_total[10m]))", "snapshots injected"),
                ("sum (increase(chronicle_etl_rolls_total[10m]))", "segments ended"),
            ],
            "A snapshot at the head of every book segment, and at least every minute.",
            16,
        ),
        number(
            "Behind", "chronicle_etl_lag_records", "records", "Raw records not read yet.", bad_from=10_000
        ),
        number("Clean queues", "chronicle_etl_queues", "queues", "One for each instrument and stream."),
    ]


def archive() -> list[Any]:
    """Does what was recorded leave the queues, and is it kept?"""
    return [
        lines(
            "Segments moved",
            "none",
            [
                ("sum (increase(chronicle_archive_segments_total[10m]))", "archived"),
                ("sum (increase(chronicle_archive_compressed_total[10m]))", "compressed"),
                ("sum (increase(chronicle_archive_shipped_total[10m]))", "shipped"),
            ],
            "Taken from queues, compressed, put into the object store; within 10 minutes.",
        ),
        lines(
            "Bytes by tier",
            "bytes",
            [("sum by (tier) (chronicle_archive_tier_bytes)", "{{tier}}")],
            "What the archive's files, and its objects, take.",
        ),
        lines(
            "Trouble",
            "none",
            [
                ("sum (increase(chronicle_archive_quarantined_total[10m]))", "put aside"),
                ("sum (increase(chronicle_archive_damaged_total[10m]))", "damaged"),
                ("sum (increase(chronicle_archive_failures_total[10m]))", "failed, tried again"),
            ],
            "Anything here: ops/runbooks/archive.md.",
        ),
        number(
            "Waiting",
            "chronicle_archive_waiting_segments",
            "segments",
            "Sealed, and too young to be archived.",
            width=8,
        ),
        number("Kept", "sum (chronicle_archive_tier_segments)", "segments", "In all tiers.", width=8),
        number(
            "Compressed to",
            "chronicle_archive_stored_bytes_total / chronicle_archive_compressed_bytes_total",
            "of the bytes before",
            "Since archive-tier was started.",
            unit="percentunit",
            width=8,
        ),
    ]


def router() -> list[Any]:
    """Do the orders go out?"""
    return [
        lines(
            "Requests",
            "cps",
            [("sum by (kind) (rate(chronicle_router_requests_total[1m]))", "{{kind}}")],
            "Of all strategies.",
        ),
        lines(
            "Rejects by code",
            "cps",
            [("sum by (code) (rate(chronicle_router_rejects_total[5m]))", "{{code}}")],
            "Refused before the gateway.",
        ),
        lines(
            "Fills and open orders",
            "none",
            [
                ("rate(chronicle_router_fills_total[1m])", "fills per second"),
                ("chronicle_router_open_orders", "open orders"),
            ],
            "At the gateway.",
        ),
        lines(
            "Latency",
            "s",
            quantiles("chronicle_router_latency_seconds"),
            "Request committed to its answer committed.",
            12,
        ),
        number(
            "Strategies", "chronicle_router_strategies", "attached", "Strategies whose queues it has open."
        ),
        number(
            "Undecided", "chronicle_router_undecided_orders", "orders", "Submitted, fate unknown.", bad_from=1
        ),
        number("Feeds alive", "chronicle_router_feeds_alive", "feeds", "Feeds whose writer lives."),
    ]


def errors() -> list[Any]:
    """What went wrong?"""
    return [
        lines(
            "Errors on record",
            "none",
            [("increase(chronicle_errors_total[10m])", "{{daemon}}")],
            "`chronicle errors` has the texts.",
            12,
        ),
        lines(
            "Strategy failures",
            "none",
            [
                ("increase(chronicle_strategy_errors_total[10m])", "{{daemon}} failures"),
                ("increase(chronicle_strategy_malformed_total[10m])", "{{daemon}} unreadable records"),
            ],
            "A callback that raised, a queue that broke.",
        ),
        number(
            "Unreadable files",
            "chronicle_unreadable_files",
            "counters files",
            "Counters files the exporter cannot read.",
            bad_from=1,
        ),
    ]
