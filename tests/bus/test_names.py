import pytest
from hypothesis import given
from hypothesis import strategies as st

from libchronicle.bus.names import MAX_ENCODED_BYTES, decode_name, encode_name
from libchronicle.errors import InvalidName

good_names = st.text(min_size=1, max_size=20).filter(
    lambda s: (
        not s.startswith(".")
        and not any(c in "/\\\x7f" or ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in s)
    )
)


@given(good_names)
def test_every_good_name_comes_back_from_its_file_name(name: str) -> None:
    encoded = encode_name(name)
    assert decode_name(encoded) == name
    assert set(encoded) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-%")


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("binance-spot", "binance-spot"),
        ("binance-spot:BTCUSDT", "binance-spot%3ABTCUSDT"),
        ("a b", "a%20b"),
        ("50%", "50%25"),
        ("é", "%C3%A9"),
    ],
)
def test_names_outside_the_plain_set_are_percent_encoded(name: str, encoded: str) -> None:
    assert encode_name(name) == encoded


@pytest.mark.parametrize(
    "name", ["", ".", "..", "...", ".hidden", "../up", "a/b", "/etc/passwd", "a\\b", "a\0b", "a\nb", "\ud800"]
)
def test_traversal_separators_and_empty_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidName) as caught:
        encode_name(name, "feed")
    assert caught.value.kind == "feed"


def test_a_name_that_does_not_fit_a_file_name_is_refused() -> None:
    encode_name("x" * MAX_ENCODED_BYTES)
    with pytest.raises(InvalidName, match="more than 200 bytes"):
        encode_name("ü" * 40 + "x" * 81)


@pytest.mark.parametrize("encoded", ["a%", "a%2", "a%zz", "a%2f", "%41", "%2E%2E", "a b", "%FF", ""])
def test_file_names_that_the_bus_never_writes_are_refused(encoded: str) -> None:
    with pytest.raises(InvalidName):
        decode_name(encoded)
