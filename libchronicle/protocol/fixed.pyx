"""Python face of decimal.h: decimal text <-> int64 mantissa at a fixed exponent."""

from libc.stdint cimport int64_t

from libchronicle.protocol.decimal cimport (
    CHR_DECIMAL_MAX_TEXT,
    chr_decimal_reason,
    chr_format_decimal,
    chr_parse_decimal,
)

from libchronicle.errors import DecimalError

__all__ = ["format_decimal", "parse_decimal"]


def parse_decimal(text, int exponent) -> int:
    """Mantissa of `text` (str, or any buffer of ASCII) at `exponent`: "61821.30", -2 -> 6182130.

    Exact or DecimalError: bad characters, digits below the exponent that are not zero, more than 64 bits.
    """
    cdef const unsigned char[::1] view
    cdef int64_t mantissa = 0
    cdef int error
    data = text.encode() if isinstance(text, str) else text
    view = data
    if view.shape[0] == 0:
        error = chr_parse_decimal(b"", 0, exponent, &mantissa)
    else:
        error = chr_parse_decimal(<const char *>&view[0], view.shape[0], exponent, &mantissa)
    if error:
        shown = bytes(data[:64]).decode("ascii", "backslashreplace")
        raise DecimalError(text=shown, exponent=exponent, reason=chr_decimal_reason(error).decode())
    return mantissa


def format_decimal(mantissa, int exponent) -> str:
    """Text of mantissa * 10**exponent, always with -exponent decimals: 6182130, -2 -> "61821.30".

    Raises DecimalError for an exponent outside -18..18 or a mantissa beyond 64 bits.
    """
    cdef char text[CHR_DECIMAL_MAX_TEXT]
    cdef int64_t value
    try:
        value = mantissa
    except OverflowError:
        raise DecimalError(text=str(mantissa), exponent=exponent, reason="does not fit 64 bits") from None
    cdef int length = chr_format_decimal(value, exponent, text)
    if not length:
        raise DecimalError(text=str(mantissa), exponent=exponent, reason="exponent outside -18..18")
    return text[:length].decode("ascii")
