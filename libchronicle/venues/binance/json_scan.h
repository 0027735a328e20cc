/* A scanner for the JSON that Binance's market streams send: one pass over an object that notes where each known value lies.
 *
 * Rules
 *  - Strict where it accepts: whatever this scanner accepts is valid JSON (strings are only compared, so UTF-8 is not validated). What it
 *    cannot judge cheaply (escapes, signed or fractional numbers, nested objects, blanks inside arrays of levels) is UNUSUAL, never
 *    guessed: the caller then asks a full decoder.
 *  - Keys may stand in any order; unknown keys are skipped; a key given twice is UNUSUAL.
 *  - Nothing is read outside [p, end).
 *
 * Known keys are single letters, kept in slots by letter, and "pu". Arrays are not parsed here: scanning one finds its end and counts its
 * levels (16 bytes a step), so that the caller can reserve exactly the space the record will need.
 */
#ifndef CHR_BN_JSON_SCAN_H
#define CHR_BN_JSON_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define BN_LIKELY(x) __builtin_expect(!!(x), 1)
#define BN_UNLIKELY(x) __builtin_expect(!!(x), 0)

enum { BN_SCAN_OK = 0, BN_SCAN_UNUSUAL = -1 };

typedef enum { BN_STRING = 1, BN_NUMBER, BN_TRUE, BN_FALSE, BN_ARRAY, BN_OTHER } bn_type;

/* One value: [p, p + n) is the text inside the quotes or brackets. */
typedef struct {
    const uint8_t *p;
    uint32_t n;
    uint32_t levels;            /* of an array of arrays */
    uint64_t number;
    bn_type type;
} bn_value;

enum { BN_SLOTS = 61, BN_PU = 58, BN_STREAM = 59, BN_RESPONSE = 60 };

static inline int bn_slot(uint8_t letter) { return letter - 'A'; }

typedef struct {
    uint64_t present;           /* bit per slot */
    uint64_t arrays;            /* those that hold a non-empty array, whose inside is still to be judged */
    bn_value slot[BN_SLOTS];
} bn_fields;

typedef struct {
    const uint8_t *p, *end;
} bn_cursor;

static inline const bn_value *bn_get(const bn_fields *f, int slot)
{
    return f->present >> slot & 1 ? &f->slot[slot] : NULL;
}

static inline const bn_value *bn_typed(const bn_fields *f, int slot, bn_type type)
{
    return BN_LIKELY(f->present >> slot & 1) && BN_LIKELY(f->slot[slot].type == type) ? &f->slot[slot] : NULL;
}

static inline int bn_is(const bn_value *v, const char *text, uint32_t n)
{
    return v != NULL && v->n == n && memcmp(v->p, text, n) == 0;
}

static inline void bn_blanks(bn_cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\r' || *c->p == '\t'))
        c->p++;
}

/* After the opening quote: to the closing one. */
static inline int bn_string(bn_cursor *c, bn_value *v)
{
    const uint8_t *p = c->p, *end = c->end;
    v->p = p;
    v->type = BN_STRING;
#if defined(__SSE2__)
    while (BN_LIKELY(end - p >= 16)) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)p);
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes);
        __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), escape = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
        __m128i stop = _mm_or_si128(_mm_or_si128(quote, escape), control);
        unsigned mask = (unsigned)_mm_movemask_epi8(stop);
        if (mask) {
            p += __builtin_ctz(mask);
            if (BN_UNLIKELY(*p != '"'))
                return BN_SCAN_UNUSUAL;
            v->n = (uint32_t)(p - v->p);
            c->p = p + 1;
            return BN_SCAN_OK;
        }
        p += 16;
    }
#endif
    while (p < end && *p != '"') {
        if (*p == '\\' || *p < ' ')
            return BN_SCAN_UNUSUAL;
        p++;
    }
    if (p >= end)
        return BN_SCAN_UNUSUAL;
    v->n = (uint32_t)(p - v->p);
    c->p = p + 1;
    return BN_SCAN_OK;
}

