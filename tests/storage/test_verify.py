"""verify finds every flipped bit, rebuild makes the manifest that was, and readers do without it."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from archive_world import NOON, archive_up_to, expected, rows, world

from libchronicle.bus.paths import BusPaths
from libchronicle.errors import ArchiveError, NoSpace
from libchronicle.storage import Archive, ArchiveLayout, Manifest, Partition, SegmentId
from libchronicle.storage.keeper import Keeper
from libchronicle.storage.layout import day_of
from libchronicle.storage.moves import adopt
from libchronicle.storage.policy import TierPolicy
from libchronicle.storage.rebuild import rebuild, refresh
from libchronicle.storage.verify import verify_archive

COUNT = 3000
LATER = NOON + 86_400 * 10**9


@pytest.fixture
def paths(tmp_path: Path) -> BusPaths:
    """Four warm and three cold segments, in the manifest."""
    made = world(tmp_path, COUNT)
    with Keeper(made, TierPolicy(warm_after_ns=0, compress="immediate"), level=1, block_size=16384) as keeper:
        keeper.take_sealed(LATER)
        keeper.compress_due(LATER, 3)
    return made


def findings(paths: BusPaths, *, with_manifest: bool = True) -> list[str]:
    layout = ArchiveLayout.of(paths)
    if not with_manifest:
        return [f"{Path(f.path).name}: {f.reason}" for f in verify_archive(layout).findings]
    with Manifest(layout.manifest) as manifest:
        return [f"{Path(f.path).name}: {f.reason}" for f in verify_archive(layout, manifest).findings]


def test_a_sound_archive_has_no_findings(paths: BusPaths) -> None:
    assert findings(paths) == findings(paths, with_manifest=False) == []


@pytest.mark.parametrize("with_manifest", [True, False])
def test_every_flipped_bit_is_found_in_the_file_it_is_in(paths: BusPaths, with_manifest: bool) -> None:
    layout = ArchiveLayout.of(paths)
    files = [file.path for p in layout.partitions() for file in layout.files(p)]
    seed = random.randrange(1 << 30)
    print("seed", seed)
    source = random.Random(seed)
    for path in files:
        good = path.read_bytes()
        bits = [source.randrange(len(good) * 8) for _ in range(25)]
        bits += [source.randrange(1024) for _ in range(5)]
        for bit in bits:
            bad = bytearray(good)
            bad[bit // 8] ^= 1 << bit % 8
            path.unlink()
            path.write_bytes(bad)
            assert any(path.name in line for line in findings(paths, with_manifest=with_manifest)), (
                path,
                bit,
            )
        path.write_bytes(good)
    assert findings(paths) == []


def test_what_is_missing_misplaced_or_a_strangers_is_named(paths: BusPaths) -> None:
    layout = ArchiveLayout.of(paths)
    place = next(layout.partitions())
    files = layout.files(place)
    files[3].path.unlink()
    (layout.partition_dir(place) / "notes.txt").write_text("hello")
    elsewhere = Partition(place.venue, place.symbol, day_of(NOON - 86_400 * 10**9), place.stream)
    layout.partition_dir(elsewhere).mkdir(parents=True)
    files[5].path.rename(layout.segment(elsewhere, files[5].id, files[5].tier))
    renamed = SegmentId(files[6].id.queue_id, 77)
    files[6].path.rename(layout.segment(place, renamed, files[6].tier))
    told = "\n".join(findings(paths))
    assert "no file of it is there" in told
    assert "notes.txt" in told
    assert "its records are of 2024-08-08, not of 2024-08-07" in told
    assert f"holds segment {files[6].id}" in told
    assert "segments missing, the first is" in told


def test_the_manifest_made_anew_is_the_one_that_was_kept(paths: BusPaths) -> None:
    layout = ArchiveLayout.of(paths)
    with Manifest(layout.manifest) as manifest:
        kept = manifest.dump()
        assert len(kept) == 7
        done = rebuild(layout, manifest)
        assert (done.segments, done.added, done.skipped) == (7, 7, [])
        assert manifest.dump() == kept
    for name in ("manifest.sqlite", "manifest.sqlite-wal", "manifest.sqlite-shm"):
        (layout.root / name).unlink(missing_ok=True)
    with Manifest(layout.manifest) as manifest:
        done = refresh(layout, manifest)
        assert (done.added, done.changed, done.removed) == (7, 0, 0)
        assert manifest.dump() == kept


def test_a_file_that_cannot_be_what_its_name_says_stops_no_rebuild(paths: BusPaths) -> None:
    layout = ArchiveLayout.of(paths)
    place = next(layout.partitions())
    files = layout.files(place)
    files[0].path.write_bytes(b"nothing")
    with Manifest(layout.manifest) as manifest:
        done = rebuild(layout, manifest)
        assert (done.added, [Path(path).name for path, _ in done.skipped]) == (6, [files[0].path.name])


@pytest.mark.parametrize("content", [b"", b"no database at all", None])
def test_readers_do_without_a_manifest(paths: BusPaths, content: bytes | None) -> None:
    layout = ArchiveLayout.of(paths)
    for name in ("manifest.sqlite", "manifest.sqlite-wal", "manifest.sqlite-shm"):
        (layout.root / name).unlink(missing_ok=True)
    if content is not None:
        layout.manifest.write_bytes(content)
    with Archive(paths) as archive:
        assert rows(archive.read("v", "S", "trade", NOON + 5000)) == expected(COUNT, first=5)


def test_readers_are_not_misled_by_a_manifest_that_is_behind(tmp_path: Path) -> None:
    paths = world(tmp_path, COUNT)
    with Keeper(paths, TierPolicy(warm_after_ns=0)) as keeper:
        pass
    archive_up_to(paths, 6, cold=3)
    with Archive(paths) as archive:
        assert rows(archive.read("v", "S", "trade")) == expected(COUNT)
    assert keeper.tally.adopted == 0


def test_a_manifest_of_another_version_or_damaged_says_how_to_make_it_anew(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "m.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(ArchiveError, match=r"version 99.*rebuild"):
        Manifest(tmp_path / "m.sqlite")
    (tmp_path / "n.sqlite").write_bytes(b"x" * 5000)
    with pytest.raises(ArchiveError, match="archive rebuild"):
        Manifest(tmp_path / "n.sqlite")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_who_may_only_read_the_archive_reads_its_manifest_and_is_told_what_is_closed(paths: BusPaths) -> None:
    layout = ArchiveLayout.of(paths)
    for directory in (*paths.root.parents, paths.root):
        directory.chmod(directory.stat().st_mode | 0o055)
    script = (
        "import os, sys; os.setgid(65534); os.setuid(65534)\n"
        "from libchronicle.storage import Archive, Manifest\n"
        "print(len(Manifest(sys.argv[1] + '/archive/manifest.sqlite', read_only=True).dump()))\n"
        "print(sum(1 for _ in Archive(sys.argv[1] + '/archive').read('v', 'S', 'trade')))\n"
        "list(Archive(sys.argv[1]).read('v', 'S', 'trade'))\n"
    )
    for where in (layout.root, *layout.root.rglob("*")):
        where.chmod(0o755 if where.is_dir() else 0o644)
    queue = paths.clean("v", "S", "trade")
    for where in (queue, *queue.parents):
        where.chmod(where.stat().st_mode | 0o055)
    done = subprocess.run(
        [sys.executable, "-c", script, str(paths.root)], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["7", str(COUNT - 144)], done.stderr
    assert "NoPermission" in done.stderr
    assert "clean/v/S/trade/" in done.stderr


def test_a_text_beside_a_segment_that_changed_is_named_and_stops_nothing(tmp_path: Path) -> None:
    layout = ArchiveLayout(tmp_path / "archive")
    paths = world(tmp_path, COUNT)
    source = paths.clean("v", "S", "trade") / "000000000.q"
    record = adopt(layout, source, "v", "S", "trade", provenance=b'{"file":"a.csv"}')
    beside = layout.provenance(record.partition, record.id)
    with Manifest(layout.manifest) as manifest:
        rebuild(layout, manifest)
        assert verify_archive(layout, manifest).sound
        for content in (b'{"file":"b.csv"}', b'{"file":"a.csv', b'{"file":"\xff.csv"}', None):
            beside.unlink()
            if content is not None:
                beside.write_bytes(content)
            assert beside.name in verify_archive(layout, manifest).findings[0].reason
            if content is not None:
                with Manifest(tmp_path / "other.sqlite") as other:
                    assert rebuild(layout, other).skipped == []
            else:
                beside.write_bytes(b"{}")


@pytest.mark.parametrize(
    "change",
    ["day = '2024x08-08'", "types = '{'", "queue_id = 'no such'", "last_ts = last_ts - (1 << 40)"],
)
def test_a_manifest_with_a_row_that_does_not_hold_is_done_without_and_says_so(
    paths: BusPaths, change: str
) -> None:
    layout = ArchiveLayout.of(paths)
    with Manifest(layout.manifest) as manifest:
        rebuild(layout, manifest)
    with sqlite3.connect(layout.manifest) as database:
        database.execute(f"UPDATE segments SET {change} WHERE number = 2")
    database.close()
    with Archive(paths) as archive:
        assert rows(archive.read("v", "S", "trade")) == expected(COUNT)
    kept = sorted(layout.quarantine.glob("*")) if layout.quarantine.exists() else []
    with Keeper(paths, TierPolicy()) as keeper:
        assert keeper.tally.manifests == 1
        assert verify_archive(layout, keeper.manifest).sound
    aside = [path.name for path in layout.quarantine.iterdir() if path not in kept]
    assert any(name.endswith("manifest.sqlite") for name in aside)
    assert any(name.endswith("manifest.sqlite.reason.json") for name in aside)


def test_a_manifest_on_a_full_disk_or_held_by_another_says_so_and_not_that_it_is_damaged(
    paths: BusPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libchronicle.storage.manifest._BUSY_S", 0.05)
    layout = ArchiveLayout.of(paths)
    with Manifest(layout.manifest) as manifest, Manifest(layout.manifest) as other:
        records = list(manifest.find())
        with other.replacing(), pytest.raises(ArchiveError, match="another process has been writing"):
            manifest.put(*records)
        pages = manifest._db.execute("PRAGMA page_count").fetchone()[0]
        manifest._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(NoSpace):
            manifest.put(
                *(
                    msgspec.structs.replace(
                        records[0], facts=msgspec.structs.replace(records[0].facts, number=n)
                    )
                    for n in range(1000, 3000)
                )
            )
