from os import PathLike
from typing import Final

WORD_ALLOWED: Final[int]
FILE_SIZE: Final[int]

class KillSwitch:
    """Reader's side of the kill word at `path`; missing, unreadable or of the wrong size means killed."""

    def __init__(self, path: str | PathLike[str]) -> None: ...
    @property
    def killed(self) -> bool:
        """One load from the mapped file: cheap enough for every order."""
    @property
    def reason(self) -> str:
        """Why the file itself cannot be used; empty when it is mapped."""
    def refresh(self) -> bool:
        """See that the mapping still is the file of that name (system calls); True if killed."""
    def close(self) -> None:
        """Unmap; killed from here on."""
