/* A forked child inherits handles it must not use: a second writer with the first one's position would destroy the queue.
 *
 * In the child every writer gets end = 0 and an epoch that is nobody's, every reader a heartbeat that is due for ever, so the hot path falls into its slow half,
 * which reports Forked; writable maps are replaced by private zero pages and their descriptors (which carry the locks) closed.
 */
#include "chr_core.h"

#include <stdio.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static chr_publisher *publishers;
static chr_subscriber *subscribers;

static void before(void)
{
    pthread_mutex_lock(&lock);
    chr_bell_fork_prepare();
    chr_agents_fork_prepare();
    chr_platform_fork_prepare();
}

static void in_parent(void)
{
    chr_platform_fork_parent();
    chr_agents_fork_parent();
    chr_bell_fork_parent();
    pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
    chr_platform_fork_child();
    chr_agents_fork_child();
    chr_bell_fork_child();
    chr_word_fork_child();
    chr_maps_fork_child();
    for (chr_publisher *p = publishers; p != NULL; p = p->next_open) {
        p->forked = 1;
        p->hot.end = 0;
        p->hot.reserved = 0;
        p->prepare.run = p->clean.run = NULL;
        pthread_mutex_init(&p->making, NULL);
        pthread_mutex_init(&p->cleaning, NULL);
    }
    for (chr_subscriber *s = subscribers; s != NULL; s = s->next_open) {
        s->forked = 1;
        s->hot.beat_cycles = 0;
        s->prepare.run = NULL;
        pthread_mutex_init(&s->making, NULL);
    }
    pthread_mutex_init(&lock, NULL);
}

static void install(void) { pthread_atfork(before, in_parent, in_child); }

void chr_fork_add_publisher(chr_publisher *p)
{
    pthread_once(&once, install);
    pthread_mutex_lock(&lock);
    p->next_open = publishers;
    publishers = p;
    pthread_mutex_unlock(&lock);
}

void chr_fork_remove_publisher(chr_publisher *p)
{
    pthread_mutex_lock(&lock);
    for (chr_publisher **at = &publishers; *at != NULL; at = &(*at)->next_open)
        if (*at == p) {
            *at = p->next_open;
            break;
        }
    pthread_mutex_unlock(&lock);
}

void chr_fork_add_subscriber(chr_subscriber *s)
{
    pthread_once(&once, install);
    pthread_mutex_lock(&lock);
    s->next_open = subscribers;
    subscribers = s;
    pthread_mutex_unlock(&lock);
}

void chr_fork_remove_subscriber(chr_subscriber *s)
{
    pthread_mutex_lock(&lock);
    for (chr_subscriber **at = &subscribers; *at != NULL; at = &(*at)->next_open)
        if (*at == s) {
            *at = s->next_open;
            break;
        }
    pthread_mutex_unlock(&lock);
}
