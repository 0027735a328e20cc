from libc.stdint cimport int64_t

cdef extern from "decimal.h" nogil:
    enum:
        CHR_DECIMAL_OK, CHR_DECIMAL_EMPTY, CHR_DECIMAL_BAD_CHAR, CHR_DECIMAL_PRECISION, CHR_DECIMAL_OVERFLOW
        CHR_DECIMAL_EXPONENT, CHR_DECIMAL_MAX_TEXT

    int chr_scan_decimal(const char **at, const char *end, int exponent, int64_t *out)
    int chr_parse_decimal(const char *text, size_t size, int exponent, int64_t *out)
    int chr_format_decimal(int64_t mantissa, int exponent, char *out)
    const char *chr_decimal_reason(int error)
