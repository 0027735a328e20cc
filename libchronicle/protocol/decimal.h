#ifndef CHR_DECIMAL_H
#define CHR_DECIMAL_H
/* Decimal text <-> int64 mantissa at a fixed exponent. value = mantissa * 10^exponent, exponent in [-18, 18].

   Grammar: '-'? digit+ ('.' digit+)?   No '+', no blanks, no "1e5", no ".5": a venue that sends those is malformed.

   An answer is exact or an error, never a rounded value and never 0 for something unreadable. Digits below the exponent
   are fine while they are zero ("61821.30000000" at exponent -2), and CHR_DECIMAL_PRECISION when they are not.

   The common case (at most 18 digits once scaled) needs no overflow check, and reads a fraction of eight digits, as
   Binance's spot market sends it, with one load; everything else takes the checked loop, the definition of right. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    CHR_DECIMAL_OK = 0,
    CHR_DECIMAL_EMPTY = 1,     /* no digit where one must stand */
    CHR_DECIMAL_BAD_CHAR = 2,  /* a character that belongs to no decimal */
    CHR_DECIMAL_PRECISION = 3, /* significant digits below the exponent */
    CHR_DECIMAL_OVERFLOW = 4,  /* does not fit an int64 */
    CHR_DECIMAL_EXPONENT = 5,  /* exponent outside [-18, 18] */
    CHR_DECIMAL_MAX_TEXT = 40  /* room chr_format_decimal needs */
};

static const uint64_t chr_pow10[19] = {1ull,
                                       10ull,
                                       100ull,
                                       1000ull,
                                       10000ull,
                                       100000ull,
                                       1000000ull,
                                       10000000ull,
                                       100000000ull,
                                       1000000000ull,
                                       10000000000ull,
                                       100000000000ull,
                                       1000000000000ull,
                                       10000000000000ull,
                                       100000000000000ull,
                                       1000000000000000ull,
                                       10000000000000000ull,
                                       100000000000000000ull,
                                       1000000000000000000ull};

static inline int chr_is_digit(char c) { return (unsigned char)(c - '0') <= 9; }

/* Eight ASCII digits at once: 1 and their value, or 0 when one of the bytes is none. Little-endian, first digit lowest.
   Digits are 0x30..0x39: the high nibble must be 3, also after adding 6. */
static inline int chr_eight_digits(const char *at, uint64_t *value) {
    uint64_t w;
    memcpy(&w, at, sizeof w);
    if (((w & 0xF0F0F0F0F0F0F0F0ull) | (((w + 0x0606060606060606ull) & 0xF0F0F0F0F0F0F0F0ull) >> 4)) !=
        0x3333333333333333ull)
        return 0;
    w = (w & 0x0F0F0F0F0F0F0F0Full) * 2561 >> 8;              /* pairs */
    w = (w & 0x00FF00FF00FF00FFull) * 6553601 >> 16;          /* fours */
    *value = (w & 0x0000FFFF0000FFFFull) * 42949672960001 >> 32; /* all eight */
    return 1;
}

/* The checked loop. *at stands on the first digit; moves *at past the last one. */
static inline int chr_decimal_checked(const char **at, const char *end, int exponent, int negative, int64_t *out) {
    const char *p = *at, *first = p;
    uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX, value = 0;
    int missing = -exponent; /* decimals still to come; for a positive exponent: minus the zeros that must end it */
    while (p < end && chr_is_digit(*p)) p++;
    const char *last = p; /* end of the integer part */
    if (last == first) return CHR_DECIMAL_EMPTY;
    const char *kept = last;
    for (; missing < 0 && kept > first; missing++)
        if (*--kept != '0') return CHR_DECIMAL_PRECISION;
    for (p = first; p < kept; p++)
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            return CHR_DECIMAL_OVERFLOW;
    p = last;
    if (p < end && *p == '.') {
        if (++p == end || !chr_is_digit(*p)) return CHR_DECIMAL_EMPTY;
        for (; p < end && chr_is_digit(*p); p++) {
            if (missing <= 0) {
                if (*p != '0') return CHR_DECIMAL_PRECISION;
                continue;
            }
            if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
                __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
                return CHR_DECIMAL_OVERFLOW;
            missing--;
        }
    }
    if (missing > 0 && __builtin_mul_overflow(value, chr_pow10[missing], &value)) return CHR_DECIMAL_OVERFLOW;
    if (value > limit) return CHR_DECIMAL_OVERFLOW;
    *out = (int64_t)(negative ? 0 - value : value);
    *at = p;
    return CHR_DECIMAL_OK;
}

