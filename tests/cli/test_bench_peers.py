"""The comparison with other queues: what its ratios say, and that a peer is measured as it is told."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from libchronicle.cli.bench import BenchOptions
from libchronicle.cli.bench.peers import measure, names, ratios, run
from libchronicle.cli.bench.peers.measure import Peer, PeerFailed
from libchronicle.errors import ConfigError

CORES = BenchOptions().pair()

# A queue of one file per message, none of which outlives its reader; the sender refuses every third call once.
TOY = """
    import os, pathlib
    PACKAGE = "pytest"
    NOT_SENT = "not send(payload)"
    def open_sender(where, channel):
        calls = [0]
        def send(payload):
            calls[0] += 1
            if calls[0] % 3 == 0:
                return False
            n = calls[0] - calls[0] // 3
            path = pathlib.Path(where, f"{channel}.{n}")
            path.with_suffix(".tmp").write_bytes(payload)
            if KEEPS or n % 10:
                path.with_suffix(".tmp").rename(path)
            return True
        return send
    def open_receiver(where, channel):
        due = [1]
        def receive():
            n = due[0] + (not KEEPS and due[0] % 10 == 0)
            try:
                with open(f"{where}/{channel}.{n}", "rb") as file:
                    due[0] = n + 1
                    return file.read()
            except FileNotFoundError:
                return None
        return receive
    KEEPS = %KEEPS
"""


def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, keeps: bool) -> Peer:
    (tmp_path / "toy.py").write_text(textwrap.dedent(TOY.replace("%KEEPS", str(keeps))))
    monkeypatch.setattr(measure, "ADAPTERS", tmp_path)
    return measure.find_peer("toy", (sys.executable,))


def row(peer: str, one_way_ns: int, rate: int, batched: int | None, persisted: str) -> dict[str, Any]:
    return {
        "peer": peer,
        "one_way_p50_ns": one_way_ns,
        "msgs_per_s": rate,
        "batched_msgs_per_s": batched,
        "persisted": persisted,
    }


def test_each_ratio_is_to_the_best_of_the_others_in_that_respect() -> None:
    ours = row("chronicle", 200, 6_000_000, 20_000_000, "yes")
    found = ratios(
        [
            ours,
            row("near", 250, 3_000_000, None, "no"),
            row("wide", 400, 1_000_000, 8_000_000, "partly"),
            row("kept", 9_000, 300_000, 2_000_000, "yes"),
        ]
    )
    assert found == {
        "latency_ratio_best": 0.8,
        "throughput_ratio_best": 2.0,
        "throughput_ratio_best_persisted": 20.0,
        "batched_ratio_best": 2.5,
        "batched_ratio_best_persisted": 10.0,
    }


def test_without_another_there_is_no_ratio() -> None:
    assert set(ratios([row("chronicle", 200, 6_000_000, 20_000_000, "yes")]).values()) == {None}


def test_a_peer_that_is_not_installed_is_left_out_and_named() -> None:
    result = run(BenchOptions(tiny=True, seconds=0.02, peers=("mmapq", "chronicle")))
    assert [found["peer"] for found in result["rows"]] == ["chronicle"] or "mmapq" not in result["left_out"]
    if result["left_out"]:
        assert "No module named 'mmapq'" in result["left_out"]["mmapq"]


def test_what_this_queue_keeps_survives_the_death_of_all_its_processes() -> None:
    result = run(BenchOptions(tiny=True, seconds=0.02, peers=("chronicle",)))
    ours = result["rows"][0]
    assert ours["persisted"] == "yes"
    assert ours["lost_percent"] == 0
    assert ours["one_way_p50_ns"] * 2 == pytest.approx(ours["rtt_p50_ns"], abs=1)
    assert "CPython" in ours["python"]


def test_an_unknown_peer_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="there are chronicle, aeron_ipc"):
        run(BenchOptions(tiny=True, peers=("rabbit",)))


def test_every_adapter_says_what_the_harness_needs() -> None:
    for name in names():
        text = (measure.ADAPTERS / f"{name}.py").read_text()
        assert all(word in text for word in ("PACKAGE = ", "def open_sender(", "def open_receiver(")), name


def test_a_refused_message_is_sent_again_and_a_full_round_trip_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = toy(tmp_path, monkeypatch, keeps=True)
    assert measure.round_trips(peer, CORES, 100, 0.01)["n"] == 100
    rate, lost = measure.messages(peer, CORES, 300, many=False)
    assert rate > 0
    assert lost == 0
    assert measure.survivors(peer) == measure.LEFT


def test_a_peer_that_loses_messages_is_measured_by_those_that_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = toy(tmp_path, monkeypatch, keeps=False)
    rate, lost = measure.messages(peer, CORES, 300, many=False)
    assert rate > 0
    assert lost == pytest.approx(0.1)
    assert 0 < measure.survivors(peer) < measure.LEFT


def test_a_peer_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = toy(tmp_path, monkeypatch, keeps=True)
    (tmp_path / "toy.py").write_text("raise RuntimeError('its licence has run out')")
    with pytest.raises(PeerFailed, match="its licence has run out"):
        measure.messages(peer, CORES, 10, many=False)
