"""The remote tier against an S3 server of its own, and against stores that refuse, stall and cut off."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from archive_world import NOON, archive_up_to, expected, rows, world

from libchronicle.bus.paths import BusPaths
from libchronicle.errors import ArchiveError, ChronicleError, ObjectStoreError
from libchronicle.storage import Archive, ArchiveLayout, Manifest
from libchronicle.storage.keeper import Keeper
from libchronicle.storage.moves import thaw
from libchronicle.storage.objects import ObjectStore
from libchronicle.storage.policy import TierPolicy
from libchronicle.storage.rebuild import rebuild
from libchronicle.storage.remote import fetch, read_stub, ship
from libchronicle.storage.verify import verify_archive

pytest.importorskip("obstore")
COUNT = 3000
LATER = NOON + 86_400 * 10**9
KEYS = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "aws_region": "us-east-1"}
ALL_THE_WAY = TierPolicy(warm_after_ns=0, compress="immediate", remote_after_ns=0)


@pytest.fixture
def store(endpoint: str, request: pytest.FixtureRequest) -> ObjectStore:
    import urllib.request

    bucket = f"b{abs(hash(request.node.name))}"
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{bucket}", method="PUT"), timeout=30).read()
    return ObjectStore(f"s3://{bucket}/lake", {**KEYS, "aws_endpoint": endpoint})


def tiers(paths: BusPaths) -> list[str]:
    layout = ArchiveLayout.of(paths)
    return [file.tier for partition in layout.partitions() for file in layout.files(partition)]


def test_segments_go_to_the_store_are_read_from_there_and_come_back(
    tmp_path: Path, store: ObjectStore, endpoint: str
) -> None:
    paths = world(tmp_path, COUNT)
    options = {**KEYS, "aws_endpoint": endpoint}
    with Keeper(paths, ALL_THE_WAY, level=1, block_size=16384, store=store) as keeper:
        assert keeper.take_sealed(LATER) == 7
        assert keeper.compress_due(LATER) == 7
        assert keeper.ship_due(LATER, 5) == 5
        assert tiers(paths) == ["remote"] * 5 + ["cold"] * 2
        rows_before = keeper.manifest.dump()
    for segment in range(3):
        (paths.clean("v", "S", "trade") / f"{segment:09d}.q").unlink()
    with Archive(tmp_path, remote_options=options) as archive:
        assert rows(archive.read("v", "S", "trade")) == expected(COUNT)
        assert rows(archive.read("v", "S", "trade", NOON + 1_000_000)) == expected(COUNT, first=1000)
    layout = ArchiveLayout.of(paths)
    with Manifest(tmp_path / "other.sqlite") as other:
        rebuild(layout, other)
        assert other.dump() == rows_before
        for record in list(other.find(tier="remote")):
            other.put(thaw(layout, fetch(layout, record, store)))
    assert tiers(paths) == ["warm"] * 5 + ["cold"] * 2
    with Archive(tmp_path) as archive:
        assert rows(archive.read("v", "S", "trade")) == expected(COUNT)


def test_shipping_cut_off_at_any_step_leaves_the_segment_here_or_there_and_is_finished_later(
    tmp_path: Path, store: ObjectStore, endpoint: str
) -> None:
    class Cut(Exception):
        pass

    cut_at = 0
    finished = False
    while not finished:
        cut_at += 1
        paths = world(tmp_path / str(cut_at), 900)
        record = archive_up_to(paths, 0, cold=0)[0]
        layout = ArchiveLayout.of(paths)
        steps = iter(range(1, 1000))

        def step(name: str) -> None:
            if next(steps) == cut_at:  # noqa: B023
                raise Cut(name)

        try:
            ship(layout, record, store, step=step)
            finished = True
        except Cut:
            pass
        with Archive(paths, remote_options={**KEYS, "aws_endpoint": endpoint}) as archive:
            assert rows(archive.read("v", "S", "trade")) == expected(900)
        assert ship(layout, record, store).tier == "remote"
        assert tiers(paths) == ["remote"]
    assert cut_at > 6


def test_a_store_that_gives_back_other_bytes_is_not_believed(tmp_path: Path) -> None:
    class Liar(ObjectStore):
        def put(self, key: str, data: bytes) -> None:
            super().put(key, data[:-1] + b"!")

    (tmp_path / "store").mkdir()
    paths = world(tmp_path, 900)
    record = archive_up_to(paths, 0, cold=0)[0]
    with pytest.raises(ObjectStoreError, match="gives back other bytes"):
        ship(ArchiveLayout.of(paths), record, Liar(f"file://{tmp_path}/store"))
    assert tiers(paths) == ["cold"]


def test_a_large_object_goes_in_parts_and_is_what_was_put(store: ObjectStore) -> None:
    data = bytes(range(256)) * (80 << 10)
    store.put("v1/large", data)
    assert store.size("v1/large") == len(data)
    assert store.read("v1/large", 9 << 20, 1000) == data[9 << 20 : (9 << 20) + 1000]


def test_who_waits_for_a_store_that_stalls_is_called_and_may_give_up(
    hostile: socketserver.ThreadingTCPServer,
) -> None:
    class Stop(Exception):
        pass

    def waiting() -> None:
        calls.append(1)
        if len(calls) == 5:
            raise Stop

    calls: list[int] = []
    hostile.how = "stall"  # type: ignore[attr-defined]
    options = {**KEYS, "aws_endpoint": f"http://127.0.0.1:{hostile.server_address[1]}"}
    with pytest.raises(Stop):
        ObjectStore("s3://bucket/lake", options, waiting=waiting).put("v1/x", b"data")


class Hostile(socketserver.BaseRequestHandler):
    """Answers each request in the way its server was told to."""

    def handle(self) -> None:
        self.request.recv(65536)
        how = self.server.how  # type: ignore[attr-defined]
        if how == "refuse":
            self.request.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        elif how == "fail":
            self.request.sendall(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        elif how == "cut":
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")
        elif how == "garbage":
            self.request.sendall(b"\x00\x01\x02 no http at all\r\n\r\n")
        else:
            self.server.released.wait(60)  # type: ignore[attr-defined]


@pytest.fixture
def hostile() -> Iterator[socketserver.ThreadingTCPServer]:
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Hostile) as server:
        server.daemon_threads = True
        server.released = threading.Event()  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.released.set()  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("how", ["refuse", "fail", "cut", "garbage", "stall"])
def test_a_store_that_misbehaves_is_told_of_and_nothing_leaves_this_host(
    tmp_path: Path, hostile: socketserver.ThreadingTCPServer, how: str
) -> None:
    hostile.how = how  # type: ignore[attr-defined]
    options = {**KEYS, "aws_endpoint": f"http://127.0.0.1:{hostile.server_address[1]}"}
    bad = ObjectStore("s3://bucket/lake", options, timeout="500ms")
    paths = world(tmp_path, 900)
    told: list[ChronicleError] = []
    with Keeper(
        paths, ALL_THE_WAY, level=1, store=bad, tell=lambda what, error: told.append(error)
    ) as keeper:
        keeper.take_sealed(LATER)
        keeper.compress_due(LATER)
        assert keeper.ship_due(LATER) == 0
        assert keeper.tally.failures == 1
    assert isinstance(told[0], ObjectStoreError)
    assert "lake/v1/v/S/2024-08-08/trade" in str(told[0])
    assert tiers(paths) == ["cold"] * 2
    with Archive(paths) as archive:
        assert rows(archive.read("v", "S", "trade")) == expected(900)


def test_a_store_nobody_listens_at_is_an_error_with_its_place(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    store = ObjectStore(
        "s3://bucket/lake", {**KEYS, "aws_endpoint": f"http://127.0.0.1:{port}"}, timeout="1s"
    )
    with pytest.raises(ObjectStoreError, match="s3://bucket/lake/v1/x"):
        store.put("v1/x", b"data")
    with pytest.raises(ObjectStoreError, match="ftp"):
        ObjectStore("ftp://somewhere/x")


def test_every_changed_byte_of_a_stub_is_found_and_read_as_an_error_at_most(tmp_path: Path) -> None:
    paths = world(tmp_path, 600)
    (tmp_path / "store").mkdir()
    store = ObjectStore(f"file://{tmp_path}/store")
    with Keeper(paths, ALL_THE_WAY, level=1, block_size=16384, store=store) as keeper:
        keeper.take_sealed(LATER)
        keeper.compress_due(LATER)
        keeper.ship_due(LATER, 1)
        stub = next(keeper.layout.partitions_dir.rglob("*.q.remote"))
        content = stub.read_bytes()
        with Archive(tmp_path) as archive:
            assert verify_archive(keeper.layout, keeper.manifest, archive.open_remote).sound
            for at in range(0, len(content), 7):
                stub.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
                found = verify_archive(keeper.layout, keeper.manifest, archive.open_remote)
                assert not found.sound, (at, content[at : at + 1])
                with Manifest(tmp_path / "other.sqlite") as other:
                    rebuild(keeper.layout, other)
        for at in range(len(content)):
            stub.write_bytes(content[:at] + b"\xff" + content[at + 1 :])
            with pytest.raises(ArchiveError):
                read_stub(stub)
