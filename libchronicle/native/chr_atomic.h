/* The only place where shared memory is touched with an ordering: a few verbs, each named for what it promises.
 *
 * Everything two processes share (commit words, head, marks, futex word, reader slots) goes through these; a plain load or
 * store elsewhere means that the datum has one owner. All are lock-free on every target, which is asserted below, since a
 * lock hidden in libatomic would live in one process only.
 */
#ifndef CHR_ATOMIC_H
#define CHR_ATOMIC_H

#include <stdint.h>

#define CHR_LIKELY(x) __builtin_expect(!!(x), 1)
#define CHR_UNLIKELY(x) __builtin_expect(!!(x), 0)

_Static_assert(__atomic_always_lock_free(8, 0), "64-bit atomics must be lock-free");

/* See everything its writer did before the matching release. */
static inline uint32_t chr_load_acquire32(const uint32_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline uint64_t chr_load_acquire64(const uint64_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }

/* Just not torn. */
static inline uint32_t chr_load_relaxed32(const uint32_t *p) { return __atomic_load_n(p, __ATOMIC_RELAXED); }
static inline uint64_t chr_load_relaxed64(const uint64_t *p) { return __atomic_load_n(p, __ATOMIC_RELAXED); }
static inline void chr_store_relaxed32(uint32_t *p, uint32_t v) { __atomic_store_n(p, v, __ATOMIC_RELAXED); }
static inline void chr_store_relaxed64(uint64_t *p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELAXED); }

/* Publish everything done before. */
static inline void chr_store_release32(uint32_t *p, uint32_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
static inline void chr_store_release64(uint64_t *p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }

static inline uint32_t chr_fetch_or32(uint32_t *p, uint32_t v) { return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST); }
static inline uint32_t chr_fetch_add32(uint32_t *p, uint32_t v) { return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST); }
static inline uint64_t chr_fetch_add64(uint64_t *p, uint64_t v) { return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST); }

/* Store, then load of another word: neither may pass the other. On x86 a locked no-op on the stack costs half an mfence. */
static inline void chr_fence(void)
{
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
    __asm__ __volatile__("lock; orl $0, -8(%%rsp)" ::: "memory", "cc");
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/* Tell the core that this is a spin. */
static inline void chr_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield" ::: "memory");
#endif
}

#endif
