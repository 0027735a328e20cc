"""What was never recorded is an error that names what there is; a range without records is empty, with a word about it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from libchronicle.bus.paths import BusPaths
from libchronicle.cli.archive_books import aligned
from libchronicle.cli.main import app
from libchronicle.errors import ChronicleError, NotRecorded
from libchronicle.queue import Queue, QueueConfig
from libchronicle.runtime.daemon import ExitCode, exit_code

DAY_US = 1_585_699_200_000_000
LATER = ["--start", "2021-01-01"]


class Outcome(NamedTuple):
    code: int
    out: str
    err: str
    error: ChronicleError | None = None


Command = Callable[..., Outcome]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trades of deribit:XY on 2020-04-01."""
    root = tmp_path_factory.mktemp("suites") / "demo"
    rows = (f"deribit,XY,{DAY_US + i},{DAY_US + i + 5},{i},buy,6421.5,{i + 1}\n" for i in range(10))
    file = root.parent / "t.csv"
    file.write_text("exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n" + "".join(rows))
    assert CliRunner().invoke(app, ["archive", "import", str(file), "--run", str(root)]).exit_code == 0
    return root


@pytest.fixture
def command(run: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*words: str, root: Path = run) -> Outcome:
        try:
            code = app([*words, "--run", str(root)], standalone_mode=False) or 0
        except ChronicleError as error:
            return Outcome(exit_code(error), *capsys.readouterr(), error)
        return Outcome(code, *capsys.readouterr())

    return call


def commands(name: str, out: Path) -> dict[str, list[str]]:
    """Every command that takes an instrument."""
    return {
        "read": ["archive", "read", name, "trade"],
        "info": ["archive", "info", name],
        "ls": ["archive", "ls", name],
        "book": ["archive", "book", name, "--at", "2020-04-01"],
        "export": ["archive", "export", name, "--to", "csv", "--out", str(out / "x.csv")],
        "npz": ["archive", "export", name, "--out", str(out / "x.npz")],
        "extract": ["etl", "extract", name, "--to", "null"],
        "replay": ["replay", name],
        "workers": ["replay", name, "--workers", "2"],
    }


