"""`chronicle archive import` and `export`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from libchronicle.cli.main import app

DAY_US = 1_585_699_200_000_000
TRADES = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"


def trades_file(path: Path, last: str = "") -> Path:
    rows = (f"deribit,X,{DAY_US + i},{DAY_US + i + 5},{i},buy,6421.5,{i + 1}\n" for i in range(100))
    path.write_text(TRADES + "".join(rows) + last)
    return path


def test_good_files_are_imported_and_a_bad_one_is_refused_by_name(tmp_path: Path) -> None:
    good, bad = (
        trades_file(tmp_path / "good.csv"),
        trades_file(tmp_path / "bad.csv", "deribit,Y,1,1,1,buy,1,1\n"),
    )
    arguments = ["archive", "import", str(bad), str(good), str(good), "--run", str(tmp_path / "run")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 65
    assert "bad.csv: refused" in result.output
    assert "line 102" in result.output
    assert "good.csv: tardis trades, 100 rows: 100 trade and 1 definition of deribit:X" in result.output
    assert result.output.count("bad.csv") == 1
    assert f"there already, imported from {good}; nothing changed" in result.output


def test_json_says_what_each_file_became(tmp_path: Path) -> None:
    file = trades_file(tmp_path / "good.csv")
    result = CliRunner().invoke(
        app,
        [
            "archive",
            "import",
            str(file),
            "--run",
            str(tmp_path / "run"),
            "--json",
            "--venue",
            "my",
            "--symbol",
            "Z",
        ],
    )
    assert result.exit_code == 0, result.output
    (facts,) = json.loads(result.stdout)
    assert facts["state"] == "imported"
    assert facts["instruments"] == ["my:Z"]
    assert facts["records"] == {"trade": 100}
    out = tmp_path / "z.npz"
    result = CliRunner().invoke(
        app, ["archive", "export", "my:Z", "--out", str(out), "--run", str(tmp_path / "run"), "--json"]
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"file": str(out), "rows": 100}
    assert out.exists()


def test_sql_prints_a_table_or_json(tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    runner, run = CliRunner(), ["--run", str(tmp_path / "run")]
    assert (
        runner.invoke(app, ["archive", "import", str(trades_file(tmp_path / "t.csv")), *run]).exit_code == 0
    )
    query = "select symbol, count(*) n, min(ts_ns) first from trades group by symbol"
    result = runner.invoke(app, ["archive", "sql", query, *run, "--json"])
    assert json.loads(result.stdout) == [{"symbol": "X", "n": 100, "first": (DAY_US + 5) * 1000}]
    result = runner.invoke(
        app, ["archive", "sql", "select recv_ts, side from trades order by ts", "-n", "2", *run]
    )
    assert "2020-04-01 00:00:00.000005" in result.stdout
    assert "98 more rows" in result.stdout
    copied = tmp_path / "x.parquet"
    assert (
        runner.invoke(app, ["archive", "sql", f"copy (select * from trades) to '{copied}'", *run]).exit_code
        == 0
    )
    assert copied.exists()


def test_records_behind_a_start_have_names_and_decimal_prices(tmp_path: Path) -> None:
    runner, run = CliRunner(), ["--run", str(tmp_path / "run")]
    runner.invoke(app, ["archive", "import", str(trades_file(tmp_path / "t.csv")), *run])
    words = ["archive", "read", "deribit:X", "trade", "--start", "2020-04-01T00:00:00.00005", "-n", "1", *run]
    line = runner.invoke(app, words).stdout
    assert "instrument_id=deribit:X" in line
    assert "price=6421.5 qty=46" in line


def test_what_import_counts_is_what_ls_counts(chronicle_data: Path, tmp_path: Path) -> None:
    runner, run = CliRunner(), ["--run", str(tmp_path / "run"), "--json"]
    files = [str(chronicle_data / "binance/spot/ethusdt_20240808.gz"), str(trades_file(tmp_path / "t.csv"))]
    told = json.loads(runner.invoke(app, ["archive", "import", *files, *run]).stdout)
    listed = json.loads(runner.invoke(app, ["archive", "ls", *run]).stdout)
    for one in told:
        (name,) = one["instruments"]
        rows = [row for row in listed if f"{row['venue']}:{row['symbol']}" == name]
        assert sum(row["records"] for row in rows) == sum(one["records"].values()) + one["definitions"]
        assert {row["stream"] for row in rows} == set(one["records"])


def test_a_recording_goes_under_the_name_asked_for(chronicle_data: Path, tmp_path: Path) -> None:
    runner, run = CliRunner(), ["--run", str(tmp_path / "run"), "--json"]
    file = str(chronicle_data / "binance/spot/ethusdt_20240808.gz")
    hashes = []
    for names in ([], ["--symbol", "OTHER", "--venue", "mine"]):
        (told,) = json.loads(runner.invoke(app, ["archive", "import", file, *names, *run]).stdout)
        (name,) = told["instruments"]
        words = ["archive", "book", name, "--at", "2024-08-09", "--depth", "500", *run]
        hashes.append(json.loads(runner.invoke(app, words).stdout)["bids"])
    assert name == "mine:OTHER"
    assert hashes[0] == hashes[1] != []


@pytest.mark.parametrize(
    ("name", "text", "hint"),
    [
        ("x.csv", "", "the file is empty"),
        ("x.csv", "a,b\n1,2\n", "begins with 'a,b': Tardis' begin with exchange,symbol"),
        (
            "MSFT_2012-06-21_34200000_57600000_orderbook_50.csv",
            "1,2,3,4\n",
            "import MSFT_2012-06-21_34200000_57600000_message_50.csv",
        ),
        (
            "x.csv",
            TRADES.replace("amount", "size"),
            "unknown column 'size'; it is most like trades, whose columns are exchange",
        ),
        ("x.csv", TRADES.replace(",amount", ""), "column 'amount' is missing; it is most like trades"),
    ],
)
def test_a_file_that_is_none_says_what_may_have_been_meant(
    tmp_path: Path, name: str, text: str, hint: str
) -> None:
    (tmp_path / name).write_text(text)
    result = CliRunner().invoke(
        app, ["archive", "import", str(tmp_path / name), "--run", str(tmp_path / "run")]
    )
    assert result.exit_code == 65
    assert hint in result.output


def test_lobster_without_its_order_book_file_says_how_the_book_begins(tmp_path: Path) -> None:
    base = tmp_path / "MSFT_2012-06-21_34200000_57600000_message_1.csv"
    base.write_text("34200.1,1,5,100,310000,1\n")
    run = ["--run", str(tmp_path / "run")]
    assert "the book begins empty" in CliRunner().invoke(app, ["archive", "import", str(base), *run]).output
    base.with_name(base.name.replace("message", "orderbook")).write_text("9999999999,0,310000,100\n")
    words = ["archive", "import", str(base), *run, "--symbol", "OTHER"]
    assert "begins empty" not in CliRunner().invoke(app, words).output
