/* The stable face over the core: chronicle.h explains it. Structs of the core never leave this file. */
#include "chronicle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "chr_core.h"

#define CHR_BLOCK_STEP_NS 1000000

struct chronicle_writer {
    chr_writer *w;
    int64_t block_ns; /* with CHRONICLE_FULL_BLOCK: how long a full queue is waited for */
    chronicle_error error;
};

struct chronicle_reader {
    chr_reader *r;
    chronicle_error error;
};

_Static_assert((int)CHRONICLE_HOST == (int)CHR_E_HOST && (int)CHRONICLE_CORRUPT == (int)CHR_E_CORRUPT, "codes are those of the core");
_Static_assert((int)CHRONICLE_NOT_READY == (int)CHR_E_NOT_READY && (int)CHRONICLE_FULL == (int)CHR_E_FULL, "codes are those of the core");
_Static_assert((int)CHRONICLE_FULL_EVICT == (int)CHR_FULL_EVICT && (int)CHRONICLE_TIME == (int)CHR_START_TIME, "choices are those of the core");
_Static_assert((int)CHRONICLE_SLEEP == (int)CHR_WAIT_SLEEP && CHRONICLE_LOST == CHR_TYPE_LOST, "choices are those of the core");

/* ---------------------------------------------------------------- errors */

static const struct {
    const char *name, *text;
} codes[] = {
    {"OK", "no error"},
    {"WRITER_ACTIVE", "a writer is already active"},
    {"READER_ACTIVE", "a reader of that name is already active"},
    {"TOO_LARGE", "the payload exceeds what a segment may hold"},
    {"TIME_ORDER", "the timestamp is before the last one appended"},
    {"RESERVED_TYPE", "type_ids from 0xFF00 on belong to the queue"},
    {"FENCED", "another writer has opened the queue; this handle is dead"},
    {"FORKED", "the handle belongs to another process; open your own after fork"},
    {"CLOSED", "the handle is closed"},
    {"MISUSE", "calls in the wrong order"},
    {"CORRUPT", "a record is not what was written"},
    {"BAD_CONTROL", "the control page is not valid; its next writer builds it anew"},
    {"BAD_READER_PAGE", "both slots of the reader's page are damaged"},
    {"BAD_VERSION", "another version of the format"},
    {"REWOUND", "the queue ends before the place where the reader stood"},
    {"EVICTED", "records were dropped before they were read"},
    {"REPLACED", "another queue stands here now"},
    {"BROKEN", "a file was cut short or cannot be read"},
    {"NOT_READY", "no queue yet"},
    {"FORGOTTEN", "the reader was silent or behind for too long; open it again"},
    {"FULL", "the budget is used up and no segment may go"},
    {"NO_SPACE", "no space left on the disk"},
    {"NO_PERMISSION", "permission denied"},
    {"HOST", "the host refuses"},
};

static bool known(int code) { return code >= 0 && code < (int)(sizeof codes / sizeof *codes); }

const char *chronicle_code_name(int code) { return known(code) ? codes[code].name : "UNKNOWN"; }

const char *chronicle_error_text(const chronicle_error *error, char *out, size_t size)
{
    const char *text = known(error->code) ? codes[error->code].text : "unknown error";
    unsigned long long a = error->facts[0], b = error->facts[1], c = error->facts[2];
    int n = snprintf(out, size, "%s: %s", error->path, text);
    const char *reason = error->reason[0] ? error->reason : NULL;
    if (n < 0 || (size_t)n >= size)
        return out;
    if (reason)
        snprintf(out + n, size - (size_t)n, " (%s; %llu, %llu, %llu)", reason, a, b, c);
    else if (a | b | c)
        snprintf(out + n, size - (size_t)n, " (%llu, %llu, %llu)", a, b, c);
    return out;
}

static void hand_out(chronicle_error *out, const chr_error *from)
{
    if (out == NULL)
        return;
    memset(out, 0, sizeof *out);
    out->code = from->code;
    out->sys_errno = from->sys;
    out->facts[0] = from->a;
    out->facts[1] = from->b;
    out->facts[2] = from->c;
    memcpy(out->path, from->path, sizeof out->path);
    memcpy(out->reason, from->reason, sizeof out->reason);
}

const chronicle_error *chronicle_writer_error(chronicle_writer *w)
{
    hand_out(&w->error, &w->w->error);
    return &w->error;
}