@pytest.mark.parametrize("which", commands("", Path()))
def test_an_unknown_instrument_is_told_with_those_near_it(
    command: Command, which: str, tmp_path: Path
) -> None:
    result = command(*commands("deribit:XX", tmp_path)[which])
    assert isinstance(result.error, NotRecorded), result.out
    assert "near it: deribit:XY" in str(result.error)
    assert result.code == ExitCode.CORRUPT
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        *commands("deribit:XY", Path("/nowhere")).values(),
        ["archive", "verify"],
        ["archive", "rebuild"],
        ["archive", "tier"],
        ["archive", "sql", "select 1"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_an_unknown_run_directory_is_told_and_not_made(command: Command, run: Path, words: list[str]) -> None:
    result = command(*words, root=run.with_name("dema"))
    assert isinstance(result.error, NotRecorded), result.out
    assert "no such directory; give --run; near it: demo" in str(result.error)
    assert not run.with_name("dema").exists()


def test_an_unknown_stream_is_told_with_those_there_are(command: Command) -> None:
    for words in (["archive", "read", "deribit:XY", "book"], ["archive", "book", "deribit:XY", "--at", "1"]):
        assert "its streams are trade" in str(command(*words).error)
    assert "its streams are trade" in str(command("replay", "deribit:XY", "--streams", "quote").error)
    assert "book, trade, quote" in str(command("replay", "deribit:XY", "--streams", "trades").error)


def test_an_unknown_venue_feed_or_session_is_told(command: Command) -> None:
    assert "near it: deribit" in str(command("archive", "ls", "deribt").error)
    for words in (["replay", "--feed", "x"], ["replay", "--session", "x"], ["etl", "extract", "--raw", "x"]):
        result = command(*words)
        assert isinstance(result.error, NotRecorded), result.out


@pytest.mark.parametrize(
    "words",
    [
        ["archive", "read", "deribit:XY", "trade", *LATER],
        ["archive", "export", "deribit:XY", "--to", "null", "--out", "x", *LATER],
        ["etl", "extract", "deribit:XY", "--to", "null", *LATER],
        ["replay", "deribit:XY", *LATER],
        ["replay", "deribit:XY", "--workers", "2", *LATER],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_range_without_records_is_empty_and_names_the_range_there_is(
    command: Command, words: list[str]
) -> None:
    result = command(*words)
    assert result.code == 0, result.err
    assert "nothing in this range" in result.err
    assert "from 2020-04-01T00:00:00.000005000Z to 2020-04-01T00:00:00.000014000Z" in result.err


def test_a_date_without_records_is_no_error(command: Command) -> None:
    result = command("archive", "info", "deribit:XY", "--date", "2021-01-01", "--json")
    assert (result.code, result.out) == (0, "[]\n")
    assert "nothing of 2021-01-01" in result.err


def test_what_is_still_in_its_queue_was_recorded(command: Command, tmp_path: Path) -> None:
    path = BusPaths(tmp_path).clean("v", "S", "trade")
    with Queue.open_publisher(path, QueueConfig(prefault=False)) as writer:
        writer.append(200, b"1", 1_585_699_200 * 10**9)
    assert command("archive", "read", "v:S", "trade", root=tmp_path).out.count("\n") == 1
    assert "nothing of v:S is archived" in command("archive", "info", "v:S", root=tmp_path).err
    result = command("archive", "read", "v:S", "trade", *LATER, root=tmp_path)
    assert "recorded from 2020-04-01T00:00:00.000000000Z" in result.err
    assert "near it: v:S" in str(command("archive", "read", "v:T", "trade", root=tmp_path).error)


def test_what_waits_in_its_queue_is_told_and_can_be_taken_at_once(command: Command, tmp_path: Path) -> None:
    path = BusPaths(tmp_path).clean("v", "S", "trade")
    with Queue.open_publisher(path, QueueConfig(prefault=False, durable=("archive-tier",))) as writer:
        writer.append(200, b"1", 1_585_699_200 * 10**9)
        writer.roll()
        writer.append(200, b"2", time.time_ns())
    told = command("archive", "ls", root=tmp_path)
    assert "2 segments not archived yet, of v:S trade" in told.err
    assert "nothing is archived" in told.out
    assert "2 segments" in command("archive", "info", "v:S", root=tmp_path).err
    planned = command("archive", "tier", "--to", "warm", "--dry-run", root=tmp_path)
    assert planned.out.splitlines()[-1] == "would be moved: 1 segment to warm"
    assert "v/S/trade/000000000.q: hot to warm" in planned.out
    assert command("archive", "tier", "--to", "warm", root=tmp_path).out == "moved: 1 segment to warm\n"
    told = command("archive", "ls", root=tmp_path)
    assert "1 segment not archived yet" in told.err
    assert "v:S" in told.out


def test_a_book_long_after_its_last_record_says_so(command: Command, tmp_path: Path) -> None:
    rows = (
        f"deribit,XY,{DAY_US},{DAY_US},true,{side},{price},1\n" for side, price in (("bid", 1), ("ask", 2))
    )
    file = tmp_path / "b.csv"
    file.write_text(
        "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n" + "".join(rows)
    )
    root = tmp_path / "run"
    assert command("archive", "import", str(file), root=root).code == 0
    assert command("archive", "book", "deribit:XY", "--at", "2020-04-01T00:00:30", root=root).err == ""
    late = command("archive", "book", "deribit:XY", "--at", "2020-04-03", root=root)
    assert (late.code, "2 d 00 h older" in late.err) == (0, True)
    facts = command("archive", "book", "deribit:XY", "--at", "2020-04-03", "--json", root=root)
    assert json.loads(facts.out)["age_ns"] == 2 * 86_400 * 10**9


def test_a_book_is_printed_to_the_tick_and_the_lot_not_to_the_exponent() -> None:
    assert aligned(["61701.20000000", "61700.00000000", ""]) == ["61701.2", "61700.0", ""]
    assert aligned(["5.00000000", "1599"]) == ["5", "1599"]
