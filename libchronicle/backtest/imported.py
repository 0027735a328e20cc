"""A file of recorded data as an archive of its own, for as long as somebody holds it."""

from __future__ import annotations

import tempfile
import weakref
from pathlib import Path

from libchronicle.etl.recordings import ALL_KINDS
from libchronicle.storage.archive import Archive
from libchronicle.storage.importers import import_file
from libchronicle.storage.layout import ArchiveLayout

__all__ = ["archive_of"]


def archive_of(path: Path) -> Archive:
    """What `chronicle archive import` makes of a file, in a directory that goes with the Archive. Raises ImportRejected."""
    home = tempfile.TemporaryDirectory(prefix="chronicle-backtest-")
    try:
        import_file(ArchiveLayout(Path(home.name)), path, kinds=ALL_KINDS)
        archive = Archive(home.name)
    except BaseException:
        home.cleanup()
        raise
    weakref.finalize(archive, home.cleanup)
    return archive