const chronicle_error *chronicle_reader_error(chronicle_reader *r)
{
    hand_out(&r->error, &r->r->error);
    return &r->error;
}

static void *refuse(chronicle_error *error, const char *path, const char *reason)
{
    chr_error e = {0};
    chr_fail(&e, CHR_E_MISUSE, path, reason, 0, 0, 0);
    hand_out(error, &e);
    return NULL;
}

/* ---------------------------------------------------------------- configuration, names */

int chronicle_abi(void) { return CHRONICLE_ABI; }

void chronicle_config_default(chronicle_config *config)
{
    memset(config, 0, sizeof *config);
    config->struct_size = sizeof *config;
    config->segment_size = 128u << 20;
    config->retain_segments = 1;
    config->sync = config->prefault = 1;
    config->block_timeout_ns = 1000000000;
    config->reader_ttl_ns = 10000000000;
    config->spin_ns = 20000;
}

/* Percent-encoded outside [A-Za-z0-9._-], as every reader's name on disk. */
static bool encode_name(const char *name, char *out, size_t size)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t n = 0;
    if (name[strspn(name, ".")] == 0)
        return false;
    for (; *name; name++) {
        bool keep = strchr(plain, *name) != NULL;
        if (n + (keep ? 1 : 3) >= size || n + (keep ? 1 : 3) > 100)
            return false;
        n += (size_t)snprintf(out + n, size - n, keep ? "%c" : "%%%02X", (unsigned char)*name);
    }
    return true;
}

static const char *translate(const chronicle_config *given, chr_config *out)
{
    chronicle_config c;
    chronicle_config_default(&c);
    if (given != NULL) {
        if (given->struct_size < offsetof(chronicle_config, durable) || given->struct_size > 4096)
            return "begin with chronicle_config_default";
        memcpy(&c, given, given->struct_size < sizeof c ? given->struct_size : sizeof c);
    }
    if (c.segment_size < CHR_SEGMENT_MIN || c.segment_size > CHR_SEGMENT_MAX || c.segment_size % CHR_PAGE)
        return "segment_size is no multiple of 4096 from 4096 to 268435456";
    if (c.reader_ttl_ns <= 0 || c.on_full < 0 || c.on_full > CHRONICLE_FULL_EVICT || c.wait_mode < 0 || c.wait_mode > CHRONICLE_SLEEP)
        return "reader_ttl_ns, on_full or wait_mode is out of range";
    *out = (chr_config){.segment_size = c.segment_size, .retain_segments = c.retain_segments, .budget_bytes = c.budget_bytes,
                        .reserve_bytes = c.reserve_bytes, .max_lag_bytes = c.max_lag_bytes, .block_timeout_ns = c.block_timeout_ns,
                        .reader_ttl_ns = c.reader_ttl_ns, .retain_age_ns = c.retain_age_ns, .max_segment_age_ns = c.max_segment_age_ns,
                        .spin_ns = c.spin_ns, .on_full = c.on_full, .wait_mode = c.wait_mode, .tsc = 1, .prefault = c.prefault,
                        .memlock = c.memlock, .sync = c.sync, .agents = 1};
    for (const char *const *name = c.durable; name && *name; name++) {
        if (!encode_name(*name, out->durable + out->durable_size, CHR_DURABLE_BYTES - out->durable_size))
            return "a durable reader's name is empty, dots only or too long";
        out->durable_size += (uint32_t)strlen(out->durable + out->durable_size) + 1;
    }
    return NULL;
}

/* ---------------------------------------------------------------- writer */

chronicle_writer *chronicle_open_writer(const char *path, const chronicle_config *config, chronicle_error *error)
{
    chr_config c;
    chr_error e = {0};
    const char *wrong = translate(config, &c);
    chronicle_writer *w = wrong ? NULL : calloc(1, sizeof *w);
    if (w == NULL)
        return refuse(error, path, wrong ? wrong : "out of memory");
    w->block_ns = c.on_full == CHR_FULL_BLOCK ? c.block_timeout_ns : 0;
    w->w = chr_writer_open(path, &c, &e);
    if (w->w != NULL)
        return w;
    hand_out(error, &e);
    free(w);
    return NULL;
}

