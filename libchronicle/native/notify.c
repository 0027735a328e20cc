/* fileno(): one native thread per process turns futex words into eventfds, for epoll, asyncio and uvloop.
 *
 *   armed    the reader found nothing and cleared its eventfd; the thread watches its word
 *   rung     the thread wrote the eventfd; it leaves the reader alone until next() has found nothing again
 *
 * The thread looks at the control page's head, never at the reader's cursor, which belongs to the reader's thread; the reader leaves the position it
 * found empty in `idle_position`. A bell also rings when a heartbeat is due, so that the reader's own loop beats (a thread that did it would hide
 * a hung loop): a wake-up does not promise a record.
 */
#include "chr_core.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#define CHR_WORDS 128
#define CHR_POLL_NS 1000000ll
#define CHR_BELL_MAX_NS 1000000000ll

typedef struct {
    uint64_t val, uaddr;
    uint32_t flags, reserved;
} waitv_entry;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static chr_subscriber *watched; /* by next_watched */
static uint32_t kick;           /* changes when a reader is armed or leaves */
static int started;

static void ring(chr_subscriber *s)
{
    uint64_t one = 1;
    chr_store_release32(&s->armed, 0);
    while (write(s->event_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static uint32_t *word_of(const chr_subscriber *s) { return &((chr_notify *)s->pages.notify->base)->word; }

/* Rings what has something to read or a heartbeat due; collects the words of the others. Returns how long to sleep. */
static int64_t survey(waitv_entry *entries, int *count)
{
    int64_t now = chr_monotonic_ns(), sleep_ns = CHR_BELL_MAX_NS;
    for (chr_subscriber *s = watched; s != NULL; s = s->next_watched) {
        if (!chr_load_acquire32(&s->armed))
            continue;
        bool asks = !s->read_only && *count < CHR_WORDS;
        uint32_t value = asks ? chr_fetch_or32(word_of(s), 1) | 1 : 0;
        chr_fence();
        if (chr_load_acquire64(&((chr_control *)s->pages.control->base)->head) != chr_load_acquire64(&s->idle_position) || now >= s->bell_ns) {
            ring(s);
            continue;
        }
        if (asks)
            entries[(*count)++] = (waitv_entry){.val = value, .uaddr = (uintptr_t)word_of(s), .flags = 2};
        else if (sleep_ns > CHR_POLL_NS)
            sleep_ns = CHR_POLL_NS;
        if (s->bell_ns - now < sleep_ns)
            sleep_ns = s->bell_ns - now;
    }
    return sleep_ns;
}

static void *bell_loop(void *unused)
{
    (void)unused;
    prctl(PR_SET_NAME, "chr-notify", 0, 0, 0);
    chr_leave_the_hot_core();
    for (;;) {
        waitv_entry entries[CHR_WORDS];
        int count = 1;
        entries[0] = (waitv_entry){.val = chr_load_acquire32(&kick), .uaddr = (uintptr_t)&kick, .flags = 2 | FUTEX_PRIVATE_FLAG};
        pthread_mutex_lock(&lock);
        int64_t sleep_ns = survey(entries, &count);
        pthread_mutex_unlock(&lock);
        int64_t until = chr_monotonic_ns() + sleep_ns;
        struct timespec t = {until / 1000000000, until % 1000000000};
        if (syscall(SYS_futex_waitv, entries, (unsigned)count, 0u, &t, CLOCK_MONOTONIC) < 0 && (errno == ENOSYS || errno == EINVAL)) {
            struct timespec slice = {0, CHR_POLL_NS};
            nanosleep(&slice, NULL);
        }
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
    syscall(SYS_futex, &kick, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

int chr_reader_fileno(chr_reader *r)
{
    chr_subscriber *s = (chr_subscriber *)r;
    if (s->event_fd >= 0)
        return s->event_fd;
    if (chr_reader_alive(s) < 0)
        return -1;
    int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK); /* rung: the first look is the reader's */
    pthread_mutex_lock(&lock);
    int rc = fd < 0 ? errno : started ? 0 : start_thread();
    started = started || rc == 0;
    if (rc == 0) {
        s->event_fd = fd;
        s->armed = 0;
        s->next_watched = watched;
        watched = s;
    }
    pthread_mutex_unlock(&lock);
    r->look_always = 1; /* each passes through chr_bell_arm */
    if (rc == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    errno = rc;
    return chr_fail_sys(&r->error, s->dir, "fileno", 0);
}

/* The reader has found nothing: clear the bell, say where it stands, let the thread watch. */
void chr_bell_arm(chr_subscriber *s)
{
    uint64_t rung;
    if (chr_load_acquire32(&s->armed))
        return;
    while (read(s->event_fd, &rung, sizeof rung) < 0 && errno == EINTR)
        ;
    int64_t every = s->config.reader_ttl_ns / 4 < CHR_BELL_MAX_NS ? s->config.reader_ttl_ns / 4 : CHR_BELL_MAX_NS;
    s->bell_ns = chr_monotonic_ns() + every;
    chr_store_release64(&s->idle_position, chr_reader_position(&s->hot));
    chr_store_release32(&s->armed, 1);
    ring_the_thread();
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
    close(s->event_fd);
    s->event_fd = -1;
}

/* ---------------------------------------------------------------- fork */

void chr_bell_fork_prepare(void) { pthread_mutex_lock(&lock); }

void chr_bell_fork_parent(void) { pthread_mutex_unlock(&lock); }

void chr_bell_fork_child(void)
{
    pthread_mutex_init(&lock, NULL);
    for (chr_subscriber *s = watched; s != NULL; s = s->next_watched) {
        close(s->event_fd); /* the counter behind it is the parent's */
        s->event_fd = -1;
    }
    watched = NULL;
    started = 0;
}
