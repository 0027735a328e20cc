"""The page of a run: looked at by a browser without a network, its files read by others."""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pyarrow.parquet
import pytest

from libchronicle.backtest import BacktestResult, BacktestRunner, ConstantLatency, MakerTaker
from libchronicle.backtest.charts import thin
from libchronicle.backtest.envelope import Envelope
from libchronicle.backtest.sweep import Point
from libchronicle.errors import BacktestFailed, HostError
from libchronicle.strategy import Book, Context, Strategy

sys.path.insert(0, str(Path(__file__).parent))
from made_market import NAME, market, tape
from quoter import Quoter


@pytest.fixture(scope="module")
def result() -> BacktestResult:
    return BacktestRunner(
        tape(market(3000)), latency=ConstantLatency(entry_us=50, response_us=50), fees=MakerTaker(1, 5)
    ).run(Quoter())


@pytest.fixture(scope="module")
def page(result: BacktestResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return result.report(tmp_path_factory.mktemp("report") / "out")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("Debian's packages chromium and chromium-driver are not installed")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    quiet = "headless=new no-sandbox disable-gpu disable-quic no-first-run disable-sync"
    quiet += " disable-background-networking disable-component-update"
    profile = tmp_path_factory.mktemp("profile")
    for argument in (
        *quiet.split(),
        "window-size=1280,2400",
        f"user-data-dir={profile}",
        "host-resolver-rules=MAP * ~NOTFOUND",
    ):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(driver))
    yield found
    found.quit()


def test_the_page_draws_every_chart_without_a_network(page: Path, browser: Any) -> None:
    browser.get(page.as_uri())
    wanted = browser.find_elements("css selector", "section .plotly-graph-div")
    titles = [one.text for one in browser.find_elements("css selector", "h2")]
    assert len(wanted) == 5
    assert "Equity and drawdown" in titles
    assert f"{NAME}: fills on the price" in titles
    for chart in wanted:
        assert chart.find_elements("css selector", ".main-svg"), chart.get_attribute("id")
        assert chart.rect["height"] > 200
        assert chart.rect["width"] > 600
    worst = [line["message"] for line in browser.get_log("browser") if line["level"] == "SEVERE"]
    assert worst == []
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map(one => one.name)")
    assert [name for name in loaded if not name.startswith("file:")] == []


def test_the_page_shows_the_figures_of_the_run(page: Path, browser: Any, result: BacktestResult) -> None:
    browser.get(page.as_uri())
    tiles = dict(one.text.split("\n") for one in browser.find_elements("css selector", ".tile"))
    assert tiles["Fills"] == f"{len(result.fills):,}"
    assert tiles["Profit"] == f"{result.metrics['profit']:,.2f}"
    rows = {
        row.find_element("css selector", "th").text for row in browser.find_elements("css selector", "tr")
    }
    assert {
        key.replace("_", " ") for key, value in result.metrics.items() if not isinstance(value, dict | str)
    } - {"failure"} <= rows


def test_the_page_names_no_address_of_a_network(page: Path) -> None:
    text = page.read_text()
    assert "http://" not in text
    assert "//cdn" not in text
    assert 'src="plotly.min.js"' in text
    assert (page.parent / "plotly.min.js").stat().st_size > 1_000_000


def test_tables_and_figures_are_files_too(page: Path, result: BacktestResult) -> None:
    for name in ("orders", "fills", "equity", "marks"):
        table = pyarrow.parquet.read_table(page.parent / f"{name}.parquet")
        assert table.equals(getattr(result, name).to_arrow())
    figures = json.loads((page.parent / "metrics.json").read_text())
    assert figures["hash"] == result.hash
    assert figures["fills"] == len(result.fills)
    assert not list(page.parent.glob(".*"))


def test_a_failed_run_shows_its_traceback_and_no_markup_of_the_strategy_is_believed(tmp_path: Path) -> None:
    class Fails(Strategy):
        def on_book(self, ctx: Context, book: Book) -> None:
            raise ValueError("<script>alert(1)</script>")

    with pytest.raises(BacktestFailed) as failed:
        BacktestRunner(tape(market(100)), instruments=[NAME]).run(Fails())
    text = failed.value.result.report(tmp_path).read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text


@contextlib.contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """A disk that takes small files only: each write beyond fails, as one on a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def files(where: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in where.iterdir()}


def test_a_report_that_a_full_disk_cuts_off_leaves_the_one_before_it_whole(
    tmp_path: Path, result: BacktestResult
) -> None:
    other = BacktestRunner(tape(market(3000)), fees=MakerTaker(0, 1)).run(Quoter())
    with no_file_above(1 << 20), pytest.raises(HostError, match=r"plotly\.min\.js"):
        result.report(tmp_path / "out")
    assert files(tmp_path / "out") == {}
    result.report(tmp_path / "out")
    before = files(tmp_path / "out")
    assert len(before) == 7
    with (
        no_file_above(20_000),
        pytest.raises(HostError),
    ):  # the script is there already, the page does not fit
        other.report(tmp_path / "out")
    assert files(tmp_path / "out") == before
    other.report(tmp_path / "out")
    changed = {name for name, raw in files(tmp_path / "out").items() if raw != before[name]}
    assert {"metrics.json", "report.html", "fills.parquet"} <= changed
    assert "plotly.min.js" not in changed


def test_an_envelope_that_a_full_disk_cuts_off_leaves_nothing(tmp_path: Path) -> None:
    made = Envelope(("log",), ("none",), [Point(key="k", changes={}, metrics={"profit": 1.0})])
    with no_file_above(1 << 20), pytest.raises(HostError, match=r"plotly\.min\.js"):
        made.report(tmp_path / "out")
    assert files(tmp_path / "out") == {}


def test_thinning_keeps_both_ends_and_every_extreme() -> None:
    rng = numpy.random.default_rng(3)
    y = rng.normal(size=1_000_000).cumsum()
    y[712_345], y[3] = 1e6, -1e6
    x = numpy.arange(len(y))
    at, values = thin(x, y)
    assert len(at) <= 4000
    assert (at[0], at[-1]) == (0, len(y) - 1)
    assert {1e6, -1e6} <= set(values.tolist())
    assert numpy.array_equal(values, y[at])
    assert (numpy.diff(at) > 0).all()
