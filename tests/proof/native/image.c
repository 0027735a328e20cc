/* See image.h. Two passes over the trace: what was synced last, then what of the rest is there. */
#include "image.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512u
#define PAGE_SECTORS 8u
#define IMAGE_FILES 8192u
#define IMAGE_NAMES 4096

typedef struct {
    uint64_t synced, size, room;
    uint8_t *bytes;
    char first[256];   /* where it was written, for a second name */
    bool small;        /* control, notify and reader pages */
} image_file;

typedef struct {
    char name[256];
    uint32_t file; /* 0 = a directory */
} image_name;

typedef struct {
    char name[256];
    uint64_t synced;
} image_dir;

static image_file *file_at;
static image_name names[IMAGE_NAMES];
static image_dir dirs[16];
static int names_count, dirs_count;
static uint64_t image_seed, image_cut;
static image_mode mode;
static bool by_subset, sizes_may_lack;

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t z = image_seed ^ (a * 0x9E3779B97F4A7C15ull) ^ (b * 0xC2B2AE3D27D4EB4Full);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}

static uint64_t between(uint64_t from, uint64_t to, uint64_t random) { return from + random % (to - from + 1); }

/* ---------------------------------------------------------------- directories */

static void parent_of(const char *name, char out[256])
{
    const char *slash = strrchr(name, '/');
    snprintf(out, 256, "%.*s", slash ? (int)(slash - name) : 0, name);
}

static image_dir *dir_named(const char *name)
{
    for (int i = 0; i < dirs_count; i++)
        if (strcmp(dirs[i].name, name) == 0)
            return &dirs[i];
    if (dirs_count == 16)
        abort();
    snprintf(dirs[dirs_count].name, 256, "%s", name);
    dirs[dirs_count].synced = 0;
    return &dirs[dirs_count++];
}

/* Is this change of a directory on the disk? */
static bool kept(const step_event *e, const char *name)
{
    char parent[256];
    parent_of(name, parent);
    const image_dir *dir = dir_named(parent);
    if (e->at <= dir->synced || mode == IMAGE_WHOLE)
        return true;
    if (mode == IMAGE_SYNCED)
        return false;
    if (by_subset)
        return mix(e->at, 77) & 1;
    return e->at <= between(dir->synced, image_cut, mix((uint64_t)(dir - dirs), 99));
}

static int find(const char *name)
{
    for (int i = 0; i < names_count; i++)
        if (strcmp(names[i].name, name) == 0)
            return i;
    return -1;
}

static void set_name(const char *name, uint32_t file)
{
    int i = find(name);
    if (i < 0) {
        if (names_count == IMAGE_NAMES)
            abort();
        i = names_count++;
        snprintf(names[i].name, 256, "%s", name);
    }
    names[i].file = file;
}

static void drop_name(const char *name)
{
    int i = find(name);
    if (i >= 0)
        memmove(&names[i], &names[i + 1], (size_t)(--names_count - i) * sizeof *names);
}

static void apply_name(const step_event *e)
{
    const char *name = (const char *)e->data, *second = name + strlen(name) + 1;
    if (!kept(e, e->kind == STEP_RENAME ? second : name))
        return;
    if (e->kind == STEP_UNLINK) {
        drop_name(name);
    } else if (e->kind == STEP_RENAME) {
        drop_name(name);
        set_name(second, e->file);
    } else {
        set_name(name, e->file);
    }
}

/* ---------------------------------------------------------------- bytes */

/* The moment whose bytes this sector holds. */
static uint64_t moment(uint32_t file, uint64_t sector)
{
    const image_file *f = &file_at[file];
    uint64_t page = sector / PAGE_SECTORS, random = mix(file * 1000003ull + page, 5);
    switch (mode) {
    case IMAGE_WHOLE: return image_cut;
    case IMAGE_SYNCED: return f->synced;
    case IMAGE_PAGES: return random & 1 ? f->synced : image_cut;
    case IMAGE_PAGES_BETWEEN: return between(f->synced, image_cut, random);
    case IMAGE_CONTROL_NEW: return f->small ? image_cut : between(f->synced, image_cut, random);
    case IMAGE_CONTROL_OLD: return f->small ? f->synced : between(image_cut - (image_cut - f->synced) / 4, image_cut, random);
    case IMAGE_ONE_PAGE: return random % 8 ? image_cut : f->synced;
    default: return between(f->synced, image_cut, mix(file * 1000003ull + sector, 7));
    }
}

