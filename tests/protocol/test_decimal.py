"""Decimal text is read exactly or refused; Python's decimal module is the judge."""

import decimal
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libchronicle.errors import DecimalError
from libchronicle.protocol import format_decimal, parse_decimal

INT64 = st.integers(-(2**63), 2**63 - 1)
EXPONENTS = st.integers(-18, 18)
EXACT = decimal.Context(prec=200)


@given(INT64, EXPONENTS)
def test_every_mantissa_survives_formatting_and_parsing(mantissa, exponent):
    text = format_decimal(mantissa, exponent)
    assert parse_decimal(text, exponent) == mantissa
    assert EXACT.create_decimal(text) == Decimal(mantissa).scaleb(exponent, EXACT)


@given(INT64, st.integers(-18, 0), st.integers(0, 30))
def test_trailing_zeros_beyond_the_exponent_are_fine(mantissa, exponent, zeros):
    text = format_decimal(mantissa, exponent)
    text += ("" if "." in text else ".0") + "0" * zeros
    assert parse_decimal(text.encode(), exponent) == mantissa


@given(
    st.from_regex(r"\A-?[0-9]{1,25}(\.[0-9]{1,25})?\Z", fullmatch=True),
    EXPONENTS,
)
def test_the_parser_agrees_with_exact_decimal_arithmetic(text, exponent):
    scaled = EXACT.create_decimal(text).scaleb(-exponent, EXACT)
    exact = scaled == scaled.to_integral_value()
    if exact and -(2**63) <= int(scaled) < 2**63:
        assert parse_decimal(text, exponent) == int(scaled)
    else:
        with pytest.raises(DecimalError):
            parse_decimal(text, exponent)


@given(st.text(max_size=24), EXPONENTS)
def test_text_that_is_no_decimal_is_refused(text, exponent):
    try:
        value = parse_decimal(text, exponent)
    except DecimalError:
        return
    assert Decimal(value).scaleb(exponent, EXACT) == EXACT.create_decimal(text)


@given(st.integers(0, 92_233_720_367), st.integers(0, 99_999_999), st.integers(0, 9), st.integers(0, 255))
def test_one_wrong_byte_in_a_fraction_of_eight_digits_is_seen(whole, fraction, position, byte):
    text = bytearray(f"{whole}.{fraction:08d}".encode())
    text[len(text) - 1 - position % 8] = byte
    if 0x30 <= byte <= 0x39:
        assert parse_decimal(text, -8) == int(text.replace(b".", b""))
    else:
        with pytest.raises(DecimalError):
            parse_decimal(text, -8)


@pytest.mark.parametrize(
    ("text", "exponent", "mantissa"),
    [
        ("61821.30000000", -2, 6182130),
        ("0.00000001", -8, 1),
        ("0", -8, 0),
        ("-0.0", -1, 0),
        ("000123.4", -1, 1234),
        ("12000", 3, 12),
        ("0", 18, 0),
        ("9223372036854775807", 0, 2**63 - 1),
        ("-9223372036854775808", 0, -(2**63)),
        ("-92233720368.54775808", -8, -(2**63)),
        ("1.5", -18, 1_500_000_000_000_000_000),
    ],
)
def test_decimals_as_venues_write_them(text, exponent, mantissa):
    assert parse_decimal(text, exponent) == mantissa


@pytest.mark.parametrize(
    ("text", "exponent", "reason"),
    [
        ("", -2, "a digit is missing"),
        ("-", -2, "a digit is missing"),
        ("1.", -2, "a digit is missing"),
        ("1.x", -2, "a digit is missing"),
        (".5", -2, "belongs to no decimal"),
        ("+1", -2, "belongs to no decimal"),
        (" 1", -2, "belongs to no decimal"),
        ("1 ", -2, "belongs to no decimal"),
        ("1e5", -2, "belongs to no decimal"),
        ("1,5", -2, "belongs to no decimal"),
        ("1.2.3", -2, "belongs to no decimal"),
        ("NaN", -2, "belongs to no decimal"),
        ("١", 0, "belongs to no decimal"),
        ("1\0", 0, "belongs to no decimal"),
        ("1.005", -2, "more decimals"),
        ("0.00000001", -7, "more decimals"),
        ("0.000000001", -8, "more decimals"),
        ("12345", 3, "more decimals"),
        ("5", 3, "more decimals"),
        ("9223372036854775808", 0, "64 bits"),
        ("-9223372036854775809", 0, "64 bits"),
        ("92233720368547758.08", -2, "64 bits"),
        ("1" + "0" * 40, -2, "64 bits"),
        ("92233720369", -8, "64 bits"),
        ("1", 19, "exponent"),
        ("1", -19, "exponent"),
    ],
)
def test_each_refusal_names_its_reason(text, exponent, reason):
    with pytest.raises(DecimalError, match=reason) as caught:
        parse_decimal(text, exponent)
    assert caught.value.exponent == exponent


@pytest.mark.parametrize(("mantissa", "exponent"), [(1, 19), (1, -19), (2**63, 0), (-(2**63) - 1, 0)])
def test_what_cannot_be_formatted_is_refused(mantissa, exponent):
    with pytest.raises(DecimalError):
        format_decimal(mantissa, exponent)
