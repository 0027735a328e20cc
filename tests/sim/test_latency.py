"""How long things travel: the delays of every model, and that they are a function of seed and time alone."""

from __future__ import annotations

import statistics

import pytest

from libchronicle.errors import InvalidArgument
from libchronicle.sim.latency import (
    ConstantLatency,
    InterpolatedLatency,
    JitterLatency,
    LatencyModel,
    PythonLatency,
    SpikeLatency,
)

TIMES = [i * 1_000_003 for i in range(20_000)]


def test_the_base_model_delays_nothing() -> None:
    assert LatencyModel().sample(5) == (0, 0, 0)


def test_a_constant_latency_is_given_in_microseconds() -> None:
    model = ConstantLatency(entry_us=50, response_us=0.5, feed_us=2)
    assert model.sample(123) == (50_000, 500, 2_000)
    assert (model.delays_feed, ConstantLatency(50, 50).delays_feed) == (True, False)


def test_lognormal_jitter_has_the_median_and_spread_it_was_given() -> None:
    model = JitterLatency(100, 200, sigma=0.5)
    entry = [model.sample(t, seed=3)[0] for t in TIMES]
    response = [model.sample(t, seed=3)[1] for t in TIMES]
    assert statistics.median(entry) == pytest.approx(100_000, rel=0.02)
    assert statistics.median(response) == pytest.approx(200_000, rel=0.02)
    assert statistics.mean(entry) == pytest.approx(100_000 * 2.718281828**0.125, rel=0.02)
    assert abs(statistics.correlation(entry, response)) < 0.03


def test_uniform_jitter_stays_in_its_band_and_never_below_zero() -> None:
    model = JitterLatency(10, 100, jitter="uniform", spread_us=20)
    samples = [model.sample(t) for t in TIMES]
    assert min(entry for entry, _, _ in samples) == 0
    assert all(80_000 <= response <= 120_000 for _, response, _ in samples)
    assert statistics.mean(r for _, r, _ in samples) == pytest.approx(100_000, rel=0.01)


def test_a_draw_depends_on_seed_and_time_and_on_nothing_else() -> None:
    one, other = JitterLatency(50, 50), JitterLatency(50, 50)
    forwards = [one.sample(t, seed=7) for t in TIMES[:100]]
    backwards = [other.sample(t, seed=7) for t in reversed(TIMES[:100])]
    assert forwards == backwards[::-1]
    assert forwards != [one.sample(t, seed=8) for t in TIMES[:100]]


def test_spikes_come_in_spells_of_the_given_length_and_share() -> None:
    model = SpikeLatency(ConstantLatency(10, 20), extra_us=1000, share=0.1, lasts_us=500)
    slow = [model.sample(t * 250_000)[0] == 1_010_000 for t in range(40_000)]
    assert sum(slow) / len(slow) == pytest.approx(0.1, rel=0.1)
    assert all(slow[i] == slow[i + 1] for i in range(0, len(slow), 2)), "both halves of a spell are slow"
    assert {model.sample(t)[1] for t in TIMES} == {20_000, 1_020_000}


def test_interpolation_is_linear_between_rows_and_flat_outside() -> None:
    model = InterpolatedLatency([(0, 100, 200), (10, 200, 100), (20, 0, 0)])
    expected = {
        -5: (100, 200),
        0: (100, 200),
        5: (150, 150),
        10: (200, 100),
        15: (100, 50),
        20: (0, 0),
        99: (0, 0),
    }
    for order in (sorted(expected), sorted(expected, reverse=True)):
        assert {t: model.sample(t)[:2] for t in order} == expected
    assert model.table == [(0, 100, 200), (10, 200, 100), (20, 0, 0)]


def test_a_python_object_may_say_the_delays() -> None:
    class Mine:
        def entry(self, now_ns: int) -> int:
            return now_ns // 2

        def response(self, now_ns: int) -> int:
            return 7

    assert PythonLatency(Mine()).sample(10) == (5, 7, 0)
    assert SpikeLatency(Mine(), extra_us=1, share=1).sample(10) == (1005, 1007, 0)


def test_a_delay_that_cannot_be_is_refused_with_the_field() -> None:
    class Early:
        def entry(self, now_ns: int) -> int:
            return -1

        def response(self, now_ns: int) -> int:
            return 0

    for make in (
        lambda: ConstantLatency(entry_us=-1),
        lambda: ConstantLatency(response_us=float("nan")),
        lambda: ConstantLatency(feed_us="soon"),
        lambda: JitterLatency(1, 1, jitter="gamma"),
        lambda: SpikeLatency(None, extra_us=1, share=2),
        lambda: SpikeLatency(object(), extra_us=1),
        lambda: InterpolatedLatency([]),
        lambda: InterpolatedLatency([(1, 2, 3), (1, 2, 3)]),
        lambda: InterpolatedLatency([(1, -2, 3)]),
        lambda: PythonLatency(object()),
        lambda: PythonLatency(Early()).sample(1),
    ):
        with pytest.raises(InvalidArgument):
            make()
