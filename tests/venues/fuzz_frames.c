/* Mutated frames through the native decoder, each in a buffer of exactly its size: built with the address and undefined-behaviour
 * sanitizers, any read or write outside ends the program. Usage: fuzz_frames SEED COUNT */
#include <stdio.h>
#include <stdlib.h>

#include "continuity.h"

static const char *FRAMES[] = {
    "{\"stream\":\"btcusdt@depth@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":1723161255208,\"s\":\"BTCUSDT\",\"U\":10,\"u\":12,"
    "\"b\":[[\"61737.63000000\",\"0.00000000\"],[\"61730.17\",\"1.5\"]],\"a\":[[\"61837.64000000\",\"1.54698000\"]]}}",
    "{\"stream\":\"btcusdt@depth@0ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":1723161256299,\"T\":1723161256298,\"s\":\"BTCUSDT\","
    "\"U\":10,\"u\":12,\"pu\":8,\"b\":[[\"58710.20\",\"0.014\"]],\"a\":[]}}",
    "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1723161255343,\"s\":\"BTCUSDT\",\"t\":3735683259,"
    "\"p\":\"61837.63000000\",\"q\":\"0.02000000\",\"T\":1723161255342,\"m\":true,\"M\":true}}",
    "{\"stream\":\"btcusdt@bookTicker\",\"data\":{\"u\":50093239212,\"s\":\"BTCUSDT\",\"b\":\"61837.63000000\",\"B\":\"3.78826000\","
    "\"a\":\"61837.64000000\",\"A\":\"1.54698000\"}}",
};
enum { ROOM = 1024 };

static size_t mutate(char *text, size_t n)
{
    size_t at = n ? (size_t)rand() % n : 0, length = (size_t)rand() % 30;
    if (length > n - at)
        length = n - at;
    switch (rand() % 5) {
    case 0: /* another byte */
        if (n)
            text[at] = (char)rand();
        return n;
    case 1: /* cut */
        return at;
    case 2: /* a part twice */
        if (n + length > ROOM)
            return n;
        memmove(text + at + length, text + at, n - at);
        return n + length;
    case 3: /* a part missing */
        memmove(text + at, text + at + length, n - at - length);
        return n - length;
    default: /* a token too many */
        if (n == ROOM)
            return n;
        memmove(text + at + 1, text + at, n - at);
        text[at] = "\"[]{},:\\0-."[rand() % 11];
        return n + 1;
    }
}

static int decode(bn_symbol *s, int futures, const char *text, size_t n)
{
    uint16_t slots[4];
    bn_table table = {.symbols = s, .count = 1, .futures = (uint32_t)futures, .mask = 3, .slots = slots};
    bn_fields fields;
    bn_frame frame;
    uint8_t *exact = malloc(n ? n : 1);
    int written = 0;
    bn_index(&table);
    memcpy(exact, text, n);
    if (bn_scan(exact, n, &fields) == BN_SCAN_OK && bn_classify(&table, &fields, &frame) == BN_OK && frame.kind != BN_REPLY) {
        uint8_t *out = malloc(frame.size);
        written = bn_write(&fields, &frame, 1, out) == BN_OK;
        if (written && frame.kind == BN_TRADE && !bn_trade_seen(s, frame.last))
            bn_trade_note(s, frame.last);
        free(out);
    }
    free(exact);
    return written;
}

int main(int argc, char **argv)
{
    bn_symbol s = {.name = "BTCUSDT", .name_size = 7, .price_exponent = -8, .qty_exponent = -8};
    long count = argc > 2 ? atol(argv[2]) : 100000, written = 0;
    srand(argc > 1 ? (unsigned)atol(argv[1]) : 1);
    for (long i = 0; i < count; i++) {
        char text[ROOM];
        int which = (int)(i % 4);
        size_t n = strlen(FRAMES[which]);
        memcpy(text, FRAMES[which], n);
        for (int k = rand() % 4; k; k--)
            n = mutate(text, n);
        written += decode(&s, which == 1, text, n);
    }
    printf("%ld\n", written);
    return 0;
}
