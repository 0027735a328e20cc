"""Log lines: one line an event, text or JSON."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from libchronicle.errors import ConfigError
from libchronicle.runtime.logging import Log, Seldom, configure_logging


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def lines(form: str, write: object) -> list[str]:
    stream = io.StringIO()
    configure_logging(form, "debug", stream)  # type: ignore[arg-type]
    write()  # type: ignore[operator]
    return stream.getvalue().splitlines()


def test_a_handler_that_is_not_ours_shows_the_fields_too() -> None:
    stream = io.StringIO()
    logging.basicConfig(
        handlers=[logging.StreamHandler(stream)], level="INFO", format="%(message)s", force=True
    )
    Log("backtest").warning("orders rejected", code="WOULD_CROSS", text="a b")
    Log("backtest").info("begun")
    assert stream.getvalue().splitlines() == ['orders rejected code=WOULD_CROSS text="a b"', "begun"]


def test_an_event_is_one_line_of_fields_in_order() -> None:
    log = Log("feed", name="binance-spot")
    (line,) = lines("text", lambda: log.info("snapshot taken", symbol="BTCUSDT", levels=5000))
    head, rest = line.split(" ", 1)
    assert head.startswith("ts=20")
    assert head.endswith("Z")
    assert (
        rest == 'level=info daemon=feed name=binance-spot event="snapshot taken" symbol=BTCUSDT levels=5000'
    )


def test_a_value_with_line_breaks_and_quotes_stays_on_its_line() -> None:
    (line,) = lines("text", lambda: Log("x").info("odd", text='a "b"\nc', empty=""))
    assert 'text="a \\"b\\"\\nc" empty=""' in line


def test_json_lines_hold_the_same_fields() -> None:
    (line,) = lines("json", lambda: Log("x").bind(name="y").warning("late", age_s=1.5, path=object))
    row = json.loads(line)
    assert (row["level"], row["daemon"], row["name"], row["event"], row["age_s"]) == (
        "warning",
        "x",
        "y",
        "late",
        1.5,
    )


def test_a_known_error_is_told_by_its_message_and_a_bug_by_its_traceback() -> None:
    known = ConfigError(file="host.toml", key="bus.root", reason="is empty")
    (line,) = lines("text", lambda: Log("x").error("failed", known))
    assert 'error=ConfigError reason="host.toml: bus.root: is empty"' in line
    assert "traceback" not in line

    def bug() -> None:
        try:
            _ = 1 // 0
        except ZeroDivisionError as error:
            Log("x").error("failed", error)

    (line,) = lines("text", bug)
    assert "ZeroDivisionError" in line
    assert "traceback=" in line


def test_lines_of_libraries_come_out_in_the_same_form() -> None:
    (line,) = lines("json", lambda: logging.getLogger("some.library").error("lost %s", "it"))
    assert json.loads(line)["event"] == "lost it"


def test_a_line_that_a_stranger_can_cause_comes_seldom_and_says_how_many_were_left_out() -> None:
    now = 0.0
    seldom = Seldom(1.0, lambda: now)
    assert [seldom.now() for _ in range(4)] == [0, None, None, None]
    now = 1.5
    assert [seldom.now() for _ in range(2)] == [3, None]
