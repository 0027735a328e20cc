/* The TSC clock's slow half: calibration. The rules stand in chr_clock.h. */
#include "chr_core.h"

#include <stdio.h>
#include <string.h>

#define CHR_SECOND 1000000000ll

int64_t chr_realtime_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * CHR_SECOND + t.tv_nsec;
}

int64_t chr_monotonic_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * CHR_SECOND + t.tv_nsec;
}

/* One reading of both clocks at the same moment: the tightest of a few tries, so that a preemption between the two does not show. */
static void read_both(uint64_t *cycles, int64_t *ns)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 5; i++) {
        uint64_t before = chr_cycles();
        int64_t now = chr_realtime_ns();
        uint64_t after = chr_cycles();
        if (after - before < best) {
            best = after - before;
            *cycles = before + (after - before) / 2;
            *ns = now;
        }
    }
}

static int64_t refresh_tsc(chr_clock *clock)
{
    uint64_t cycles = 0;
    int64_t ns = 0;
    read_both(&cycles, &ns);
    int64_t expected = clock->base_ns + (int64_t)(((unsigned __int128)(cycles - clock->base_tsc) * clock->factor) >> 32);
    int64_t off = ns - expected;
    uint64_t run = cycles - clock->origin_tsc;
    if (off > 1000000 || off < -1000000 || ns <= clock->origin_ns) {
        /* The system clock was stepped, or the rate is wrong: take the new time and measure the rate anew, soon. */
        clock->origin_tsc = cycles;
        clock->origin_ns = ns;
        run = 0;
    } else {
        clock->factor = (uint64_t)(((unsigned __int128)(uint64_t)(ns - clock->origin_ns) << 32) / run);
        if (ns - clock->origin_ns > 10 * CHR_SECOND) { /* a moving baseline follows the slewing of NTP */
            clock->origin_tsc = cycles;
            clock->origin_ns = ns;
        }
    }
    clock->base_tsc = cycles;
    clock->base_ns = ns;
    uint64_t second = ((uint64_t)CHR_SECOND << 32) / clock->factor;
    uint64_t shortest = second / 256;
    clock->window = run < shortest ? shortest : run < second ? run : second; /* short steps while the factor is young */
    return ns;
}

static int64_t refresh_system(chr_clock *clock)
{
    (void)clock;
    return chr_realtime_ns();
}

/* Invariant: ticks at one rate in every power state and on every core, and the kernel itself trusts it. */
bool chr_clock_tsc_usable(void)
{
#if defined(__x86_64__)
    char name[32] = "";
    FILE *f = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
    if (f == NULL)
        return false;
    size_t n = fread(name, 1, sizeof name - 1, f);
    fclose(f);
    name[n] = 0;
    if (strncmp(name, "tsc", 3) != 0 && strncmp(name, "kvm-clock", 9) != 0)
        return false;
    uint32_t eax = 0x80000007u, ebx, ecx, edx;
    __asm__ __volatile__("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
    return (edx >> 8) & 1;
#elif defined(__aarch64__)
    return true;
#else
    return false;
#endif
}

/* Calibrated once per process; each copy then goes its own way. */
static chr_clock seed_clock;
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;
static int seed_usable;

static void make_seed(void)
{
    seed_usable = chr_clock_tsc_usable();
    if (!seed_usable)
        return;
    chr_clock *c = &seed_clock;
    read_both(&c->origin_tsc, &c->origin_ns);
    struct timespec pause = {0, 4000000};
    while (nanosleep(&pause, &pause) != 0)
        ;
    c->refresh = refresh_tsc;
    c->base_tsc = c->origin_tsc;
    c->base_ns = c->origin_ns;
    c->factor = 1ull << 31;
    uint64_t cycles = 0;
    int64_t ns = 0;
    read_both(&cycles, &ns);
    c->factor = (uint64_t)(((unsigned __int128)(uint64_t)(ns - c->origin_ns) << 32) / (cycles - c->origin_tsc));
    c->base_tsc = cycles;
    c->base_ns = ns;
    c->window = cycles - c->origin_tsc;
}

void chr_clock_init(chr_clock *clock, bool tsc)
{
    memset(clock, 0, sizeof *clock);
    clock->refresh = refresh_system;
    if (!tsc)
        return;
    pthread_once(&seed_once, make_seed);
    if (seed_usable)
        *clock = seed_clock;
}
