"""What a backtest gives back."""

from __future__ import annotations

from typing import Any

__all__ = ["BacktestResult"]


class BacktestResult:
    """Of one run.

    messages, rows  market records given after `start`; rows: price levels and trades in them
    wall_s          the run itself, without opening the data
    hash            of every market record, request and report in their order: equal for equal runs, in any process
    requests        orders, cancels and replaces sent
    state           what on_save returned
    """

    def __init__(self, **facts: Any) -> None:
        self.strategy: str = facts["strategy"]
        self.start_ns: int = facts["start_ns"]
        self.end_ns: int = facts["end_ns"]
        self.messages: int = facts["messages"]
        self.rows: int = facts["rows"]
        self.wall_s: float = facts["wall_s"]
        self.hash: str = facts["hash"]
        self.requests: int = facts["requests"]
        self.gaps: int = facts["gaps"]
        self.lost: int = facts["lost"]
        self.callbacks: int = facts["callbacks"]
        self.state: Any = facts["state"]

    def __repr__(self) -> str:
        return f"<BacktestResult {self.strategy}: {self.messages} messages, {self.requests} requests, hash {self.hash}>"
