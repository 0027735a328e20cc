/* Every mapping of the core between two pages nobody may touch, and the rest of its last page poisoned: a read one byte beyond a file's end is a
 * report instead of a lucky zero. Linked with -Wl,--wrap=mmap,--wrap=munmap,--wrap=getrandom into the fuzz target.
 *
 * Random numbers are counted, so that an input finds the same queue in every run.
 */
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

#define PAGE 4096u

void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t size);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t size);
ssize_t __wrap_getrandom(void *to, size_t size, unsigned flags);

static size_t whole_pages(size_t size) { return (size + PAGE - 1) / PAGE * PAGE; }

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (flags & MAP_FIXED)
        return __real_mmap(at, size, protection, flags, fd, offset);
    size_t whole = whole_pages(size);
    uint8_t *room = __real_mmap(NULL, whole + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return MAP_FAILED;
    uint8_t *base = __real_mmap(room + PAGE, size, protection, flags | MAP_FIXED, fd, offset);
    if (base == MAP_FAILED) {
        __real_munmap(room, whole + 2 * PAGE);
        return MAP_FAILED;
    }
    ASAN_POISON_MEMORY_REGION(base + size, whole - size);
    return base;
}

int __wrap_munmap(void *at, size_t size)
{
    size_t whole = whole_pages(size);
    ASAN_UNPOISON_MEMORY_REGION((uint8_t *)at, whole);
    return __real_munmap((uint8_t *)at - PAGE, whole + 2 * PAGE);
}

ssize_t __wrap_getrandom(void *to, size_t size, unsigned flags)
{
    static uint64_t counted;
    uint8_t *p = to;
    (void)flags;
    for (size_t i = 0; i < size; i++)
        p[i] = (uint8_t)((++counted * 0x9E3779B97F4A7C15ull) >> 56);
    return (ssize_t)size;
}