/* A whole number without sign that fits 63 bits: ids and times. */
static inline int bn_number(bn_cursor *c, bn_value *v)
{
    const uint8_t *p = c->p, *end = c->end;
    uint64_t number = 0;
    v->p = p;
    v->type = BN_NUMBER;
    while (p < end && (uint8_t)(*p - '0') < 10)
        number = number * 10 + (*p++ - '0');
    v->n = (uint32_t)(p - v->p);
    v->number = number;
    if (BN_UNLIKELY(v->n == 0 || v->n > 18 || (*v->p == '0' && v->n > 1)))
        return BN_SCAN_UNUSUAL;
    if (BN_UNLIKELY(p < end && (*p == '.' || *p == 'e' || *p == 'E')))
        return BN_SCAN_UNUSUAL;
    c->p = p;
    return BN_SCAN_OK;
}

/* After the opening bracket: an array of arrays without blanks, to the first "]]". Its inside is judged when the levels are parsed. */
static inline int bn_levels_extent(bn_cursor *c, bn_value *v)
{
    const uint8_t *p = c->p, *end = c->end;
    unsigned before = 0;
    v->p = p;
    v->type = BN_ARRAY;
    v->levels = 0;
    if (p < end && *p == ']') {
        v->n = 0;
        c->p = p + 1;
        return BN_SCAN_OK;
    }
#if defined(__SSE2__)
    for (; BN_LIKELY(end - p >= 16); p += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)p);
        unsigned mask = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(']')));
        unsigned pair = mask & (mask << 1 | before);
        if (pair) {
            unsigned at = (unsigned)__builtin_ctz(pair); /* the second bracket of the pair */
            v->levels += (uint32_t)__builtin_popcount(mask & ((1u << at) - 1));
            p += at;
            v->n = (uint32_t)(p - v->p);
            c->p = p + 1;
            return BN_SCAN_OK;
        }
        v->levels += (uint32_t)__builtin_popcount(mask);
        before = mask >> 15;
    }
#endif
    for (; p < end; p++) {
        unsigned bracket = *p == ']';
        if (bracket && before) {
            v->n = (uint32_t)(p - v->p);
            c->p = p + 1;
            return BN_SCAN_OK;
        }
        v->levels += bracket;
        before = bracket;
    }
    return BN_SCAN_UNUSUAL;
}

static inline int bn_literal(bn_cursor *c, bn_value *v, const char *text, size_t n, bn_type type)
{
    if ((size_t)(c->end - c->p) < n || memcmp(c->p, text, n) != 0)
        return BN_SCAN_UNUSUAL;
    v->p = c->p;
    v->n = (uint32_t)n;
    v->type = type;
    c->p += n;
    return BN_SCAN_OK;
}

static inline int bn_any_value(bn_cursor *c, bn_value *v)
{
    if (BN_UNLIKELY(c->p >= c->end))
        return BN_SCAN_UNUSUAL;
    switch (*c->p) {
    case '"':
        c->p++;
        return bn_string(c, v);
    case '[':
        c->p++;
        return bn_levels_extent(c, v);
    case 't':
        return bn_literal(c, v, "true", 4, BN_TRUE);
    case 'f':
        return bn_literal(c, v, "false", 5, BN_FALSE);
    case 'n':
        return bn_literal(c, v, "null", 4, BN_OTHER);
    default:
        return bn_number(c, v); /* a nested object is none: UNUSUAL */
    }
}

/* The slot of a key of more than one letter; -1: nobody asked for it. */
static inline int bn_long_key(const bn_value *key)
{
    if (bn_is(key, "pu", 2))
        return BN_PU;
    if (bn_is(key, "stream", 6))
        return BN_STREAM;
    if (bn_is(key, "result", 6) || bn_is(key, "error", 5) || bn_is(key, "id", 2) || bn_is(key, "code", 4))
        return BN_RESPONSE;
    return -1;
}

