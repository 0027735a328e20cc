"""`chronicle archive import` and `export`."""

from __future__ import annotations

import json
from pathlib import Path

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
    assert "good.csv: tardis trades, 100 rows: 100 trade of deribit:X" in result.output
    assert "there already; nothing changed" in result.output


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
