/* The only place where shared memory is touched with an ordering: a few verbs, each named for what it promises.
 *
 * Everything two processes share (commit words, head, marks, futex word, reader slots) goes through these; a plain load or
 * store elsewhere means that the datum has one owner. All are lock-free on every target, which is asserted below, since a
 * lock hidden in libatomic would live in one process only.
 *
 * Why it is enough
 *
 *   payload, header     plain stores of the one writer, before the release store of the commit word. A reader looks at no byte of a frame before its acquire load
 *                       of that word has found it committed, so it sees all of them. The checksum is against disks and strangers, not against this.
 *   last_ts, next_seq,  release stores, in this order, after the commit. Who has loaded `head` (acquire) and finds no frame there knows next_seq to be that
 *   head                of the frame to come; finding one, it takes the seq from the frame. No two of them need to be read in one piece.
 *   next segment        its header is written before the padding's commit word (release), and only who has seen the padding goes there. The prepare thread
 *                       may open it earlier and see half a header: the checksum refuses it, and it looks again.
 *   oldest_seq, oldest  release stores before the files are unlinked: who misses a file loads `oldest` (acquire) and finds out why.
 *   epoch               one writer at a time (the kernel's lock); relaxed, for a fenced writer may notice one append late and no later.
 *   reader slots        written by one process, read by others with pread; a torn one fails its checksum and the other slot counts.
 *   seal, index         written once, read with their checksum; readers lean on frames, never on these alone.
 *
 *   commit word and     the one place where release and acquire are not enough: each side stores one word and then loads the other's, and at least one of the
 *   futex word          two must see the other's store. Both have a full fence between (chr_fence). The fences have an order. Writer's first: the reader's
 *                       second look, behind its fence, finds the commit and it does not sleep. Reader's first: the writer's load, behind its fence, finds
 *                       the bit, or a later value of the word: another reader's bit, or the writer's own fetch_add after this bit, which has changed
 *                       the generation, so that futex_wait(word, w) refuses. The kernel compares and queues under the same lock that a wake takes, so a
 *                       fetch_add comes before the comparison (refused) or its wake after the queueing (woken). tests/proof/test_wait_protocol.py walks
 *                       through every interleaving of this, and shows that either fence left out, or a bit without a generation, loses a wake-up.
 *                       2^31 appends that each wake somebody, between a reader's fetch_or and its futex_wait, would bring the old word back.
 *
 * ThreadSanitizer does not model fences. It need not: nothing but the question "who sleeps" hangs on them, and no plain access is ordered by one.
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
