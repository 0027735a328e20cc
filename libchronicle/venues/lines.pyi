"""Text files of a vendor, line by line: what their parsers have in common."""

from typing_extensions import Buffer

class LineParser:
    """Feed chunks of a file cut anywhere; each raises ImportRejected, with the line, for what it cannot take."""

    @property
    def rows(self) -> int: ...
    def feed(self, data: Buffer) -> None: ...
    def finish(self) -> None:
        """There is no more: a last line without line feed is taken now."""
