/* Files and errors: what every host does alike. */
#include "chr_core.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

int chr_fail(chr_error *e, int32_t code, const char *path, const char *reason, uint64_t a, uint64_t b, uint64_t c)
{
    e->code = code;
    e->sys = 0;
    e->a = a;
    e->b = b;
    e->c = c;
    if (path != e->path) /* an error told anew keeps its place */
        snprintf(e->path, sizeof e->path, "%s", path);
    if (reason != e->reason)
        snprintf(e->reason, sizeof e->reason, "%s", reason ? reason : "");
    return -1;
}

int chr_fail_sys(chr_error *e, const char *path, const char *what, uint64_t bytes)
{
    int sys = errno;
    int32_t code = CHR_E_HOST;
    if (sys == ENOSPC || sys == EDQUOT || sys == EFBIG)
        code = CHR_E_NO_SPACE;
    else if (sys == EACCES || sys == EPERM || sys == EROFS)
        code = CHR_E_PERMISSION;
    char reason[96];
    snprintf(reason, sizeof reason, "%s: %s", what, strerror(sys));
    chr_fail(e, code, path, reason, bytes, 0, 0);
    e->sys = sys;
    return -1;
}

bool chr_join(char *out, size_t size, const char *dir, const char *name)
{
    int n = snprintf(out, size, "%s/%s", dir, name);
    return n > 0 && (size_t)n < size;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

void chr_read_uuid(const char *path, uint8_t out[16])
{
    char text[64] = "";
    int n = 0;
    memset(out, 0, 16);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    for (ssize_t i = 0; i < got && n < 32; i++) {
        int v = hex_digit(text[i]);
        if (v < 0)
            continue;
        out[n / 2] = (uint8_t)(out[n / 2] << 4 | v);
        n++;
    }
}

/* CHRONICLE_BOOT_ID lets a test play a machine restart. */
void chr_boot_id(uint8_t out[16])
{
    const char *played = getenv("CHRONICLE_BOOT_ID");
    if (played != NULL && *played) {
        memset(out, 0, 16);
        memcpy(out, played, strnlen(played, 16));
        return;
    }
    chr_platform_boot_id(out);
}

uint64_t chr_random64(void)
{
    uint64_t v = 0;
    while (v == 0)
        if (getentropy(&v, sizeof v) != 0)
            v = (uint64_t)chr_realtime_ns() * 0x9E3779B97F4A7C15ull ^ (uint64_t)getpid();
    return v;
}

bool chr_same_file(int fd, const char *path)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int chr_sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int rc = fsync(fd);
    close(fd);
    return rc;
}

static int write_all(int fd, const void *data, size_t size)
{
    const char *p = data;
    while (size > 0) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

/* As leftovers.c knows them. */
void chr_temp_name(char *out, size_t size, const char *name)
{
    snprintf(out, size, "%s.tmp-%d-%llx", name, (int)getpid(), (unsigned long long)chr_random64());
}

int chr_write_temp(char *temp, size_t room, const char *dir, const char *name, mode_t mode, const void *data, size_t size, chr_error *e)
{
    char unique[160];
    chr_temp_name(unique, sizeof unique, name);
    chr_join(temp, room, dir, unique);
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return chr_fail_sys(e, temp, "create", size);
    int bad = fchmod(fd, mode) != 0 && errno != EPERM;
    bad = bad || write_all(fd, data, size) != 0 || chr_sync_data(fd) != 0;
    if (bad) {
        chr_fail_sys(e, temp, "write", size);
        close(fd);
        unlink(temp);
        return -1;
    }
    close(fd);
    return 0;
}

mode_t chr_file_mode(const char *dir)
{
    struct stat st;
    return stat(dir, &st) == 0 ? 0640 | (st.st_mode & (S_IWGRP | S_IROTH)) : 0640;
}

int chr_create_once(const char *dir, const char *name, mode_t mode, const void *data, size_t size, chr_error *e)
{
    char temp[640], path[640];
    chr_join(path, sizeof path, dir, name);
    if (access(path, F_OK) == 0)
        return 0;
    if (chr_write_temp(temp, sizeof temp, dir, name, mode, data, size, e) < 0)
        return -1;
    int made = link(temp, path) == 0;
    int sys = errno;
    unlink(temp);
    if (made) {
        chr_sync_dir(dir);
        return 1;
    }
    errno = sys;
    return sys == EEXIST ? 0 : chr_fail_sys(e, path, "link", size);
}

int chr_replace_text(const char *dir, const char *name, mode_t mode, const char *text, chr_error *e)
{
    return chr_replace_file(dir, name, mode, text, strlen(text), e);
}

int chr_replace_file(const char *dir, const char *name, mode_t mode, const void *data, size_t size, chr_error *e)
{
    char temp[640], path[640];
    chr_join(path, sizeof path, dir, name);
    if (chr_write_temp(temp, sizeof temp, dir, name, mode, data, size, e) < 0)
        return -1;
    if (rename(temp, path) == 0)
        return 0;
    chr_fail_sys(e, path, "rename", 0);
    unlink(temp);
    return -1;
}

uint64_t chr_segment_number(const char *name)
{
    if (strspn(name, "0123456789") != 9 || strcmp(name + 9, ".q") != 0)
        return UINT64_MAX;
    return strtoull(name, NULL, 10);
}

int chr_segment_range(const char *dir, uint64_t *lowest, uint64_t *highest)
{
    int found = 0;
    DIR *d = opendir(dir);
    if (d == NULL)
        return 0;
    for (struct dirent *entry = readdir(d); entry != NULL; entry = readdir(d)) {
        uint64_t n = chr_segment_number(entry->d_name);
        if (n == UINT64_MAX)
            continue;
        *lowest = found && *lowest < n ? *lowest : n;
        *highest = found && *highest > n ? *highest : n;
        found = 1;
    }
    closedir(d);
    return found;
}

uint64_t chr_segment_after(const char *dir, uint64_t number)
{
    uint64_t next = UINT64_MAX;
    DIR *d = opendir(dir);
    for (struct dirent *entry = d ? readdir(d) : NULL; entry != NULL; entry = readdir(d)) {
        uint64_t n = chr_segment_number(entry->d_name);
        if (n > number && n < next)
            next = n;
    }
    if (d != NULL)
        closedir(d);
    return next;
}
