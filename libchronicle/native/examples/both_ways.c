/* Reads a queue that Python writes and writes one that Python reads, at the same time.
 *
 *     cc -O2 -o both_ways both_ways.c $(chronicle native --cflags --sources --libs)
 *     ./both_ways QUEUE_IN QUEUE_OUT COUNT
 *
 * Every record of QUEUE_IN is appended to QUEUE_OUT with its bytes reversed, until COUNT have been. Reading goes on where the reader "example" last
 * committed; the last record in QUEUE_OUT tells how many are done.
 */
#include <stdio.h>
#include <stdlib.h>

#include "chronicle.h"

static int fail(const char *what, const chronicle_error *error)
{
    char text[768];
    fprintf(stderr, "%s: %s\n", what, chronicle_error_text(error, text, sizeof text));
    return error->code == CHRONICLE_NOT_READY ? 75 : 1;
}

int main(int count, char **arguments)
{
    chronicle_error error;
    chronicle_message message;
    chronicle_config config;
    if (count != 4)
        return 64;
    chronicle_config_default(&config);
    config.segment_size = 1 << 16;
    chronicle_reader *in = chronicle_open_reader(arguments[1], "example", &config, CHRONICLE_RESUME, 0, &error);
    if (in == NULL)
        return fail(arguments[1], &error);
    chronicle_writer *out = chronicle_open_writer(arguments[2], &config, &error);
    if (out == NULL)
        return fail(arguments[2], &error);
    for (long left = atol(arguments[3]); left > 0;) {
        int got = chronicle_next(in, &message);
        if (got < 0)
            return fail(arguments[1], chronicle_reader_error(in));
        if (got == 0) {
            chronicle_heartbeat(out);
            chronicle_wait(in, 100000000);
            continue;
        }
        const char *from = message.payload;
        char *to = chronicle_reserve(out, message.type_id, message.size);
        if (to == NULL)
            return fail(arguments[2], chronicle_writer_error(out));
        for (uint32_t i = 0; i < message.size; i++)
            to[i] = from[message.size - 1 - i];
        if (chronicle_commit(out, message.size, CHRONICLE_NOW) < 0)
            return fail(arguments[2], chronicle_writer_error(out));
        chronicle_commit_cursor(in);
        left--;
    }
    chronicle_close_reader(in);
    chronicle_close_writer(out);
    return 0;
}
