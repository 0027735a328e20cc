"""Rings beside lists: what they hold, and how exact their sums stay."""

from __future__ import annotations

import math
import random
import statistics
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libchronicle.errors import InvalidArgument
from libchronicle.signals import FeatureBuffer, Volatility


@given(st.integers(1, 20), st.lists(st.floats(-1e6, 1e6), max_size=100))
def test_a_buffer_always_holds_the_last_n(capacity: int, values: list[float]) -> None:
    buffer, kept = FeatureBuffer(capacity), deque[float](maxlen=capacity)
    for value in values:
        buffer.push(value)
        kept.append(value)
        assert list(buffer) == list(kept)
        assert buffer[-1] == value
        assert buffer[0] == kept[0]
        assert buffer.full == (len(kept) == capacity)
        assert buffer.sum == pytest.approx(math.fsum(kept), rel=1e-9, abs=1e-6)
        assert buffer.mean == pytest.approx(statistics.fmean(kept), rel=1e-9, abs=1e-6)
    buffer.clear()
    assert (len(buffer), buffer.sum, buffer.mean, buffer.std) == (0, 0.0, None, None)


def test_the_deviation_of_small_moves_around_a_large_price_keeps_its_digits_for_ever() -> None:
    rng = random.Random(5)
    buffer, kept = FeatureBuffer(300), deque[float](maxlen=300)
    for i in range(200_000):
        value = (
            61_234.5 + 1e-4 * rng.gauss(0, 1) + (1e9 if i == 1_000 else 0)
        )  # one wild value must leave no trace
        buffer.push(value)
        kept.append(value)
    centre = kept[0]
    exact = statistics.stdev([value - centre for value in kept])
    assert buffer.std == pytest.approx(exact, rel=1e-6)
    assert buffer.mean == pytest.approx(statistics.fmean(kept), rel=1e-14)


def test_equal_values_deviate_by_nothing() -> None:
    buffer = FeatureBuffer(7)
    for _ in range(100):
        buffer.push(0.1)
    assert buffer.std == 0.0
    assert FeatureBuffer(3).std is None


@pytest.mark.parametrize("index", [3, -4, 100])
def test_what_is_not_there_is_an_index_error(index: int) -> None:
    buffer = FeatureBuffer(5)
    for value in (1.0, 2.0, 3.0):
        buffer.push(value)
    with pytest.raises(IndexError):
        buffer[index]


@pytest.mark.parametrize("capacity", [0, -1, 10_000_001, 2.0, "5", True])
def test_a_capacity_that_makes_no_sense_is_refused(capacity: object) -> None:
    with pytest.raises(InvalidArgument, match="capacity"):
        FeatureBuffer(capacity)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_would_poison_the_sums_is_refused(value: float) -> None:
    buffer = FeatureBuffer(5)
    with pytest.raises(InvalidArgument, match="finite"):
        buffer.push(value)
    assert len(buffer) == 0


@pytest.mark.parametrize(
    "options",
    [{"window_s": 0}, {"window_s": 1.5}, {"window_s": 10, "step_ms": 3000}, {"step_ms": 0}, {"window_s": 10**9},
     {"window_s": "9"}, {"window_s": 1}, {"year_s": 0}],
)  # fmt: skip
def test_a_window_that_is_no_whole_number_of_steps_is_refused(options: dict) -> None:
    with pytest.raises(InvalidArgument, match="Volatility"):
        Volatility(**options)
