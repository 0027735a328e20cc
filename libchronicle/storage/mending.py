"""A manifest that cannot be used: put aside, never deleted, and made anew from the files.

What a reader does meanwhile is look into the files. Other processes that have the old one open go on with it; what an importer
writes there is found again in the files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from libchronicle.bus.files import host_error
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.manifest import Manifest
from libchronicle.storage.moves import quarantine, sync_directory
from libchronicle.storage.rebuild import Progress, Rebuilt, rebuild

__all__ = ["put_aside", "replace_manifest"]

_PARTS: Final = ("-wal", "-shm")


def put_aside(layout: ArchiveLayout, reason: str) -> Path | None:
    """Into quarantine, with its journal; where it is then. None: there was none. Raises HostError and its like."""
    if not layout.manifest.exists():
        return None
    try:
        target = quarantine(layout, layout.manifest, reason, move=True)
        for part in _PARTS:
            beside = layout.manifest.with_name(layout.manifest.name + part)
            if beside.exists():
                beside.replace(target.with_name(target.name + part))
        sync_directory(layout.root)
    except OSError as error:
        raise host_error(error, layout.manifest) from error
    return target


def replace_manifest(
    layout: ArchiveLayout, reason: str, progress: Progress | None = None
) -> tuple[Rebuilt, Path | None]:
    """Make one beside it; only when that is whole the old one goes aside. What was found, and where the old one is.

    Raises as rebuild does; the old one stays then.
    """
    beside = layout.manifest.with_name(f".{layout.manifest.name}.making")
    _remove(beside)
    try:
        with Manifest(beside) as manifest:
            result = rebuild(layout, manifest, progress)
        aside = put_aside(layout, reason)
        beside.rename(layout.manifest)
        sync_directory(layout.root)
    except OSError as error:
        raise host_error(error, layout.manifest) from error
    finally:
        _remove(beside)
    return result, aside


def _remove(manifest: Path) -> None:
    for part in ("", *_PARTS):
        manifest.with_name(manifest.name + part).unlink(missing_ok=True)
