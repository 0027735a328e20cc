"""Models as text: of command lines, TOML and plans."""

from __future__ import annotations

import pytest

from libchronicle.backtest.spelling import chances_of, fees_of, latency_of, latency_words, queue_of
from libchronicle.errors import InvalidArgument


@pytest.mark.parametrize(
    ("read", "text", "model"),
    [
        (latency_of, "none", "None"),
        (latency_of, "constant:50,60,7", "ConstantLatency(entry_us=50, response_us=60, feed_us=7)"),
        (queue_of, "prob:3", "ProbQueue(power=3, variant=1)"),
        (queue_of, "fifo", "FifoQueue()"),
        (chances_of, "none", "None"),
        (
            chances_of,
            "touch=0.9,through_only=0.1,slippage=0.5,slippage_ticks=2",
            "FillChances(touch=0.9, through_only=0.1, slippage=0.5, slippage_ticks=2)",
        ),
        (chances_of, "touch=0.5", "FillChances(touch=0.5, through_only=0.0, slippage=0.0, slippage_ticks=1)"),
    ],
)
def test_a_text_is_a_model(read, text: str, model: str) -> None:
    assert repr(read(text)) == model


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (latency_of, "constnt:5"),
        (latency_of, "constant:5,x"),
        (latency_of, {"nasdaq": "soon"}),
        (queue_of, "fifo:1"),
        (fees_of, "free"),
        (chances_of, "touch=2"),
        (chances_of, "luck=0.5"),
        (chances_of, "0.5"),
        (chances_of, "slippage_ticks=1.5"),
    ],
)
def test_a_text_that_is_none_is_refused(read, text: object) -> None:
    with pytest.raises(InvalidArgument):
        read(text)


def test_words_name_one_model_or_one_for_each_venue() -> None:
    assert latency_words(["constant:50,60"]) == "constant:50,60"
    assert latency_words(["jitter:500,500,sigma=0.3"]) == "jitter:500,500,sigma=0.3"
    words = ["binance-spot=constant:800,800", "nasdaq=jitter:50,50,sigma=0.3", "made-up=none"]
    assert latency_words(words) == dict(word.split("=", 1) for word in words)
    for bad in (
        ["none", "none"],
        ["nasdaq=none", "nasdaq=none"],
        ["none", "nasdaq=none"],
        ["nasdaq=none", "none"],
    ):
        with pytest.raises(InvalidArgument, match="--latency"):
            latency_words(bad)
