from typing import Any

class Outbox:
    """What a simulated venue writes: reports on their way to the strategy, and the rows of the result."""

    def table(self, name: str) -> list[Any]:
        """The rows of `orders`, `fills` or `equity` as [bytes of one row, chunk, chunk, ...]."""
