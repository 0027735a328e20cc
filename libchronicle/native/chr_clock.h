/* Nanoseconds since the Unix epoch, from the processor's time stamp counter where that is invariant.
 *
 * clock_gettime costs more than the whole rest of an append; a TSC read scaled by a factor costs a third of it. The factor is
 * set against CLOCK_REALTIME when the clock is made and again whenever `window` cycles have passed, so a step of the system
 * clock shows within a second. A chr_clock has one owner: it is copied into every writer, never shared between threads.
 */
#ifndef CHR_CLOCK_H
#define CHR_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "chr_atomic.h"

typedef struct chr_clock chr_clock;
struct chr_clock {
    uint64_t base_tsc, window;  /* window 0: every reading asks the system */
    int64_t base_ns;
    uint64_t factor;            /* ns per cycle, 32 fractional bits */
    int64_t (*refresh)(chr_clock *clock);
    uint64_t origin_tsc;        /* where the present factor's baseline began */
    int64_t origin_ns;
};

static inline uint64_t chr_cycles(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t v;
    __asm__ __volatile__("mrs %0, cntvct_el0" : "=r"(v));
    return v;
#else
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
#endif
}

static inline int64_t chr_now_ns(chr_clock *clock)
{
    uint64_t passed = chr_cycles() - clock->base_tsc;
    if (CHR_UNLIKELY(passed >= clock->window))
        return clock->refresh(clock);
    return clock->base_ns + (int64_t)((passed * clock->factor) >> 32);
}

#endif
