/* fileno(): one native thread per process turns words in files into descriptors, for epoll, asyncio and uvloop.
 *
 *   armed    the reader found nothing and cleared its bell; the thread watches its word
 *   rung     the thread rang the bell; it leaves the reader alone until next() has found nothing again
 *
 * The thread looks at the control page's head, never at the reader's cursor, which belongs to the reader's thread; the reader leaves the position it
 * found empty in `idle_position`. A bell also rings when a heartbeat is due, so that the reader's own loop beats (a thread that did it would hide
 * a hung loop): a wake-up does not promise a record.
 */
#include "chr_core.h"

#include <errno.h>
#include <signal.h>

#define CHR_WORDS 127 /* and the thread's own */
#define CHR_BELL_MAX_NS 1000000000ll

typedef struct {
    uint32_t *words[CHR_WORDS], values[CHR_WORDS];
    int count;
} sleep_list;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static chr_subscriber *watched; /* by next_watched */
static uint32_t kick;           /* changes when a reader is armed or leaves */
static int started;

static void ring(chr_subscriber *s)
{
    chr_store_release32(&s->armed, 0);
    chr_bell_ring(s->ring_fd);
}

static uint32_t *word_of(const chr_subscriber *s) { return &((chr_notify *)s->pages.notify->base)->word; }

/* Rings what has something to read or a heartbeat due; collects the words of the others. Returns how long to sleep. */
static int64_t survey(sleep_list *list)
{
    int64_t now = chr_monotonic_ns(), sleep_ns = CHR_BELL_MAX_NS;
    for (chr_subscriber *s = watched; s != NULL; s = s->next_watched) {
        if (!chr_load_acquire32(&s->armed))
            continue;
        chr_word_look(s, now);
        bool asks = CHR_SHARED_WORDS && !s->read_only && list->count < CHR_WORDS && !chr_word_gone(s);
        uint32_t value = asks ? chr_fetch_or32(word_of(s), 1) | 1 : 0;
        asks = asks && !chr_word_gone(s);
        chr_fence();
        if (chr_load_acquire64(&((chr_control *)s->pages.control->base)->head) != chr_load_acquire64(&s->idle_position) || now >= s->bell_ns) {
            ring(s);
            continue;
        }
        if (asks) {
            list->words[list->count] = word_of(s);
            list->values[list->count++] = value;
        } else if (sleep_ns > CHR_POLL_NS) {
            sleep_ns = CHR_POLL_NS;
        }
        if (s->bell_ns - now < sleep_ns)
            sleep_ns = s->bell_ns - now;
    }
    return sleep_ns;
}

static void *bell_loop(void *unused)
{
    (void)unused;
    chr_thread_begin("chr-notify");
    for (;;) {
        sleep_list list = {.count = 0};
        uint32_t seen = chr_load_acquire32(&kick);
        pthread_mutex_lock(&lock);
        int64_t sleep_ns = survey(&list);
        pthread_mutex_unlock(&lock);
        chr_words_wait(&kick, seen, list.words, list.values, list.count, sleep_ns);
    }
    return NULL;
}

static int start_thread(void)
{
    sigset_t all, kept;
    pthread_t thread;
    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGSEGV);
    pthread_sigmask(SIG_SETMASK, &all, &kept);
    int rc = pthread_create(&thread, NULL, bell_loop, NULL);
    pthread_sigmask(SIG_SETMASK, &kept, NULL);
    if (rc == 0)
        pthread_detach(thread);
    return rc;
}

static void ring_the_thread(void)
{
    chr_fetch_add32(&kick, 1);
    chr_word_wake_own(&kick);
}

int chr_reader_fileno(chr_reader *r)
{
    chr_subscriber *s = (chr_subscriber *)r;
    if (s->event_fd >= 0)
        return s->event_fd;
    if (chr_reader_alive(s) < 0)
        return -1;
    int fds[2];
    int opened = chr_bell_open(fds) == 0 ? 0 : errno;
    pthread_mutex_lock(&lock);
    int rc = opened ? opened : started ? 0 : start_thread();
    started = started || rc == 0;
    if (rc == 0) {
        s->event_fd = fds[0];
        s->ring_fd = fds[1];
        s->armed = 0;
        s->next_watched = watched;
        watched = s;
    }
    pthread_mutex_unlock(&lock);
    r->look_always = 1; /* each passes through chr_bell_arm */
    if (rc == 0)
        return s->event_fd;
    if (!opened)
        chr_bell_close(fds);
    errno = rc;
    return chr_fail_sys(&r->error, s->dir, "fileno", 0);
}

/* The reader has found nothing: clear the bell, say where it stands, let the thread watch. */
void chr_bell_arm(chr_subscriber *s)
{
    if (chr_load_acquire32(&s->armed))
        return;
    chr_bell_clear(s->event_fd);
    int64_t every = s->config.reader_ttl_ns / 4 < CHR_BELL_MAX_NS ? s->config.reader_ttl_ns / 4 : CHR_BELL_MAX_NS;
    s->bell_ns = chr_monotonic_ns() + every;
    chr_store_release64(&s->idle_position, chr_reader_position(&s->hot));
    chr_store_release32(&s->armed, 1);
    ring_the_thread();
}

static void close_bell(chr_subscriber *s)
{
    chr_bell_close((int[]){s->event_fd, s->ring_fd});
    s->event_fd = s->ring_fd = -1;
}

void chr_reader_forget_fd(chr_subscriber *s)
{
    if (s->event_fd < 0)
        return;
    pthread_mutex_lock(&lock);
    for (chr_subscriber **at = &watched; *at != NULL; at = &(*at)->next_watched)
        if (*at == s) {
            *at = s->next_watched;
            break;
        }
    pthread_mutex_unlock(&lock);
    ring_the_thread(); /* it must not sleep on a word that is about to be unmapped */
    close_bell(s);
}

/* ---------------------------------------------------------------- fork */

void chr_bell_fork_prepare(void) { pthread_mutex_lock(&lock); }

void chr_bell_fork_parent(void) { pthread_mutex_unlock(&lock); }

void chr_bell_fork_child(void)
{
    pthread_mutex_init(&lock, NULL);
    for (chr_subscriber *s = watched; s != NULL; s = s->next_watched) {
        close_bell(s); /* what is behind it is the parent's */
    }
    watched = NULL;
    started = 0;
}
