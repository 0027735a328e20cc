"""Paths, subscriptions and control messages, without a socket."""

import json
from typing import Any

import pytest

from libchronicle.sim.frames import stream_key
from libchronicle.sim.instruments import SPOT, USDM
from libchronicle.sim.streams import Subscriptions, parse_target


def ask(subscriptions: Subscriptions, **request: Any) -> Any:
    return json.loads(subscriptions.handle(json.dumps(request)))


def fresh() -> Subscriptions:
    return Subscriptions(["btcusdt@trade"], False, 4)


@pytest.mark.parametrize(
    ("target", "names", "combined"),
    [
        ("/ws/btcusdt@trade", ["btcusdt@trade"], False),
        ("/ws/btcusdt@trade/ethusdt@depth@100ms", ["btcusdt@trade", "ethusdt@depth@100ms"], False),
        ("/ws", [], False),
        ("/stream?streams=a@trade/b@depth", ["a@trade", "b@depth"], True),
        ("/stream", [], True),
    ],
)
def test_a_path_names_streams_and_form(target: str, names: list[str], combined: bool) -> None:
    for market in (SPOT, USDM):
        subscriptions = parse_target(market, target)
        assert subscriptions is not None
        assert (list(subscriptions.names), subscriptions.combined) == (names, combined)


def test_usdm_serves_its_routed_paths_too_and_nobody_others() -> None:
    routed = parse_target(USDM, "/market/stream?streams=btcusdt@aggTrade")
    assert routed is not None
    assert list(routed.names) == ["btcusdt@aggTrade"]
    assert parse_target(SPOT, "/market/ws/btcusdt@trade") is None
    assert parse_target(SPOT, "/api/v3/ping") is None


def test_subscribing_unsubscribing_and_listing() -> None:
    subscriptions = fresh()
    assert ask(subscriptions, method="SUBSCRIBE", params=["x@depth", "y@depth"], id=7) == {
        "result": None,
        "id": 7,
    }
    assert ask(subscriptions, method="UNSUBSCRIBE", params=["btcusdt@trade", "never@seen"], id="u") == {
        "result": None,
        "id": "u",
    }
    assert ask(subscriptions, method="LIST_SUBSCRIPTIONS", id=None) == {
        "result": ["x@depth", "y@depth"],
        "id": None,
    }


def test_the_combined_property_can_be_read_and_set() -> None:
    subscriptions = fresh()
    assert ask(subscriptions, method="GET_PROPERTY", params=["combined"], id=1)["result"] is False
    assert ask(subscriptions, method="SET_PROPERTY", params=["combined", True], id=2)["result"] is None
    assert subscriptions.combined


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("{", 3, "Invalid JSON"),
        (b"\xff\xfe", 3, "Invalid JSON"),
        ("[1]", 2, "expected an object"),
        ('{"id":1}', 2, "missing field `method`"),
        ('{"method":"FLY","id":1}', 2, "unknown variant `FLY`, expected one of `SUBSCRIBE`"),
        ('{"method":"SUBSCRIBE","params":["a@trade"],"id":1.5}', 2, "request ID"),
        ('{"method":"SUBSCRIBE","params":["a@trade"],"id":"' + "x" * 37 + '"}', 2, "request ID"),
        ('{"method":"SUBSCRIBE","params":"a@trade","id":1}', 2, "array"),
        ('{"method":"SUBSCRIBE","params":[5],"id":1}', 2, "string"),
        ('{"method":"SUBSCRIBE","params":["a","b","c","d"],"id":1}', 2, "exceeded 4 streams"),
        ('{"method":"LIST_SUBSCRIPTIONS","params":["a"],"id":1}', 2, "too many parameters"),
        ('{"method":"GET_PROPERTY","params":["speed"],"id":1}', 0, "Unknown property"),
        ('{"method":"GET_PROPERTY","params":[],"id":1}', 2, "property name must be a string"),
        ('{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}', 1, "expected Boolean"),
    ],
)
def test_a_bad_request_is_refused_and_changes_nothing(text: str | bytes, code: int, message: str) -> None:
    subscriptions = fresh()
    answer = json.loads(subscriptions.handle(text))
    assert answer["error"]["code"] == code
    assert message in answer["error"]["msg"]
    assert list(subscriptions.names) == ["btcusdt@trade"]


def test_all_speeds_of_a_depth_stream_share_one_key() -> None:
    keys = {
        stream_key(f"btcusdt@depth{speed}") for speed in ("", "@0ms", "@100ms", "@250ms", "@500ms", "@1000ms")
    }
    assert keys == {"btcusdt@depth"}
    assert stream_key("btcusdt@bookTicker") == "btcusdt@bookTicker"
    assert stream_key("btcusdt@trade@100ms") is None
    assert stream_key("btcusdt@kline_1m") is None
    assert stream_key("@trade") is None