/* Reads the decimal at *at as far as it goes; *at then stands on the byte after it (at `end`, or at any byte that is
   neither digit nor point: what may follow is the caller's business). On an error *at and *out are untouched. */
static inline int chr_scan_decimal(const char **at, const char *end, int exponent, int64_t *out) {
    const char *p = *at;
    uint64_t value = 0, fraction;
    unsigned scale = (unsigned)-exponent;
    if (exponent < -18 || exponent > 18) return CHR_DECIMAL_EXPONENT;
    if (p == end) return CHR_DECIMAL_EMPTY;
    int negative = *p == '-';
    p += negative;
    const char *first = p;
    for (; p < end && chr_is_digit(*p); p++) value = value * 10 + (uint64_t)(*p - '0');
    size_t digits = (size_t)(p - first);
    if (!digits) return p < end && p == *at ? CHR_DECIMAL_BAD_CHAR : CHR_DECIMAL_EMPTY;
    if (scale <= 18 && digits + scale <= 18) { /* cannot overflow */
        unsigned missing = scale;
        if (p < end && *p == '.') {
            const char *point = p++;
            if (missing >= 8 && end - p >= 8 && chr_eight_digits(p, &fraction)) {
                value = value * 100000000 + fraction;
                missing -= 8;
                p += 8;
            }
            for (; p < end && chr_is_digit(*p); p++) {
                if (missing) {
                    value = value * 10 + (uint64_t)(*p - '0');
                    missing--;
                } else if (*p != '0') {
                    return CHR_DECIMAL_PRECISION;
                }
            }
            if (p == point + 1) return CHR_DECIMAL_EMPTY;
        }
        value *= chr_pow10[missing];
        *out = (int64_t)(negative ? 0 - value : value);
        *at = p;
        return CHR_DECIMAL_OK;
    }
    int error = chr_decimal_checked(&first, end, exponent, negative, out);
    if (!error) *at = first;
    return error;
}

/* The whole of text[0..size) as a decimal. 0 or one of the errors above; *out is untouched on an error. */
static inline int chr_parse_decimal(const char *text, size_t size, int exponent, int64_t *out) {
    const char *at = text, *end = text + size;
    int64_t value;
    int error = chr_scan_decimal(&at, end, exponent, &value);
    if (error) return error;
    if (at != end) return CHR_DECIMAL_BAD_CHAR;
    *out = value;
    return CHR_DECIMAL_OK;
}

/* Writes the text of mantissa * 10^exponent, always with -exponent decimals, without a final NUL; returns its length
   (at most CHR_DECIMAL_MAX_TEXT), 0 when the exponent is out of range. chr_parse_decimal reads the same value back. */
static inline int chr_format_decimal(int64_t mantissa, int exponent, char *out) {
    char digits[40];
    int count = 0, at = 0;
    if (exponent < -18 || exponent > 18) return 0;
    uint64_t value = mantissa < 0 ? 0 - (uint64_t)mantissa : (uint64_t)mantissa;
    for (; value || count <= (exponent < 0 ? -exponent : 0); value /= 10) digits[count++] = (char)('0' + value % 10);
    if (mantissa < 0) out[at++] = '-';
    while (count) {
        out[at++] = digits[--count];
        if (count && count == -exponent) out[at++] = '.';
    }
    for (; mantissa && exponent > 0; exponent--) out[at++] = '0';
    return at;
}

static inline const char *chr_decimal_reason(int error) {
    switch (error) {
    case CHR_DECIMAL_OK: return "ok";
    case CHR_DECIMAL_EMPTY: return "a digit is missing";
    case CHR_DECIMAL_BAD_CHAR: return "a character that belongs to no decimal";
    case CHR_DECIMAL_PRECISION: return "more decimals than the exponent holds";
    case CHR_DECIMAL_OVERFLOW: return "does not fit 64 bits";
    default: return "exponent outside -18..18";
    }
}

#endif