/* After a refusal: true = there may be room by now, try again. */
static bool wait_for_room(chronicle_writer *w, int64_t *deadline)
{
    struct timespec step = {0, CHR_BLOCK_STEP_NS};
    if (w->w->error.code != CHR_E_FULL || w->block_ns == 0)
        return false;
    if (*deadline == 0)
        *deadline = chr_monotonic_ns() + w->block_ns;
    else if (chr_monotonic_ns() >= *deadline)
        return false;
    chr_writer_drain(w->w);
    nanosleep(&step, NULL);
    return true;
}

int64_t chronicle_append(chronicle_writer *w, uint16_t type_id, const void *payload, uint32_t size, int64_t ts_ns)
{
    int64_t deadline = 0, seq;
    do
        seq = chr_append(w->w, type_id, payload, size, ts_ns);
    while (seq < 0 && wait_for_room(w, &deadline));
    return seq;
}

void *chronicle_reserve(chronicle_writer *w, uint16_t type_id, uint32_t size)
{
    int64_t deadline = 0;
    void *at;
    do
        at = chr_reserve(w->w, type_id, size);
    while (at == NULL && wait_for_room(w, &deadline));
    return at;
}

int64_t chronicle_commit(chronicle_writer *w, uint32_t size, int64_t ts_ns) { return chr_commit(w->w, size, ts_ns); }

void chronicle_abort(chronicle_writer *w) { chr_abort(w->w); }

int chronicle_heartbeat(chronicle_writer *w) { return chr_writer_heartbeat(w->w); }

int chronicle_flush(chronicle_writer *w) { return chr_writer_flush(w->w, true); }

int chronicle_roll(chronicle_writer *w) { return chr_writer_roll(w->w); }

void chronicle_close_writer(chronicle_writer *w)
{
    if (w == NULL)
        return;
    chr_writer_close(w->w);
    free(w);
}

/* ---------------------------------------------------------------- reader */

chronicle_reader *chronicle_open_reader(const char *path, const char *name, const chronicle_config *config, int start, int64_t at,
                                        chronicle_error *error)
{
    chr_config c;
    chr_error e = {0};
    char encoded[112];
    const char *wrong = translate(config, &c);
    if (wrong == NULL && (start < CHRONICLE_RESUME || start > CHRONICLE_TIME))
        wrong = "no such start";
    if (wrong == NULL && name != NULL && !encode_name(name, encoded, sizeof encoded))
        wrong = "the reader's name is empty, dots only or too long";
    chronicle_reader *r = wrong ? NULL : calloc(1, sizeof *r);
    if (r == NULL)
        return refuse(error, path, wrong ? wrong : "out of memory");
    r->r = chr_reader_open(path, name ? encoded : NULL, &c, start, (uint64_t)at, at, &e);
    if (r->r != NULL)
        return r;
    hand_out(error, &e);
    free(r);
    return NULL;
}

int chronicle_next(chronicle_reader *r, chronicle_message *out)
{
    chr_frame f;
    int rc = chr_next(r->r, &f);
    if (rc == 1)
        *out = (chronicle_message){.payload = f.payload, .size = f.size, .type_id = f.type_id, .flags = f.flags, .version = f.version,
                                   .seq = f.seq, .ts_ns = f.ts_ns, .epoch = f.epoch};
    return rc;
}

int chronicle_wait(chronicle_reader *r, int64_t timeout_ns)
{
    int64_t deadline = timeout_ns < 0 ? -1 : chr_monotonic_ns() + timeout_ns;
    for (;;) {
        int64_t left = deadline < 0 ? -1 : deadline - chr_monotonic_ns();
        int rc = chr_reader_wait(r->r, deadline < 0 || left > 0 ? left : 0);
        if (rc != -EAGAIN)
            return rc == -EINTR ? 0 : rc;
    }
}

int chronicle_commit_cursor(chronicle_reader *r) { return chr_reader_commit(r->r); }

int chronicle_seek_seq(chronicle_reader *r, uint64_t seq) { return chr_reader_seek_seq(r->r, seq); }

int chronicle_seek_time(chronicle_reader *r, int64_t ts_ns) { return chr_reader_seek_time(r->r, ts_ns); }

void chronicle_close_reader(chronicle_reader *r)
{
    if (r == NULL)
        return;
    chr_reader_close(r->r);
    free(r);
}
