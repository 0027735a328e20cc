"""hftbacktest on the rows of a file, both of its books; run by an interpreter that has the package: ROWS REPEATS.

Each row is one event, as the package has it; messages are not known to it, so `feed` steps from event to event. Times of the
wall, compilation apart (`hft_compile_s`).
"""

# mypy: ignore-errors
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false

import json
import sys
from statistics import median
from time import perf_counter

import numpy as np
from hftbacktest import (
    BUY_EVENT,
    DEPTH_EVENT,
    DEPTH_SNAPSHOT_EVENT,
    EXCH_EVENT,
    GTX,
    LIMIT,
    LOCAL_EVENT,
    SELL_EVENT,
    TRADE_EVENT,
    BacktestAsset,
    HashMapMarketDepthBacktest,
    ROIVectorMarketDepthBacktest,
)
from hftbacktest.types import event_dtype
from numba import njit

TICK, LOT, QTY, MOST = 0.1, 0.001, 0.01, 0.1
LATENCY_NS = 5_000_000
END_OF_DATA = 1


def read_rows(path):
    with open(path, "rb") as file:
        head = json.loads(file.readline())
        count = head["count"]
        return {
            name: np.frombuffer(file.read(count * np.dtype(code).itemsize), code)
            for name, code in head["columns"].items()
        }


def events_of(rows):
    events = np.zeros(len(rows["kind"]), event_dtype)
    kinds = np.array([0, DEPTH_SNAPSHOT_EVENT, DEPTH_EVENT, TRADE_EVENT], np.uint64)
    sides = np.where(rows["side"] > 0, BUY_EVENT, SELL_EVENT).astype(np.uint64)
    events["ev"] = kinds[rows["kind"]] | sides | np.uint64(EXCH_EVENT) | np.uint64(LOCAL_EVENT)
    events["exch_ts"] = events["local_ts"] = rows["local_ns"]
    events["px"], events["qty"] = rows["px"], rows["qty"]
    return events


@njit
def feed(hbt):
    count = 0
    while True:
        code = hbt.wait_next_feed(False, 10**18)
        if code != 2:
            return code
        count += 1


@njit
def quote(hbt, buy_id, sell_id, next_id):
    """The rule: (buy, sell, next) order ids."""
    depth = hbt.depth(0)
    held = hbt.position(0)
    orders = hbt.orders(0)
    bid, ask = depth.best_bid, depth.best_ask
    hbt.clear_inactive_orders(0)
    for side in range(2):
        price = bid if side == 0 else ask
        mine = buy_id if side == 0 else sell_id
        may = held < MOST - LOT / 2 if side == 0 else held > -MOST + LOT / 2
        send = False
        order = orders.get(mine)
        if order is None:
            send = may
        elif abs(order.price - price) > TICK / 2 and order.cancellable:
            hbt.cancel(0, mine, False)
            send = may
        if send:
            next_id += 1
            if side == 0:
                hbt.submit_buy_order(0, next_id, price, QTY, GTX, LIMIT, False)
                buy_id = next_id
            else:
                hbt.submit_sell_order(0, next_id, price, QTY, GTX, LIMIT, False)
                sell_id = next_id
    return buy_id, sell_id, next_id


@njit
def mm100(hbt):
    buy_id, sell_id, next_id = 0, 0, 0
    while True:
        code = hbt.elapse(100_000_000)
        if code != 0:
            return code
        buy_id, sell_id, next_id = quote(hbt, buy_id, sell_id, next_id)


@njit
def mmfeed(hbt):
    buy_id, sell_id, next_id = 0, 0, 0
    last = 0
    while True:
        code = hbt.wait_next_feed(False, 10**18)
        if code != 2:
            return code
        if hbt.current_timestamp != last:  # a message is the rows of one time
            last = hbt.current_timestamp
            buy_id, sell_id, next_id = quote(hbt, buy_id, sell_id, next_id)


def assets(events, prices):
    asset = (
        BacktestAsset()
        .data([events])
        .linear_asset(1.0)
        .constant_order_latency(LATENCY_NS, LATENCY_NS)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()  # the other one ends this workload with InvalidOrderStatus
        .trading_value_fee_model(0.0002, 0.0005)
        .tick_size(TICK)
        .lot_size(LOT)
    )
    return asset.roi_lb(prices.min()).roi_ub(prices.max())


def main(path, repeats):
    rows = read_rows(path)
    events = events_of(rows)
    near = rows["px"][rows["kind"] == 3]
    prices = np.array([near.min() * 0.9, near.max() * 1.1])
    found = {"hft_compile_s": 0.0}
    books = {"hft_hash": HashMapMarketDepthBacktest, "hft_roi": ROIVectorMarketDepthBacktest}
    for name, engine in books.items():
        for workload, strategy in {"feed": feed, "mm100": mm100, "mmfeed": mmfeed}.items():
            times = []
            for number in range(repeats + 1):
                hbt = engine([assets(events, prices)])
                began = perf_counter()
                code = strategy(hbt)
                spent = perf_counter() - began
                if code != END_OF_DATA:
                    raise RuntimeError(f"{workload} ended with code {code}")
                trades = hbt.state_values(0).num_trades
                hbt.close()
                if number == 0:
                    found["hft_compile_s"] += spent
                else:
                    times.append(spent)
            found[f"{name}_{workload}_rows_per_s"] = round(len(events) / median(times))
            found[f"{name}_{workload}_fills"] = int(trades)
    found["hft_compile_s"] = round(found["hft_compile_s"], 2)
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
