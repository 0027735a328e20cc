"""A manifest that is damaged, or of an earlier version: put aside, made anew, and nobody has to do anything."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from archive_world import NOON, expected, rows, world
from typer.testing import CliRunner

from libchronicle.bus.paths import BusPaths
from libchronicle.cli.main import app
from libchronicle.errors import DamagedManifest
from libchronicle.storage import Archive, ArchiveLayout, Manifest
from libchronicle.storage.keeper import Keeper
from libchronicle.storage.mending import replace_manifest
from libchronicle.storage.policy import TierPolicy

COUNT = 3000
LATER = NOON + 86_400 * 10**9
AT_ONCE = TierPolicy(warm_after_ns=0)


@pytest.fixture
def paths(tmp_path: Path) -> BusPaths:
    made = world(tmp_path, COUNT)
    with Keeper(made, AT_ONCE) as keeper:
        keeper.take_sealed(LATER)
    return made


def dump(layout: ArchiveLayout) -> list[dict[str, object]]:
    with Manifest(layout.manifest) as manifest:
        return manifest.dump()


def spoil(layout: ArchiveLayout) -> None:
    """A time that is wrong by three days in a row that says nothing else wrong."""
    with sqlite3.connect(layout.manifest) as database:
        database.execute("UPDATE segments SET first_ts = first_ts + 259200000000000 WHERE number = 2")
    database.close()


def test_a_reader_does_not_believe_a_time_that_was_changed_within_its_row(paths: BusPaths) -> None:
    spoil(ArchiveLayout.of(paths))
    with Archive(paths) as archive:
        assert rows(archive.read("v", "S", "trade", NOON)) == expected(COUNT)
    with (
        Manifest(ArchiveLayout.of(paths).manifest) as manifest,
        pytest.raises(DamagedManifest, match="checksum"),
    ):
        list(manifest.find())


def test_a_manifest_of_the_version_before_is_filled_anew_by_the_keeper(paths: BusPaths) -> None:
    layout = ArchiveLayout.of(paths)
    whole = dump(layout)
    with sqlite3.connect(layout.manifest) as database:
        database.execute("ALTER TABLE segments DROP COLUMN row_sum")
        database.execute("PRAGMA user_version = 1")
    database.close()
    with Archive(paths) as archive:
        assert rows(archive.read("v", "S", "trade")) == expected(COUNT)
    with Keeper(paths, AT_ONCE) as keeper:
        assert keeper.tally.manifests == 0
    assert dump(layout) == whole


def test_a_keeper_mends_what_is_damaged_while_it_works(paths: BusPaths) -> None:
    layout = ArchiveLayout.of(paths)
    whole = dump(layout)
    told: list[str] = []
    policy = TierPolicy(warm_after_ns=0, compress="immediate")
    with Keeper(paths, policy, level=1, tell=lambda what, error: told.append(f"{what}: {error}")) as keeper:
        spoil(layout)
        with pytest.raises(DamagedManifest) as raised:
            keeper.compress_due(LATER)
        keeper.mend(raised.value)
        assert dump(layout) == [{**row, "tier": one["tier"], "bytes": one["bytes"], "row_sum": one["row_sum"]}
                                for row, one in zip(whole, dump(layout), strict=True)]  # fmt: skip
        keeper.compress_due(LATER)
        assert {record.tier for record in keeper.manifest.find()} == {"cold"}
    assert (keeper.tally.manifests, len(told)) == (1, 1)
    assert "made anew" in told[0]


def test_a_rebuild_keeps_the_old_manifest_until_the_new_one_is_whole_and_aside_then(
    paths: BusPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = ArchiveLayout.of(paths)
    layout.manifest.write_bytes(b"no database " * 1000)

    def killed(seen: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_manifest(layout, "damaged", killed)
    assert layout.manifest.read_bytes() == b"no database " * 1000
    said = CliRunner().invoke(app, ["archive", "rebuild", "--run", str(paths.root)])
    assert said.exit_code == 0, said.output
    assert "put aside as" in said.output
    (aside,) = layout.quarantine.glob("*manifest.sqlite")
    assert aside.read_bytes() == b"no database " * 1000
    assert len(dump(layout)) == 7


def test_a_manifest_that_another_process_holds_is_not_put_aside(
    paths: BusPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libchronicle.storage.manifest._BUSY_S", 0.05)
    layout = ArchiveLayout.of(paths)
    with Manifest(layout.manifest) as other, other.replacing():
        said = CliRunner().invoke(app, ["archive", "rebuild", "--run", str(paths.root)])
        assert said.exit_code != 0
    assert not layout.quarantine.exists()
