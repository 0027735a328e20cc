from typing import Any

from libchronicle.replay.source import FrameSource

class Merged:
    """Several sources as one: the earliest record first, of equal times that of the source named first."""

    sources: list[FrameSource]
    def __init__(self, sources: list[FrameSource]) -> None: ...
    def failure(self) -> Any:
        """Why the source asked last cannot be read on."""
