"""Days of Nasdaq's files: where they begin, and where a name says which."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from libchronicle.storage.importers.newyork import date_in_name, midnight_ns, new_york_date


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("MSFT_2012-06-21_34200000_37800000_message_50.csv", date(2012, 6, 21)),
        ("ex20101224.TEST_ITCH_50", date(2010, 12, 24)),
        ("01302019.NASDAQ_ITCH50", date(2019, 1, 30)),
        ("S081321-v50.txt", date(2021, 8, 13)),
        ("20191230.BX_ITCH_50", date(2019, 12, 30)),
        ("capture.pcap", None),
        ("99999999.bin", None),
    ],
)
def test_a_name_says_the_day(name: str, day: date | None) -> None:
    assert date_in_name(name) == day


def test_midnight_follows_summer_time() -> None:
    assert midnight_ns(date(2023, 8, 22)) == int(datetime(2023, 8, 22, 4, tzinfo=UTC).timestamp()) * 10**9
    assert midnight_ns(date(2023, 1, 10)) == int(datetime(2023, 1, 10, 5, tzinfo=UTC).timestamp()) * 10**9


def test_a_time_after_midnight_in_london_is_of_the_day_before_in_new_york() -> None:
    at = int(datetime(2023, 8, 23, 3, 59, 59, tzinfo=UTC).timestamp()) * 10**9
    assert new_york_date(at) == date(2023, 8, 22)
    assert new_york_date(at + 10**9) == date(2023, 8, 23)
