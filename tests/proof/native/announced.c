/* What -fsanitize=thread announces: the runtime's functions, answered by counting. Compiled without that flag itself. */
#include "steps.h"

#include <string.h>

void *steps_memcpy(void *to, const void *from, size_t size);
void *steps_memset(void *to, int value, size_t size);

#define HERE __builtin_return_address(0)

void __tsan_init(void) {}
void __tsan_func_entry(void *caller) { (void)caller; }
void __tsan_func_exit(void) {}
#define ANNOUNCED(n)                                                                 \
    void __tsan_read##n(void *at) { (void)at; }                                      \
    void __tsan_unaligned_read##n(void *at) { (void)at; }                            \
    void __tsan_write##n(void *at) { steps_store(at, n, HERE); }                    \
    void __tsan_unaligned_write##n(void *at) { steps_store(at, n, HERE); }
ANNOUNCED(1)
ANNOUNCED(2)
ANNOUNCED(4)
ANNOUNCED(8)
ANNOUNCED(16)
void __tsan_read_range(void *at, size_t size) { (void)at, (void)size; }
void __tsan_write_range(void *at, size_t size) { steps_store(at, size, HERE); }

#define ATOMICS(bits, type)                                                                                                   \
    type __tsan_atomic##bits##_load(const volatile type *at, int order) { (void)order; return __atomic_load_n(at, 5); }        \
    void __tsan_atomic##bits##_store(volatile type *at, type v, int order)                                                     \
    {                                                                                                                          \
        (void)order;                                                                                                           \
        steps_store((void *)at, sizeof v, HERE);                                                                              \
        __atomic_store_n(at, v, 5);                                                                                            \
    }                                                                                                                          \
    type __tsan_atomic##bits##_exchange(volatile type *at, type v, int order)                                                  \
    {                                                                                                                          \
        (void)order;                                                                                                           \
        steps_store((void *)at, sizeof v, HERE);                                                                              \
        return __atomic_exchange_n(at, v, 5);                                                                                  \
    }                                                                                                                          \
    type __tsan_atomic##bits##_fetch_add(volatile type *at, type v, int order)                                                 \
    {                                                                                                                          \
        (void)order;                                                                                                           \
        steps_store((void *)at, sizeof v, HERE);                                                                              \
        return __atomic_fetch_add(at, v, 5);                                                                                   \
    }                                                                                                                          \
    type __tsan_atomic##bits##_fetch_sub(volatile type *at, type v, int order)                                                 \
    {                                                                                                                          \
        (void)order;                                                                                                           \
        steps_store((void *)at, sizeof v, HERE);                                                                              \
        return __atomic_fetch_sub(at, v, 5);                                                                                   \
    }                                                                                                                          \
    type __tsan_atomic##bits##_fetch_and(volatile type *at, type v, int order)                                                 \
    {                                                                                                                          \
        (void)order;                                                                                                           \
        steps_store((void *)at, sizeof v, HERE);                                                                              \
        return __atomic_fetch_and(at, v, 5);                                                                                   \
    }                                                                                                                          \
    type __tsan_atomic##bits##_fetch_or(volatile type *at, type v, int order)                                                  \
    {                                                                                                                          \
        (void)order;                                                                                                           \
        steps_store((void *)at, sizeof v, HERE);                                                                              \
        return __atomic_fetch_or(at, v, 5);                                                                                    \
    }                                                                                                                          \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile type *at, type *was, type v, int yes, int no)                   \
    {                                                                                                                          \
        (void)yes, (void)no;                                                                                                   \
        steps_store((void *)at, sizeof v, HERE);                                                                              \
        return __atomic_compare_exchange_n(at, was, v, 0, 5, 5);                                                               \
    }                                                                                                                          \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile type *at, type *was, type v, int yes, int no)                     \
    {                                                                                                                          \
        return __tsan_atomic##bits##_compare_exchange_strong(at, was, v, yes, no);                                             \
    }
ATOMICS(8, uint8_t)
ATOMICS(16, uint16_t)
ATOMICS(32, uint32_t)
ATOMICS(64, uint64_t)
void __tsan_atomic_signal_fence(int order) { (void)order; __atomic_signal_fence(5); }
void __tsan_atomic_thread_fence(int order) { (void)order; __atomic_thread_fence(5); }

/* Word by word, as the processor may be stopped between two of them. */
void *steps_memcpy(void *to, const void *from, size_t size)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    if (!steps_mapped(to))
        return memcpy(to, from, size);
    while (size > 0) {
        size_t n = size < 8 ? size : 8;
        steps_store(t, n, HERE);
        memcpy(t, f, n);
        t += n, f += n, size -= n;
    }
    return to;
}

void *steps_memset(void *to, int value, size_t size)
{
    uint8_t *t = to;
    if (!steps_mapped(to))
        return memset(to, value, size);
    while (size > 0) {
        size_t n = size < 8 ? size : 8;
        steps_store(t, n, HERE);
        memset(t, value, n);
        t += n, size -= n;
    }
    return to;
}
