/* What the core wants of a host beyond POSIX.1-2008. Nothing outside platform_*.c knows which host it runs on.
 *
 *                        platform_linux.c                     platform_portable.c: macOS, BSD, and Linux with -DCHR_PORTABLE
 *   sleep on a word      futex, futex_waitv                   between processes: looks each millisecond; within one: a condition variable
 *   ownership            OFD lock                             flock, which lives as long; a probe takes a shared one for an instant
 *   space                fallocate                            F_PREALLOCATE, else zeros are written
 *   prefault             MADV_POPULATE_*                      one read per page
 *   children             MADV_DONTFORK                        minherit, else the fork handler alone
 *   who else has a file  a write lease                        not told: somebody may
 *   bell                 eventfd                              pipe
 *   medium               fdatasync                            F_FULLFSYNC, else fsync
 *   boot                 /proc/sys/kernel/random/boot_id      kern.bootsessionuuid
 *   start of a process   /proc/<pid>/stat                     not told: 0
 */
#ifndef CHR_PLATFORM_H
#define CHR_PLATFORM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#if !defined(__linux__) && !defined(CHR_PORTABLE)
#define CHR_PORTABLE 1
#endif

/* Can a process be woken through a word it shares with another? If not, readers never ask for it and poll each CHR_POLL_NS. */
#ifdef CHR_PORTABLE
#define CHR_SHARED_WORDS 0
#else
#define CHR_SHARED_WORDS 1
#endif
#define CHR_POLL_NS 1000000ll

#ifdef __linux__
#define CHR_MAP_PRIVATE_ZERO (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)
#else
#define CHR_MAP_PRIVATE_ZERO (MAP_PRIVATE | MAP_ANONYMOUS)
#endif

#ifdef __APPLE__
#define CHR_MTIME(st) ((st).st_mtimespec)
#else
#define CHR_MTIME(st) ((st).st_mtim)
#endif

/* Sleeps at most `ns` while `*own == own_value` (a word of this process, NULL = none) and each `*words[i] == values[i]` (words in files). Returns early at will:
 * the caller looks again. 0, or -EINTR when a signal came. */
int chr_words_wait(uint32_t *own, uint32_t own_value, uint32_t *const *words, const uint32_t *values, int count, int64_t ns);
void chr_word_wake_own(uint32_t *word);
void chr_word_wake_all(uint32_t *word);

void chr_thread_begin(const char *name); /* names the calling thread, and leaves the core its creator is pinned to */

/* Ownership: one exclusive lock per open file description, gone with its last descriptor however the process ends. */
int chr_lock_exclusive(int fd);     /* 0 held, 1 another has it, < 0 errno */
void chr_unlock(int fd);            /* said aloud at close: a child forked a moment ago may still hold a copy of the descriptor */
int chr_lock_probe(int fd);         /* 1 held by an owner, 0 by none: a shared lock, which whoever may read could take, is none */

int chr_reserve_space(int fd, uint64_t size); /* 0 or errno. What is there stays, the file never gets shorter. Blocks that are really there: a full disk is an error now, never a SIGBUS later */
int chr_sync_data(int fd);
int chr_prefault(void *at, uint64_t size, bool write); /* 0 or errno; EINVAL: this host has no such call */
void chr_keep_from_children(void *at, uint64_t size);

bool chr_in_memory(int fd);         /* its file system keeps it in memory alone */

/* 0: nobody else has the file open or mapped, by no other descriptor of any process; till chr_alone_end who opens it waits, or with O_NONBLOCK gets
 * EWOULDBLOCK. Else an errno, and nothing is held. Called by an agent: a signal that the kernel sends for who waits stays blocked there. */
int chr_alone_begin(int fd);
bool chr_alone_end(int fd); /* was that so until now? */

/* A descriptor that polls readable once rung. */
int chr_bell_open(int fds[2]);      /* [0] to poll and clear, [1] to ring; the same one where it can. < 0: errno */
void chr_bell_ring(int fd);
void chr_bell_clear(int fd);
void chr_bell_close(const int fds[2]);

void chr_platform_boot_id(uint8_t out[16]); /* all zero: not known */
void chr_host_id(uint8_t out[16]);
uint64_t chr_start_time(pid_t pid); /* clock ticks since boot; 0: there is no such process, or the host does not tell */

void chr_read_uuid(const char *path, uint8_t out[16]); /* of files.c: the first 32 hexadecimal digits of a file, zeros if there is none */

void chr_platform_fork_prepare(void);
void chr_platform_fork_parent(void);
void chr_platform_fork_child(void);

/* What works for files such as `fd` (empty, open for writing): 0 or errno each. */
typedef struct {
    int32_t reserve, prefault, lock, shared_words, many_words;
} chr_platform_facts;

void chr_platform_probe(int fd, chr_platform_facts *out);

#endif
