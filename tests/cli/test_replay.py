"""`chronicle replay` and `chronicle archive book`."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from libchronicle.bus.paths import BusPaths
from libchronicle.cli.main import app
from libchronicle.errors import NotRecorded
from libchronicle.protocol import Trade
from libchronicle.queue import Queue, QueueConfig

sys.path.insert(0, str(Path(__file__).parent.parent / "replay"))
from stream import definition, market, merged, reference

RECORDS = market("AAA", 800)
NAME = "made-up:AAA"


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("run")
    paths = BusPaths(root)
    for stream in ("book", "trade"):
        with Queue.open_publisher(
            paths.clean("made-up", "AAA", stream), QueueConfig(segment_size=1 << 15)
        ) as writer:
            head = definition("AAA")
            writer.append(head.TEMPLATE_ID, head.encode(), RECORDS[0][0])
            for ts, message in RECORDS[1:]:
                if isinstance(message, Trade) == (stream == "trade"):
                    writer.append(message.TEMPLATE_ID, message.encode(), ts)
    return root


def call(root: Path, *arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, [*arguments, "--run", str(root)])
    assert result.exit_code == code, result.output
    return result.stdout


def test_a_replay_ends_with_its_state_hash_and_the_books(root):
    facts = json.loads(call(root, "replay", NAME, "--json"))
    assert facts["records"] == len(RECORDS) + 1
    (row,) = facts["instruments"]
    assert row["book_hash"] == f"{reference(RECORDS, 'AAA').hash():016x}"
    assert (row["instrument"], row["valid"], facts["gaps"]) == (NAME, True, 0)
    again = json.loads(call(root, "replay", NAME, "--json", "--workers", "2"))
    assert again == facts
    result = CliRunner().invoke(app, ["replay", NAME, "--run", str(root)])
    assert facts["state_hash"] in result.output


def test_records_are_printed_filtered_and_written(root, tmp_path):
    trades = [m for _, m in RECORDS if isinstance(m, Trade)]
    lines = call(root, "replay", NAME, "--types", "Trade", "--print", "--json").splitlines()
    told = [json.loads(line) for line in lines[: len(trades)]]
    assert [(row["type"], row["price"], row["qty"]) for row in told] == [
        ("Trade", m.price, m.qty) for m in trades
    ]
    file = tmp_path / "t.csv"
    call(root, "replay", NAME, "--types", "Trade", "--every", "3", "--to", f"csv:{file}")
    with open(file, newline="") as rows:
        assert [int(row["price"]) for row in csv.DictReader(rows)] == [m.price for m in trades[::3]]


def test_a_replay_warms_from_snapshot_files(root, tmp_path):
    whole = json.loads(
        call(root, "replay", NAME, "--json", "--snapshots", str(tmp_path), "--snapshot-records", "300")
    )
    rest = json.loads(call(root, "replay", NAME, "--json", "--snapshots", str(tmp_path), "--warm"))
    assert rest["state_hash"] == whole["state_hash"]
    assert rest["records"] < 310


def test_a_feed_is_replayed_raw_with_all_it_holds_or_some_of_it(root):
    with Queue.open_publisher(BusPaths(root).raw("all"), QueueConfig(segment_size=1 << 15)) as writer:
        for ts, message in merged(RECORDS, market("BBB", 200)):
            writer.append(message.TEMPLATE_ID, message.encode(), ts)
    facts = json.loads(call(root, "replay", "--feed", "all", "--json"))
    assert [row["instrument"] for row in facts["instruments"]] == [NAME, "made-up:BBB"]
    assert facts["instruments"][0]["book_hash"] == f"{reference(RECORDS, 'AAA').hash():016x}"
    facts = json.loads(call(root, "replay", NAME, "--feed", "all", "--json"))
    assert [row["instrument"] for row in facts["instruments"]] == [NAME]
    assert CliRunner().invoke(app, ["replay", "--run", str(root)]).exit_code != 0
    unknown = CliRunner().invoke(app, ["replay", "--session", "none", "--run", str(root)])
    assert unknown.exit_code != 0
    assert "made-up" not in str(unknown.exception)  # a market is near no session


def test_a_session_that_is_none_is_told_with_those_that_are_near(root):
    path = BusPaths(root).session("mine")
    path.mkdir(parents=True)
    with Queue.open_publisher(path, QueueConfig(segment_size=1 << 15)) as writer:
        writer.append(1, b"")
    unknown = CliRunner().invoke(app, ["replay-check", "moin", "--run", str(root)])
    assert unknown.exit_code != 0
    assert "_sessions:mine" in str(unknown.exception)


@pytest.mark.parametrize(
    "wrong",
    [
        ["--gaps", "panic"],
        ["--types", "Nonsense"],
        ["--to", "xml:f"],
        ["--workers", "2", "--print"],
        ["--start", "soon"],
    ],
)
def test_wrong_options_are_named(root, wrong):
    result = CliRunner().invoke(app, ["replay", NAME, "--run", str(root), *wrong])
    assert result.exit_code != 0
    assert type(result.exception).__name__ == "InvalidArgument"


def test_the_book_at_a_time_in_decimals(root):
    ts = RECORDS[500][0]
    facts = json.loads(call(root, "archive", "book", NAME, "--at", str(ts), "--depth", "3", "--json"))
    book = reference(RECORDS, "AAA", ts)
    assert facts["hash"] == f"{book.hash():016x}"
    assert [(float(p), float(q)) for p, q in facts["bids"]] == [(p / 100, q / 1000) for p, q in book.bids(3)]
    text = call(root, "archive", "book", NAME, "--at", str(ts), "--depth", "3")
    assert (
        f" {facts['asks'][0][0].rstrip('0').rstrip('.')} " in text
    )  # people are spared the zeros at the end
    call(root, "archive", "book", NAME, "--at", "2001-01-01", code=65)
    unknown = CliRunner().invoke(app, ["archive", "book", "made-up:ZZZ", "--at", "1", "--run", str(root)])
    assert isinstance(unknown.exception, NotRecorded)
