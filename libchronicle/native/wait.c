/* Waiting without a lost wake-up.
 *
 * The futex word is generation << 1 | waiter.
 *
 *   reader   w = fetch_or(word, 1) | 1;  fence;  look at the cursor;  futex_wait(word, w)
 *   writer   store commit; fence; load word; only if odd: fetch_add(word, 1), wake all
 *
 * fetch_add clears the bit and moves the generation in one step, so a reader that read the word before cannot go to sleep on it after (with a bare bit two
 * sleepers lose a wake-up in 13 steps; chr_atomic.h holds the whole argument). No sleep is
 * longer than min(timeout, ttl / 4, 1 s): then heartbeat, look, sleep again; a writer killed between its commit and its wake delays a reader by that.
 * A reader that may not write the word, an anonymous one, and of more than 128 in one wait those beyond, leaves no bit and polls every millisecond; so
 * does every reader on a host without futexes.
 */
#include "chr_core.h"

#include <errno.h>

#define CHR_SLEEP_MAX_NS 1000000000ll
#define CHR_WORDS 128 /* as many as one system call can wait for */

static bool can_ask(const chr_subscriber *s)
{
    return CHR_SHARED_WORDS && s->name[0] && !s->read_only && s->config.wait_mode != CHR_WAIT_SLEEP && !chr_word_gone(s);
}

static int pause_for(int64_t ns)
{
    struct timespec t = {ns / 1000000000, ns % 1000000000};
    return nanosleep(&t, NULL) == 0 ? 0 : -errno;
}

static int any_ready(chr_reader **readers, int count)
{
    for (int i = 0; i < count; i++)
        if (chr_reader_peek(readers[i]) != 0)
            return 1;
    return 0;
}

static int64_t longest_sleep(chr_reader **readers, int count)
{
    int64_t longest = CHR_SLEEP_MAX_NS;
    for (int i = 0; i < count; i++) {
        int64_t ttl = ((chr_subscriber *)readers[i])->config.reader_ttl_ns / 4;
        if (ttl < longest)
            longest = ttl;
    }
    return longest;
}

/* Asks the writers of as many queues as one system call can wait for; -1: a page moved meanwhile. */
static int ask(chr_reader **readers, int count, uint32_t **words, uint32_t *values)
{
    int asked = 0;
    for (int i = 0; i < count && asked < CHR_WORDS; i++) {
        chr_subscriber *s = (chr_subscriber *)readers[i];
        if (!can_ask(s))
            continue;
        words[asked] = &((chr_notify *)s->pages.notify->base)->word;
        values[asked] = chr_fetch_or32(words[asked], 1) | 1;
        asked++;
        if (chr_word_gone(s))
            return -1;
    }
    return asked;
}

/* Whoever cannot be asked about is looked at each millisecond. */
static int sleep_on_words(chr_reader **readers, int count, int64_t ns)
{
    uint32_t *words[CHR_WORDS], values[CHR_WORDS];
    int asked = ask(readers, count, words, values);
    if (asked < count && ns > CHR_POLL_NS)
        ns = CHR_POLL_NS;
    if (asked <= 0)
        return asked < 0 ? 0 : pause_for(ns);
    chr_fence();
    if (any_ready(readers, count))
        return 0;
    return chr_words_wait(NULL, 0, words, values, asked, ns);
}

static int spin(chr_reader **readers, int count, int64_t until)
{
    for (uint32_t turn = 0;; turn++) {
        if (any_ready(readers, count))
            return 1;
        chr_pause();
        if ((turn & 63) == 63 && chr_monotonic_ns() >= until)
            return 0;
    }
}

/* One bounded stretch of waiting; the caller repeats it, after looking for signals. 1 ready, 0 time is up, -EINTR, -EAGAIN = call again. */
int chr_readers_wait(chr_reader **readers, int count, int64_t timeout_ns)
{
    int64_t began = chr_monotonic_ns(), deadline = timeout_ns < 0 ? INT64_MAX : began + timeout_ns;
    int64_t slice = longest_sleep(readers, count), slice_end = began + slice;
    const chr_config *config = &((chr_subscriber *)readers[0])->config;
    int64_t spin_until = config->wait_mode == CHR_WAIT_SPIN ? slice_end : began + config->spin_ns;
    if (config->wait_mode == CHR_WAIT_SLEEP)
        spin_until = began;
    if (spin(readers, count, spin_until < deadline ? spin_until : deadline))
        return 1;
    int64_t now = chr_monotonic_ns();
    while (now < deadline && now < slice_end) {
        int64_t left = deadline - now < slice_end - now ? deadline - now : slice_end - now;
        int rc = sleep_on_words(readers, count, left);
        now = chr_monotonic_ns();
        for (int i = 0; i < count; i++) {
            chr_word_look((chr_subscriber *)readers[i], now);
            chr_reader_alive((chr_subscriber *)readers[i]);
        }
        if (any_ready(readers, count))
            return 1;
        if (rc == -EINTR)
            return -EINTR;
    }
    return now >= deadline ? 0 : -EAGAIN;
}

int chr_reader_wait(chr_reader *r, int64_t timeout_ns) { return chr_readers_wait(&r, 1, timeout_ns); }
