"""The WebSocket half of the venue, without a socket: paths, subscriptions and the control messages on them.

Document: Binance Spot "WebSocket Streams" (USD-M differs in limits only).
"""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec

from libchronicle.sim.instruments import SPOT

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")

_ROUTED_PREFIXES = ("/public", "/market", "/private")
"""USD-M also offers its streams below a path that names their class."""


class StreamLimits(NamedTuple):
    streams_per_connection: int
    messages_per_s: int
    ping_interval_s: float
    pong_timeout_s: float


LIMITS = {
    "binance-spot": StreamLimits(1024, 5, 20.0, 60.0),
    "binance-usdm": StreamLimits(1024, 10, 180.0, 600.0),
}


class ControlError(Exception):
    """A refused control message. It never leaves this module."""

    def __init__(self, code: int, message: str, request_id: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.request_id = request_id


class Subscriptions:
    """What one connection wants: stream names in the order they came, and whether it wants envelopes."""

    def __init__(self, names: list[str], combined: bool, limit: int) -> None:
        self.names: dict[str, None] = dict.fromkeys(names)
        self.combined = combined
        self.limit = limit

    def handle(self, text: str | bytes) -> bytes:
        """Answers one control message, after it has taken effect. Never raises."""
        request_id: Any = None
        try:
            request = self._parse(text)
            request_id = request.get("id")
            result = self._act(request)
            return msgspec.json.encode({"result": result, "id": request_id})
        except ControlError as error:
            answer: dict[str, Any] = {"error": {"code": error.code, "msg": error.message}}
            if request_id is not None:
                answer["id"] = request_id
            return msgspec.json.encode(answer)

    def _parse(self, text: str | bytes) -> dict[str, Any]:
        try:
            request = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # the last: nested without end
            raise ControlError(3, "Invalid JSON: expected value at line 1 column 1") from None
        if not isinstance(request, dict):
            raise ControlError(2, "Invalid request: expected an object")
        return request

    def _act(self, request: dict[str, Any]) -> Any:
        size = len(msgspec.json.encode(request))
        if "method" not in request:
            raise ControlError(2, f"Invalid request: missing field `method` at line 1 column {size}")
        method = request["method"]
        if method not in METHODS:
            expected = ", ".join(f"`{name}`" for name in METHODS)
            raise ControlError(
                2,
                f"Invalid request: unknown variant `{method}`, expected one of {expected} at line 1 column {size}",
            )
        if not _valid_id(request):
            raise ControlError(2, "Invalid request: request ID must be an unsigned integer")
        params = request.get("params", [])
        if not isinstance(params, list):
            raise ControlError(2, "Invalid request: params must be an array")
        if method == "LIST_SUBSCRIPTIONS":
            if params:
                raise ControlError(2, "Invalid request: too many parameters")
            return list(self.names)
        if method in ("SET_PROPERTY", "GET_PROPERTY"):
            return self._property(method, params)
        return self._change(method, params)

    def _property(self, method: str, params: list[Any]) -> Any:
        if not params or not isinstance(params[0], str):
            raise ControlError(2, "Invalid request: property name must be a string")
        if params[0] != "combined":
            raise ControlError(0, "Unknown property")
        if len(params) > (2 if method == "SET_PROPERTY" else 1):
            raise ControlError(2, "Invalid request: too many parameters")
        if method == "GET_PROPERTY":
            return self.combined
        if len(params) < 2 or not isinstance(params[1], bool):
            raise ControlError(1, "Invalid value type: expected Boolean")
        self.combined = params[1]
        return None

    def _change(self, method: str, params: list[Any]) -> None:
        if not all(isinstance(name, str) for name in params):
            raise ControlError(2, "Invalid request: stream name must be a string")
        if method == "UNSUBSCRIBE":
            for name in params:
                self.names.pop(name, None)
            return
        wanted = self.names | dict.fromkeys(params)
        if len(wanted) > self.limit:
            raise ControlError(2, f"Invalid request: exceeded {self.limit} streams per connection")
        self.names = wanted


def _valid_id(request: dict[str, Any]) -> bool:
    request_id = request.get("id")
    if isinstance(request_id, str):
        return len(request_id) <= 36
    return request_id is None or (isinstance(request_id, int) and not isinstance(request_id, bool))


def parse_target(market: str, target: str) -> Subscriptions | None:
    """Subscriptions a WebSocket path asks for; None if the venue serves no streams there, or not so many."""
    try:
        parts = urlsplit(target)
    except ValueError:  # //[x
        return None
    path = parts.path
    limit = LIMITS[market].streams_per_connection
    if market != SPOT:
        for prefix in _ROUTED_PREFIXES:
            if path.startswith(prefix + "/"):
                path = path[len(prefix) :]
    if path.rstrip("/") == "/stream":
        names, combined = _split(parse_qs(parts.query).get("streams", [""])[0]), True
    elif path == "/ws" or path.startswith("/ws/"):
        names, combined = _split(path[len("/ws") :]), False
    else:
        return None
    return Subscriptions(names, combined, limit) if len(names) <= limit else None


def _split(streams: str) -> list[str]:
    return [name for name in streams.split("/") if name]
