/* A deadline that begins with a signal and needs no interpreter to be kept.
 *
 * The interpreter looks at signals between its own instructions. A call into C that never comes back, and never asks, would keep a
 * process alive after SIGTERM for as long as it likes. So the handler that the interpreter installed is called through this one, which
 * first starts a timer of the kernel's; when that runs out the process gets SIGXCPU, whose default ends it.
 *
 * Everything in the handler is on POSIX's list of what a signal handler may call.
 */
#ifndef CHR_LASTRESORT_H
#define CHR_LASTRESORT_H

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#if defined(__linux__)

static timer_t chr_resort_timer;
static int chr_resort_made;
static volatile sig_atomic_t chr_resort_started;
static struct timespec chr_resort_after;
static struct sigaction chr_resort_before[NSIG];

static void chr_resort_handler(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    if (!chr_resort_started) { /* a second signal gives no more time */
        struct itimerspec in = {{0, 0}, chr_resort_after};
        chr_resort_started = 1;
        timer_settime(chr_resort_timer, 0, &in, NULL);
    }
    errno = saved;
    const struct sigaction *before = &chr_resort_before[number];
    if (before->sa_flags & SA_SIGINFO)
        before->sa_sigaction(number, info, context);
    else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN)
        before->sa_handler(number);
}

/* Before the present handler of `number`; 0 or an errno. */
static int chr_resort_arm(int number, long after_ms)
{
    struct sigevent event;
    struct sigaction action;
    if (!chr_resort_made) {
        memset(&event, 0, sizeof event);
        event.sigev_notify = SIGEV_SIGNAL;
        event.sigev_signo = SIGXCPU;
        if (timer_create(CLOCK_MONOTONIC, &event, &chr_resort_timer))
            return errno;
        chr_resort_made = 1;
    }
    chr_resort_started = 0;
    chr_resort_after.tv_sec = after_ms / 1000;
    chr_resort_after.tv_nsec = after_ms % 1000 * 1000000;
    if (sigaction(number, NULL, &action))
        return errno;
    if ((action.sa_flags & SA_SIGINFO) && action.sa_sigaction == chr_resort_handler)
        return 0;
    chr_resort_before[number] = action;
    action.sa_flags |= SA_SIGINFO;
    action.sa_sigaction = chr_resort_handler;
    return sigaction(number, &action, NULL) ? errno : 0;
}

/* The deadline is kept no more, until the next arm. */
static void chr_resort_disarm(void)
{
    struct itimerspec never = {{0, 0}, {0, 0}};
    chr_resort_started = 1;
    if (chr_resort_made)
        timer_settime(chr_resort_timer, 0, &never, NULL);
}

#else /* no POSIX timers: the supervisor's own patience is the last resort */

static int chr_resort_arm(int number, long after_ms)
{
    (void)number;
    (void)after_ms;
    return 0;
}

static void chr_resort_disarm(void) {}

#endif
#endif
