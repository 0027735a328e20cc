"""`chronicle queue` and `chronicle kill` on real queues."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from libchronicle.bus.kill_word import KillWord
from libchronicle.bus.paths import BusPaths
from libchronicle.cli.main import app
from libchronicle.errors import ChronicleError, ConfigError, CorruptError, NotReadyError, WriterAlreadyActive
from libchronicle.protocol import (
    BestBidAsk,
    BookMode,
    Command,
    ControlCommand,
    Instrument,
    Side,
    Trade,
    instrument_id,
)
from libchronicle.queue import Queue, QueueConfig, inspect

BTC = instrument_id("binance-spot:BTCUSDT")
SMALL = QueueConfig(segment_size=1 << 20)


@pytest.fixture
def paths(tmp_path: Path) -> BusPaths:
    """A run directory with one raw queue: a definition, then trades and tickers."""
    paths = BusPaths(tmp_path / "run")
    definition = Instrument(
        instrument_id=BTC,
        price_exponent=-8,
        qty_exponent=-8,
        tick_size=10**6,
        min_notional=5 * 10**16,
        contract_size=10**8,
        book_mode=BookMode.L2,
        venue="binance-spot",
        symbol="BTCUSDT",
    )
    with Queue.open_publisher(paths.raw("binance-spot"), SMALL) as writer:
        writer.append(Instrument.TEMPLATE_ID, definition.encode())
        for n in range(20):
            trade = Trade(
                instrument_id=BTC, price=6_182_130_000_000 + n, qty=5 * 10**6, trade_id=n, aggressor=Side.BUY
            )
            writer.append(Trade.TEMPLATE_ID, trade.encode())
        writer.append(BestBidAsk.TEMPLATE_ID, BestBidAsk(instrument_id=BTC, bid_price=100_000_000).encode())
        writer.append(999, b"from the future")
    return paths


def chronicle(paths: BusPaths, *arguments: str) -> Result:
    result = CliRunner().invoke(app, [*arguments, "--run", str(paths.root)], catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, (SystemExit, ChronicleError)):
        raise result.exception
    return result


def test_ls_shows_each_queue_with_its_writer_and_records(paths: BusPaths) -> None:
    result = chronicle(paths, "queue", "ls")
    row = result.stdout.splitlines()[1].split()
    assert row[:3] == ["market_data/queue/binance-spot", "closed", "23"]
    (found,) = json.loads(chronicle(paths, "queue", "ls", "--json").stdout)
    assert found["info"]["next_seq"] == 23


def test_ls_of_an_empty_or_damaged_run_directory_says_so(paths: BusPaths, tmp_path: Path) -> None:
    (paths.raw("binance-spot") / "control.meta").write_bytes(b"x" * 4096)
    assert "unreadable" in chronicle(paths, "queue", "ls").stdout
    assert "no queues yet" in chronicle(BusPaths(tmp_path / "empty"), "queue", "ls").stdout


def test_tail_prints_the_last_records_decoded_with_names_and_decimal_prices(paths: BusPaths) -> None:
    lines = chronicle(paths, "queue", "tail", "binance-spot", "-n", "3").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["20", "21", "22"]
    assert "Trade instrument_id=binance-spot:BTCUSDT" in lines[0]
    assert "price=61821.30000019 qty=0.05 aggressor=BUY" in lines[0]
    assert "bid_price=1" in lines[1].split()
    assert lines[2].endswith("type-999 bytes=15 payload='from the future'")


def test_an_instrument_has_all_its_amounts_as_decimals(paths: BusPaths) -> None:
    (line,) = chronicle(
        paths, "queue", "tail", "binance-spot", "--from-seq", "0", "-n", "1"
    ).stdout.splitlines()
    assert "tick_size=0.01 min_notional=5 contract_size=1 " in line


def test_tail_begins_where_asked_or_where_a_reader_stands(paths: BusPaths) -> None:
    queue = str(paths.raw("binance-spot"))
    with Queue.open_subscriber(queue, "alpha", SMALL) as reader:
        reader.drain(7)
        reader.commit()
    by_reader = chronicle(
        paths, "queue", "tail", queue, "--reader", "alpha", "--limit", "2"
    ).stdout.splitlines()
    assert [line.split()[0] for line in by_reader] == ["7", "8"]
    by_seq = chronicle(paths, "queue", "tail", queue, "--from-seq", "20", "-n", "1").stdout.splitlines()
    assert [line.split()[0] for line in by_seq] == ["20"]
    refused = chronicle(paths, "queue", "tail", queue, "--reader", "beta")
    assert isinstance(refused.exception, ConfigError)
    assert "there are: alpha" in str(refused.exception)


def test_tail_leaves_no_reader_page_and_holds_nothing_back(paths: BusPaths) -> None:
    before = {path: path.stat().st_mtime_ns for path in paths.raw("binance-spot").rglob("*")}
    chronicle(paths, "queue", "tail", "binance-spot", "--hex")
    chronicle(paths, "queue", "dump", "binance-spot")
    chronicle(paths, "queue", "inspect", "binance-spot")
    assert {path: path.stat().st_mtime_ns for path in paths.raw("binance-spot").rglob("*")} == before
    assert inspect(paths.raw("binance-spot")).readers == ()


def test_hex_shows_the_payload(paths: BusPaths) -> None:
    lines = chronicle(paths, "queue", "tail", "binance-spot", "-n", "1", "--hex").stdout.splitlines()
    assert lines[1].split("  ")[-1].strip() == "from the future"


def test_dump_is_one_json_object_a_line_with_mantissas_as_stored(paths: BusPaths) -> None:
    rows = [
        json.loads(line) for line in chronicle(paths, "queue", "dump", "binance-spot").stdout.splitlines()
    ]
    assert [row["seq"] for row in rows] == list(range(23))
    assert rows[1]["type"] == "Trade"
    assert rows[1]["message"]["price"] == 6_182_130_000_000
    assert rows[1]["message"]["aggressor"] == "BUY"
    assert rows[1]["readable"]["price"] == "61821.3"
    assert bytes.fromhex(rows[-1]["payload"]) == b"from the future"
    some = chronicle(paths, "queue", "dump", "binance-spot", "--from-seq", "5", "-n", "2").stdout.splitlines()
    assert [json.loads(line)["seq"] for line in some] == [5, 6]


def test_inspect_shows_head_lock_and_each_readers_lag_live_and_dead(paths: BusPaths) -> None:
    queue = paths.raw("binance-spot")
    with Queue.open_subscriber(queue, "alpha", SMALL) as reader, Queue.open_publisher(queue, SMALL):
        reader.drain(3)
        reader.commit()
        live = chronicle(paths, "queue", "inspect", "binance-spot").stdout
        assert f"writer    pid {os.getpid()}" in live
        (row,) = [line.split() for line in live.splitlines() if line.startswith("alpha")]
        assert row[1:6] == [str(os.getpid()), "active", "named", "3", "20"]
    dead = chronicle(paths, "queue", "inspect", "binance-spot").stdout
    assert "writer    closed" in dead
    assert "alpha" in dead
    assert json.loads(chronicle(paths, "queue", "inspect", "binance-spot", "--json").stdout)["next_seq"] == 23


def test_verify_passes_a_good_queue_and_names_a_flipped_bit(paths: BusPaths) -> None:
    assert "good" in chronicle(paths, "queue", "verify").stdout
    segment = paths.raw("binance-spot") / "000000000.q"
    with segment.open("r+b") as file:
        file.seek(400)
        (byte,) = file.read(1)
        file.seek(400)
        file.write(bytes([byte ^ 1]))
    result = chronicle(paths, "queue", "verify", "binance-spot")
    assert isinstance(result.exception, CorruptError)
    assert "segment 0 offset" in result.stdout


def test_a_queue_that_is_not_there_is_told_with_those_that_are(paths: BusPaths) -> None:
    for arguments in (("tail", "nosuch"), ("inspect", "../../etc"), ("dump", "")):
        error = chronicle(paths, "queue", *arguments).exception
        assert isinstance(error, NotReadyError)
        assert "there are:\n  market_data/queue/binance-spot" in str(error)


def test_follow_waits_for_the_queue_and_prints_what_is_appended(tmp_path: Path) -> None:
    paths = BusPaths(tmp_path / "run")
    command = [
        str(Path(sys.executable).parent / "chronicle"),
        "queue",
        "tail",
        "-f",
        "late",
        "--run",
        str(paths.root),
    ]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # who runs the tests in the background ignores SIGINT, and a child inherits that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stderr.readline() == "waiting for late\n"
            with Queue.open_publisher(paths.raw("late"), SMALL) as writer:
                for n in range(3):
                    writer.append(999, b"x")
                    assert process.stdout.readline().split()[0] == str(n)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
            assert process.returncode == 130
        finally:
            process.kill()


def test_payloads_of_another_making_are_shown_by_length_and_beginning(paths: BusPaths) -> None:
    with Queue.open_publisher(paths.raw("foreign"), SMALL) as writer:
        writer.append(7, b"hello there")
        writer.append(7, bytes(range(40)))
        writer.append(20, b"tick 0000000")  # the number of one of our messages
    first, second, third = chronicle(paths, "queue", "tail", "foreign").stdout.splitlines()
    assert first.endswith("type-7 bytes=11 payload='hello there'")
    assert "type-7 bytes=40 payload=00010203 04050607 " in second
    assert second.endswith("…")
    assert third.endswith("type-20 bytes=12 payload='tick 0000000'")


def test_a_queue_that_is_not_there_is_answered_with_those_that_are_a_line_each(paths: BusPaths) -> None:
    for n in range(25):
        Queue.open_publisher(paths.raw(f"q{n}"), SMALL).close()
    lines = str(chronicle(paths, "queue", "tail", "nosuch").exception).splitlines()
    assert len(lines) == 1 + 20 + 1
    assert lines[-1].strip().endswith("more: `chronicle queue ls`")


# ---------------------------------------------------------------- kill


def test_kill_stops_all_trading_with_a_reason_and_clear_allows_it_again(paths: BusPaths) -> None:
    KillWord(paths).initialise()
    result = chronicle(paths, "kill", "--all", "--reason", "venue is broken")
    assert "KILLED" in result.stdout
    assert "venue is broken" in result.stdout
    assert KillWord(paths).killed
    assert "venue is broken" in chronicle(paths, "status", "--window", "0").stdout
    assert "trading allowed" in chronicle(paths, "kill", "--clear").stdout
    assert not KillWord(paths).killed


def test_a_lost_kill_word_reads_as_killed(paths: BusPaths) -> None:
    KillWord(paths).initialise()
    paths.kill_word.unlink()
    assert "KILLED: the kill word is missing" in chronicle(paths, "status", "--window", "0").stdout


def commands(paths: BusPaths, daemon: str) -> list[ControlCommand]:
    with Queue.open_subscriber(paths.control(daemon), None, start="earliest") as reader:
        return [ControlCommand.decode(message) for message in reader.drain(9)]


def test_killing_one_strategy_tells_the_router_to_refuse_it_and_the_strategy_to_pause(
    paths: BusPaths,
) -> None:
    paths.endpoint("quoter").mkdir(parents=True)
    before = time.time_ns()
    said = chronicle(paths, "kill", "quoter", "--reason", "wrong parameters").stdout
    assert "the router does not run" in said
    chronicle(paths, "kill", "quoter", "--clear")
    first, second = commands(paths, "router")
    assert (first.command, first.target, first.reason) == (Command.KILL, "quoter", "wrong parameters")
    assert first.ts >= before
    assert (first.pid, first.uid) == (os.getpid(), os.getuid())
    assert (second.command, second.target) == (Command.UNKILL, "quoter")
    assert [told.command for told in commands(paths, "strategy-quoter")] == [Command.PAUSE, Command.RESUME]


def test_killing_a_strategy_that_never_was_is_refused(paths: BusPaths) -> None:
    error = chronicle(paths, "kill", "nosuch").exception
    assert isinstance(error, ConfigError)
    assert "there are: none" in str(error)
    error = chronicle(paths, "kill", "nosuch", "--all").exception
    assert isinstance(error, ConfigError)


# ---------------------------------------------------------------- verify and repair


def test_verify_says_by_its_exit_code_what_was_found(paths: BusPaths) -> None:
    queue = paths.raw("binance-spot")
    good = chronicle(paths, "queue", "verify", "--json")
    assert good.exit_code == 0
    (facts,) = json.loads(good.stdout).values()
    assert (facts["verdict"], facts["exit_code"], facts["records"], facts["findings"]) == ("good", 0, 23, [])
    os.truncate(queue / "control.meta", 0)
    damaged = chronicle(paths, "queue", "verify", "binance-spot", "--json")
    assert isinstance(damaged.exception, CorruptError)
    (facts,) = json.loads(damaged.stdout).values()
    assert (facts["verdict"], facts["exit_code"]) == ("damaged", 65)
    assert facts["findings"][0]["remedy"] == "control"
    for file in queue.glob("*.q"):
        file.unlink()
    unreadable = chronicle(paths, "queue", "verify", "binance-spot", "--json")
    (facts,) = json.loads(unreadable.stdout).values()
    assert (facts["verdict"], facts["error"]) == ("unreadable", "CorruptControl")


def test_verify_ends_with_66_where_the_queue_itself_declares_a_hole(paths: BusPaths) -> None:
    queue = paths.raw("binance-spot")
    segment = queue / "000000000.q"
    with segment.open("r+b") as file:  # the last record: what its writer finds when it comes again
        file.seek(inspect(queue).head - 20)
        file.write(b"\xff" * 4)
    Queue.open_publisher(queue, SMALL).close()
    result = chronicle(paths, "queue", "verify", "binance-spot")
    assert result.exit_code == 66
    assert "declared holes" in result.stdout


def test_verify_works_while_the_queue_is_written(paths: BusPaths) -> None:
    with Queue.open_publisher(paths.raw("binance-spot"), SMALL) as writer:
        writer.append(999, b"more")
        result = chronicle(paths, "queue", "verify", "binance-spot")
    assert result.exit_code == 0
    assert f"pid {os.getpid()}" in result.stdout


def test_repair_says_what_it_would_do_and_does_the_same(paths: BusPaths) -> None:
    queue = paths.raw("binance-spot")
    os.truncate(queue / "control.meta", 7)
    (queue / "READY").unlink()
    would = chronicle(paths, "queue", "repair", "binance-spot", "--dry-run").stdout
    assert (queue / "control.meta").stat().st_size == 7
    done = chronicle(paths, "queue", "repair", "binance-spot")
    assert done.exit_code == 0
    assert "build control.meta anew" in would
    assert [line.split(None, 1)[1] for line in would.splitlines()[1:]] == [
        line.split(None, 1)[1] for line in done.stdout.splitlines()[1:]
    ]
    assert chronicle(paths, "queue", "verify", "binance-spot").exit_code == 0
    assert "nothing to repair" in chronicle(paths, "queue", "repair", "binance-spot").stdout


def test_repair_names_the_writer_that_stands_in_the_way(paths: BusPaths) -> None:
    queue = paths.raw("binance-spot")
    with Queue.open_publisher(queue, SMALL) as writer:
        writer.roll()
        writer.append(999, b"x")
        writer.flush()
        with (queue / "000000000.q").open("r+b") as file:
            file.seek(80)
            file.write(b"\xff")
        (queue / "READY").unlink()
        result = chronicle(paths, "queue", "repair", "binance-spot", "--json")
        assert isinstance(result.exception, WriterAlreadyActive)
        assert result.exception.pid == os.getpid()
        steps = json.loads(result.stdout)["steps"]
        assert {step["kind"]: bool(step["refused"]) for step in steps} == {"ready": False, "seal": True}


def test_repair_says_what_is_beyond_it(paths: BusPaths) -> None:
    segment = paths.raw("binance-spot") / "000000000.q"
    with segment.open("r+b") as file:
        file.seek(400)
        file.write(b"\xff\xff")
    result = chronicle(paths, "queue", "repair", "binance-spot")
    assert isinstance(result.exception, CorruptError)
    assert "beyond     segment 0 offset" in result.stdout
