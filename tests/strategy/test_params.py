"""Parameters keep their type, change whole or not at all, and name what there is."""

from __future__ import annotations

import pytest

from libchronicle.errors import BadParameter, UnknownParameter
from libchronicle.protocol import Parameter
from libchronicle.strategy.params import Params, recorded, str_of

VALUES = {"qty": "0.001", "levels": 5, "edge": 1.5, "on": True, "hours": [9, 17]}


def test_read_by_attribute_or_key() -> None:
    params = Params(VALUES)
    assert (params.levels, params["levels"], len(params)) == (5, 5, 5)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("qty", "0.5", "0.5"),
        ("levels", "7", 7),
        ("edge", "2", 2.0),
        ("edge", "2.5", 2.5),
        ("on", "false", False),
        ("hours", "[1, 2]", [1, 2]),
    ],
)
def test_a_change_keeps_the_type_and_survives_the_journal(name: str, text: str, value: object) -> None:
    params = Params(VALUES)
    params.apply(params.parse(name, text))
    assert params[name] == value
    assert type(params[name]) is type(VALUES[name])
    assert params.parse(name, str_of(params[name])) == {name: value}


@pytest.mark.parametrize(
    ("name", "text"), [("levels", "many"), ("levels", "1.5"), ("on", "yes"), ("hours", "9")]
)
def test_a_value_of_another_type_is_refused(name: str, text: str) -> None:
    with pytest.raises(BadParameter, match=name):
        Params(VALUES).parse(name, text)


def test_an_unknown_name_is_told_what_there_is() -> None:
    with pytest.raises(UnknownParameter, match="edge, hours, levels, on, qty"):
        Params(VALUES).parse("leverage", "5")
    with pytest.raises(UnknownParameter):
        _ = Params(VALUES).leverage


def test_several_at_once_change_all_or_none() -> None:
    params = Params(VALUES)
    with pytest.raises(BadParameter):
        params.apply(params.parse("", '{"levels": 9, "edge": "wide"}'))
    assert params.levels == 5
    params.apply(params.parse("", '{"levels": 9, "edge": 3}'))
    assert (params.levels, params.edge) == (9, 3.0)
    with pytest.raises(BadParameter):
        params.parse("", "levels=9")


@pytest.mark.parametrize("value", ["a" * 300, "ä" * 100, "🙂" * 40, list(range(200)), "short", 7])
def test_a_value_longer_than_its_record_is_recorded_as_far_as_it_fits(value: object) -> None:
    told = Parameter.decode(Parameter(now_ns=1, name="x", value=recorded(value)).encode()).value
    assert str_of(value).startswith(told)
    assert len(told.encode()) > 124 or told == str_of(value)
