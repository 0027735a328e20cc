/* quarantine.json: a line for every place where recovery found what should not be there. For people: no part of the queue reads it, what it tells stands in
 * the segments too. A place is listed once, the list is replaced as a whole.
 */
#include "chr_core.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LARGEST = 64 << 20, ROOM = 512 }; /* bytes: half a million entries, what is larger is no list of ours; of one entry */

/* What stands in quarantine.json with room for one entry more, to be freed; empty if it cannot be read. NULL: no memory. */
static char *listed_before(const char *path, size_t *size)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool is_list = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= LARGEST;
    char *text = malloc((is_list ? (size_t)st.st_size : 0) + ROOM);
    ssize_t n = text != NULL && is_list ? pread(fd, text, (size_t)st.st_size, 0) : 0;
    if (fd >= 0)
        close(fd);
    *size = n > 0 ? (size_t)n : 0;
    if (text != NULL)
        text[*size] = 0;
    return text;
}

int chr_quarantine_list(const char *dir, const chr_tail *tail, const char *reason, chr_error *e)
{
    char path[640], line[256];
    size_t n;
    chr_join(path, sizeof path, dir, "quarantine.json");
    char *text = listed_before(path, &n);
    if (text == NULL)
        return chr_fail_sys(e, path, "malloc", ROOM);
    int rc = 0; /* listed by a recovery that was cut off, or before another boot */
    snprintf(line, sizeof line, "{\"segment\": %llu, \"offset\": %llu, ", (unsigned long long)tail->number, (unsigned long long)tail->offset);
    if (strstr(text, line) == NULL) {
        while (n > 0 && text[n - 1] != '}')
            n--; /* drop "]" and what follows the last entry */
        snprintf(line, sizeof line, "{\"segment\": %llu, \"offset\": %llu, \"seq\": %llu, \"reason\": \"%s\", \"found_ns\": %lld}",
                 (unsigned long long)tail->number, (unsigned long long)tail->offset, (unsigned long long)tail->seq, reason,
                 (long long)chr_realtime_ns());
        snprintf(text + n, ROOM, "%s%s\n]\n", n > 0 ? ",\n " : "[\n ", line);
        rc = chr_replace_text(dir, "quarantine.json", 0640, text, e);
    }
    free(text);
    return rc;
}
