"""What both halves of REST answer with."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["ApiError", "Params", "Response"]

Params = dict[str, str]


class Response(NamedTuple):
    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json;charset=UTF-8"


class ApiError(Exception):
    """An answer with an error code, and with `data` where an error has some. It never leaves the REST half of the venue."""

    def __init__(self, status: int, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.data = data

    @property
    def body(self) -> dict[str, Any]:
        """What the client gets."""
        plain = {"code": self.code, "msg": self.message}
        return plain if self.data is None else plain | {"data": self.data}
