/* Two native threads serve all queues of a process: prepare and clean. They never take the GIL.
 *
 * A handle puts a task on an agent's list. The agent runs tasks that were asked for (`wanted`) or whose time has come (`due_ns`), then sleeps on
 * its futex word. While a task runs it is `busy` and off limits to chr_task_remove, which waits; the list lock is never held during work, so a slow disk
 * under one queue does not stop another from being opened. Threads start with the first task and block every signal.
 */
#include "chr_core.h"

#include <signal.h>
#include <string.h>

#define CHR_IDLE_NS 1000000000ll

typedef struct {
    const char *name;
    pthread_mutex_t lock;
    pthread_cond_t done;
    chr_task *tasks;
    uint32_t word;
    int started;
} chr_agent;

static chr_agent agents[CHR_AGENTS] = {
    {.name = "chr-prepare", .lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER},
    {.name = "chr-clean", .lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER},
};

static chr_task *pick(chr_agent *agent, int64_t now, int64_t *sleep_ns)
{
    for (chr_task *t = agent->tasks; t != NULL; t = t->next) {
        bool asked = __atomic_exchange_n(&t->wanted, 0, __ATOMIC_ACQUIRE);
        if (asked || t->due_ns <= now)
            return t;
        if (t->due_ns - now < *sleep_ns)
            *sleep_ns = t->due_ns - now;
    }
    return NULL;
}

/* Behind all others, so that a queue that always has something to do does not keep the rest waiting. */
static void to_the_end(chr_agent *agent, chr_task *task)
{
    chr_task **at = &agent->tasks;
    while (*at != task)
        at = &(*at)->next;
    for (*at = task->next; *at != NULL; at = &(*at)->next)
        ;
    *at = task;
    task->next = NULL;
}

static void run_one(chr_agent *agent, chr_task *task)
{
    task->busy = 1;
    pthread_mutex_unlock(&agent->lock);
    int64_t again = task->run(task->owner);
    pthread_mutex_lock(&agent->lock);
    task->busy = 0;
    to_the_end(agent, task);
    task->due_ns = again < 0 ? INT64_MAX : chr_monotonic_ns() + again;
    pthread_cond_broadcast(&agent->done);
}

static void *agent_loop(void *argument)
{
    chr_agent *agent = argument;
    chr_thread_begin(agent->name);
    for (;;) {
        uint32_t seen = chr_load_acquire32(&agent->word);
        int64_t sleep_ns = CHR_IDLE_NS;
        pthread_mutex_lock(&agent->lock);
        chr_task *task = pick(agent, chr_monotonic_ns(), &sleep_ns);
        if (task != NULL)
            run_one(agent, task);
        pthread_mutex_unlock(&agent->lock);
        if (agent == &agents[CHR_AGENT_CLEAN])
            chr_map_collect();
        else if (task != NULL && chr_map_waits())
            chr_agent_wake(CHR_AGENT_CLEAN); /* a reader that crosses leaves a segment: while it maps that, its writer cannot use it again */
        if (task != NULL)
            continue;
        chr_words_wait(&agent->word, seen, NULL, NULL, 0, sleep_ns);
    }
    return NULL;
}

static void start_thread(chr_agent *agent)
{
    sigset_t all, kept;
    pthread_t thread;
    pthread_attr_t attributes;
    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGSEGV);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 512 << 10);
    pthread_sigmask(SIG_SETMASK, &all, &kept);
    agent->started = pthread_create(&thread, &attributes, agent_loop, agent) == 0;
    pthread_sigmask(SIG_SETMASK, &kept, NULL);
    pthread_attr_destroy(&attributes);
}

void chr_task_add(chr_agent_kind kind, chr_task *task, int64_t (*run)(void *), void *owner)
{
    chr_agent *agent = &agents[kind];
    task->run = run;
    task->owner = owner;
    task->wanted = 0;
    task->busy = 0;
    task->due_ns = kind == CHR_AGENT_CLEAN ? 0 : INT64_MAX; /* clean looks once: there may be work left by a crash */
    pthread_mutex_lock(&agent->lock);
    task->next = agent->tasks;
    agent->tasks = task;
    if (!agent->started)
        start_thread(agent);
    pthread_mutex_unlock(&agent->lock);
    if (kind == CHR_AGENT_CLEAN)
        chr_task_want(kind, task);
}

void chr_agent_ensure(chr_agent_kind kind)
{
    pthread_mutex_lock(&agents[kind].lock);
    if (!agents[kind].started)
        start_thread(&agents[kind]);
    pthread_mutex_unlock(&agents[kind].lock);
}

void chr_task_remove(chr_agent_kind kind, chr_task *task)
{
    chr_agent *agent = &agents[kind];
    if (task->run == NULL)
        return;
    pthread_mutex_lock(&agent->lock);
    while (task->busy)
        pthread_cond_wait(&agent->done, &agent->lock);
    for (chr_task **at = &agent->tasks; *at != NULL; at = &(*at)->next)
        if (*at == task) {
            *at = task->next;
            break;
        }
    pthread_mutex_unlock(&agent->lock);
    task->run = NULL;
}

void chr_task_note(chr_task *task) { chr_store_release32(&task->wanted, 1); }

void chr_task_want(chr_agent_kind kind, chr_task *task)
{
    chr_store_release32(&task->wanted, 1);
    chr_agent_wake(kind);
}

void chr_agent_wake(chr_agent_kind kind)
{
    chr_fetch_add32(&agents[kind].word, 1);
    chr_word_wake_own(&agents[kind].word);
}

/* ---------------------------------------------------------------- fork: a child has no agents until it opens a queue of its own */

void chr_agents_fork_prepare(void)
{
    for (int i = 0; i < CHR_AGENTS; i++)
        pthread_mutex_lock(&agents[i].lock);
}

void chr_agents_fork_parent(void)
{
    for (int i = CHR_AGENTS - 1; i >= 0; i--)
        pthread_mutex_unlock(&agents[i].lock);
}

void chr_agents_fork_child(void)
{
    for (int i = 0; i < CHR_AGENTS; i++) {
        pthread_mutex_init(&agents[i].lock, NULL);
        pthread_cond_init(&agents[i].done, NULL);
        agents[i].tasks = NULL;
        agents[i].started = 0;
    }
}
