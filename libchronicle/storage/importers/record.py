"""What is written of an import: the queues that are staged, and when it is done what came of it.

<archive>/imports/<key>/staged.json    Staged
<archive>/imports/<key>.json           ImportReport
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from libchronicle.errors import ArchiveError
from libchronicle.storage.importers.staging import StagedQueue
from libchronicle.storage.layout import ArchiveLayout

__all__ = [
    "STAGED",
    "ImportReport",
    "Staged",
    "import_key",
    "imports_dir",
    "report_at",
    "staged_imports",
    "staged_in",
]

STAGED: Final = "staged.json"


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did. Times are ns since the Unix epoch; `skipped` counts what was left out, by reason."""

    key: str
    kind: str
    file: str
    content: str  # BLAKE2b of the unpacked file
    rows: int
    records: dict[str, int]  # by stream
    instruments: list[str]
    definitions: int = 0  # at the head of each segment; the archive counts them as records too
    injected: int = 0  # orders in snapshots of books of single orders; the archive counts them too
    gaps: int = 0
    skipped: dict[str, int] = {}
    notes: list[str] = []  # what a person should know of it
    segments: list[str] = []
    first_ns: int | None = None
    last_ns: int | None = None


class Staged(msgspec.Struct, frozen=True, kw_only=True):
    """Complete queues, and what is to be said of them."""

    queues: list[StagedQueue]
    report: ImportReport


def imports_dir(layout: ArchiveLayout) -> Path:
    return layout.root / "imports"


def import_key(content: str, kind: str, options: object) -> str:
    """Names an import: equal for equal content and options."""
    digest = blake2b(digest_size=16)
    digest.update(msgspec.json.encode([content, kind, options], order="sorted"))
    return digest.hexdigest()


def staged_in(work: Path) -> Staged | None:
    """What a staging directory holds; None where it is not complete yet."""
    try:
        return msgspec.json.decode((work / STAGED).read_bytes(), type=Staged)
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def staged_imports(layout: ArchiveLayout, *, besides: Path | None = None) -> Iterator[tuple[Path, Staged]]:
    """Those that are about to become part of the archive, or will when they are finished, with their directories."""
    for path in sorted(imports_dir(layout).glob(f"*/{STAGED}")):
        staged = None if path.parent == besides else staged_in(path.parent)
        if staged is not None:
            yield path.parent, staged


def report_at(path: Path) -> ImportReport:
    """Raises ArchiveError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=ImportReport)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = f"this import is done, but its record is damaged ({error}); keep the archive as it is"
        raise ArchiveError(path=str(path), reason=reason) from None