static void make_room(image_file *f, uint64_t size)
{
    if (size > f->room) {
        f->bytes = realloc(f->bytes, size);
        if (f->bytes == NULL)
            abort();
        memset(f->bytes + f->room, 0, size - f->room);
        f->room = size;
    }
}

static void apply_store(const step_event *e)
{
    image_file *f = &file_at[e->file];
    for (uint64_t at = e->offset, end = e->offset + e->size, next; at < end; at = next) {
        next = (at / SECTOR + 1) * SECTOR < end ? (at / SECTOR + 1) * SECTOR : end;
        if (e->at > f->synced && e->at > moment(e->file, at / SECTOR))
            continue;
        make_room(f, next);
        memcpy(f->bytes + at, e->data + (at - e->offset), next - at);
        if (e->kind == STEP_WRITE && next > f->size)
            f->size = next;
    }
}

static void apply_size(const step_event *e)
{
    image_file *f = &file_at[e->file];
    if (e->at > f->synced && mode != IMAGE_WHOLE && sizes_may_lack && mix(e->file, 11) % 3 == 0)
        return;
    make_room(f, e->size);
    if (e->size > f->size)
        f->size = e->size;
}

/* ---------------------------------------------------------------- the image */

static void survey(void)
{
    char path[256];
    for (uint64_t i = 0; i < steps->events; i++) {
        const step_event *e = steps_event(i);
        if (e->at > image_cut)
            break;
        if (e->file >= IMAGE_FILES)
            abort();
        snprintf(path, sizeof path, "%s", (const char *)e->data);
        if (e->kind == STEP_SYNC)
            file_at[e->file].synced = e->at;
        else if (e->kind == STEP_SYNC_DIR)
            dir_named(path)->synced = e->at;
        if ((e->kind == STEP_CREATE || e->kind == STEP_LINK) && strstr(path, ".meta") != NULL)
            file_at[e->file].small = true;
    }
}

static void replay(void)
{
    for (uint64_t i = 0; i < steps->events; i++) {
        const step_event *e = steps_event(i);
        if (e->at > image_cut)
            break;
        switch (e->kind) {
        case STEP_STORE:
        case STEP_WRITE: apply_store(e); break;
        case STEP_SIZE: apply_size(e); break;
        case STEP_SYNC:
        case STEP_SYNC_DIR:
        case STEP_OTHER: break;
        default: apply_name(e);
        }
    }
}

static bool under_a_directory(const char *name)
{
    char parent[256];
    parent_of(name, parent);
    int i = find(parent);
    return parent[0] == 0 || (i >= 0 && names[i].file == 0 && under_a_directory(parent));
}

static void lay_down(const char *into)
{
    char path[1024];
    for (int pass = 0; pass < 2; pass++) /* directories first; the upper ones were named first */
        for (int i = 0; i < names_count; i++) {
            snprintf(path, sizeof path, "%s/%s", into, names[i].name);
            if ((names[i].file == 0) != (pass == 0) || !under_a_directory(names[i].name))
                continue;
            if (pass == 0) {
                mkdir(path, 0750);
                continue;
            }
            image_file *f = &file_at[names[i].file];
            if (f->first[0]) {
                char first[1024];
                snprintf(first, sizeof first, "%s/%s", into, f->first);
                if (link(first, path) != 0)
                    abort();
                continue;
            }
            snprintf(f->first, sizeof f->first, "%s", names[i].name);
            int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
            if (fd < 0 || write(fd, f->bytes, f->size) != (ssize_t)f->size)
                abort();
            close(fd);
        }
}

void image_write(const char *into, uint64_t seed, image_mode how, uint64_t cut)
{
    image_seed = seed;
    image_cut = cut;
    mode = how;
    by_subset = mix(1, 2) % 10 < 3;
    sizes_may_lack = mix(3, 4) % 10 < 3;
    names_count = dirs_count = 0;
    file_at = calloc(IMAGE_FILES, sizeof *file_at);
    if (file_at == NULL)
        abort();
    survey();
    replay();
    lay_down(into);
    for (uint32_t i = 0; i < IMAGE_FILES; i++)
        free(file_at[i].bytes);
    free(file_at);
}
