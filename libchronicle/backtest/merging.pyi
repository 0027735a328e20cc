from typing import Any

from libchronicle.replay.source import FrameSource

class Merged:
    """Several sources as one, by time; ties in their order."""

    sources: list[FrameSource]
    def __init__(self, sources: list[FrameSource], listener: Any) -> None: ...
    def begin(self) -> None:
        """Take the first record of each source."""