/* A key with its quotes and colon: the slot of its value, BN_SLOTS for the envelope's "data", -1 for one nobody asked for, or less: UNUSUAL. */
enum { BN_KEY_UNUSUAL = -2 };

static inline int bn_key(bn_cursor *c)
{
    const uint8_t *p = c->p;
    int slot;
    if (BN_LIKELY(c->end - p >= 4 && p[0] == '"' && p[2] == '"' && p[3] == ':' && (uint8_t)(p[1] - 'A') < BN_PU)) {
        c->p = p + 4;
        slot = bn_slot(p[1]);
        if (BN_UNLIKELY(p[1] == '\\'))
            return BN_KEY_UNUSUAL;
    } else {
        bn_value key;
        if (BN_UNLIKELY(p >= c->end || *p != '"'))
            return BN_KEY_UNUSUAL;
        c->p++;
        if (BN_UNLIKELY(bn_string(c, &key) != BN_SCAN_OK))
            return BN_KEY_UNUSUAL;
        if (key.n == 1)
            slot = (uint8_t)(*key.p - 'A') < BN_PU ? bn_slot(*key.p) : -1;
        else
            slot = bn_is(&key, "data", 4) ? BN_SLOTS : bn_long_key(&key);
        bn_blanks(c);
        if (BN_UNLIKELY(c->p >= c->end || *c->p != ':'))
            return BN_KEY_UNUSUAL;
        c->p++;
    }
    return slot;
}

/* One object from its opening brace on; `outer` allows one "data" object inside, whose keys go to the same slots. */
static int bn_object(bn_cursor *c, bn_fields *f, int outer)
{
    bn_value spare;
    if (c->p >= c->end || *c->p != '{')
        return BN_SCAN_UNUSUAL;
    c->p++;
    bn_blanks(c);
    if (c->p < c->end && *c->p == '}') {
        c->p++;
        return BN_SCAN_OK;
    }
    for (;;) {
        bn_blanks(c);
        int slot = bn_key(c);
        if (BN_UNLIKELY(slot == BN_KEY_UNUSUAL))
            return BN_SCAN_UNUSUAL;
        bn_blanks(c);
        if (slot == BN_SLOTS && outer && c->p < c->end && *c->p == '{') {
            if (bn_object(c, f, 0) != BN_SCAN_OK)
                return BN_SCAN_UNUSUAL;
        } else {
            int known = slot >= 0 && slot < BN_SLOTS;
            bn_value *v = known ? &f->slot[slot] : &spare;
            uint64_t bit = known ? 1ull << slot : 0;
            if (BN_UNLIKELY(bn_any_value(c, v) != BN_SCAN_OK))
                return BN_SCAN_UNUSUAL;
            if (BN_UNLIKELY(f->present & bit) && slot != BN_RESPONSE) /* that one stands for several keys */
                return BN_SCAN_UNUSUAL;
            f->present |= bit;
            if (v->type == BN_ARRAY && v->n) {
                if (BN_UNLIKELY(!known)) /* nobody would judge its inside */
                    return BN_SCAN_UNUSUAL;
                f->arrays |= bit;
            }
        }
        bn_blanks(c);
        if (BN_UNLIKELY(c->p >= c->end))
            return BN_SCAN_UNUSUAL;
        if (*c->p == '}') {
            c->p++;
            return BN_SCAN_OK;
        }
        if (BN_UNLIKELY(*c->p != ','))
            return BN_SCAN_UNUSUAL;
        c->p++;
    }
}

/* A whole frame. */
static inline int bn_scan(const uint8_t *p, size_t n, bn_fields *f)
{
    bn_cursor c = {p, p + n};
    f->present = f->arrays = 0;
    bn_blanks(&c);
    if (bn_object(&c, f, 1) != BN_SCAN_OK)
        return BN_SCAN_UNUSUAL;
    bn_blanks(&c);
    return BN_LIKELY(c.p == c.end) ? BN_SCAN_OK : BN_SCAN_UNUSUAL;
}

#endif
