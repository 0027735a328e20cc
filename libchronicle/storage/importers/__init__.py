"""Files of recorded data into the archive, once each: Tardis CSV, LOBSTER CSV, Nasdaq ITCH 5.0, hftbacktest npz.

report = import_file(ArchiveLayout("run/archive"), Path("binance-futures_trades_BTCUSDT.csv.gz"))
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from libchronicle.errors import ExponentChanged, ImportRejected
from libchronicle.storage.importers import hftbacktest, itch, lobster, tardis
from libchronicle.storage.importers.job import run_import
from libchronicle.storage.importers.options import ImportOptions
from libchronicle.storage.importers.plan import Plan
from libchronicle.storage.importers.record import ImportReport, import_key, imports_dir
from libchronicle.storage.importers.source import InputFile, Progress
from libchronicle.storage.layout import ArchiveLayout

__all__ = [
    "KINDS",
    "ImportOptions",
    "ImportReport",
    "InputFile",
    "Plan",
    "Progress",
    "import_file",
    "import_key",
    "imports_dir",
    "kind_of",
    "run_import",
]

_SHOWN: Final = 80
Importer = tuple[Callable[[InputFile], bool], Callable[[InputFile, ImportOptions, ArchiveLayout], Plan]]

KINDS: Final[dict[str, Importer]] = {
    "tardis": (tardis.is_tardis, tardis.plan),
    "lobster": (lobster.is_lobster, lobster.plan),
    "pcap": (itch.is_pcap, itch.plan),
    "itch": (itch.is_itch, itch.plan),
    "hftbacktest": (hftbacktest.is_npz, hftbacktest.plan),
}
"""Kind of file: (is it one, told by name and first bytes; how to import it)."""


def kind_of(file: InputFile) -> str | None:
    return next((kind for kind, (fits, _) in KINDS.items() if fits(file)), None)


def _unknown(file: InputFile, kinds: dict[str, Importer]) -> str:
    """Why a file is of no kind, and what may have been meant."""
    line, newline, _ = file.head(4096).partition(b"\n")
    if not line and not newline:
        return "the file is empty"
    if "_orderbook_" in file.name:
        message = file.name.replace("_orderbook_", "_message_")
        return f"an order book file of LOBSTER; import {message}, which takes the first book from this one beside it"
    known = f"no file of a kind that can be imported ({', '.join(kinds)}); give --kind to `chronicle archive import`"
    if file.name.endswith(".csv") and line.isascii():
        head = line.decode().strip()[:_SHOWN]
        return (
            f"a CSV file that begins with {head!r}: Tardis' begin with exchange,symbol,timestamp,local_timestamp, and "
            f"LOBSTER's are named SYMBOL_DATE_START_END_message_LEVELS.csv; {known}"
        )
    return known


def import_file(
    layout: ArchiveLayout,
    path: Path,
    options: ImportOptions | None = None,
    *,
    progress: Progress | None = None,
    kinds: dict[str, Importer] = KINDS,
) -> ImportReport:
    """Import one file. Raises ImportRejected (nothing of it is in the archive then), DuplicateImport, ExponentChanged (of a
    recording whose exponents are not those the archive has), NoSpace, NoPermission."""
    options = options or ImportOptions()
    file = InputFile(path, progress) if progress else InputFile(path)
    kind = options.kind or next((k for k, (fits, _) in kinds.items() if fits(file)), None)
    if kind not in kinds:
        raise ImportRejected(file=str(path), place="its first bytes", reason=_unknown(file, kinds))
    try:
        return _run(layout, path, kinds[kind][1](file, options, layout))
    except (
        ExponentChanged
    ):  # somebody has imported the instrument meanwhile: what that says of it holds here too
        return _run(layout, path, kinds[kind][1](file, options, layout))


def _run(layout: ArchiveLayout, path: Path, plan: Plan) -> ImportReport:
    return run_import(layout, plan.key, str(path), plan.stage)
