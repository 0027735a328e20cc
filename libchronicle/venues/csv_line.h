#ifndef CHR_CSV_LINE_H
#define CHR_CSV_LINE_H
/* A line of a plain CSV file, split in place: no quotes, no escapes (none of the vendors' files has them). */

#include <stdint.h>
#include <string.h>

typedef struct {
    const char *p;
    uint32_t n;
} chr_cell;

/* Cells of text[0..size), which ends without line feed; a final carriage return is dropped. The count, or -1 when there are
   more than `room`. An empty line has no cells. */
static inline int chr_csv_split(const char *text, size_t size, chr_cell *cells, int room) {
    const char *end = text + size;
    int count = 0;
    if (size && end[-1] == '\r') end--;
    if (text == end) return 0;
    for (;;) {
        const char *comma = (const char *)memchr(text, ',', (size_t)(end - text));
        const char *stop = comma ? comma : end;
        if (count == room) return -1;
        cells[count].p = text;
        cells[count++].n = (uint32_t)(stop - text);
        if (!comma) return count;
        text = comma + 1;
    }
}

/* A non-negative whole number, as long as it fits 64 bits. 1, or 0 when the cell is none. */
static inline int chr_csv_u64(const chr_cell *cell, uint64_t *out) {
    uint64_t value = 0;
    if (!cell->n) return 0;
    for (uint32_t i = 0; i < cell->n; i++) {
        unsigned digit = (unsigned char)cell->p[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, (uint64_t)10, &value) || __builtin_add_overflow(value, digit, &value))
            return 0;
    }
    *out = value;
    return 1;
}

#endif
