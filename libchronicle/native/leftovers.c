/* Files that a killed process left under temporary names: `<name>.tmp-<pid>-<random>`, beside the name they were meant for.
 *
 * Swept when a writer opens. What only the holder of the lock makes (segments, indexes, texts) is nobody's now. The pages that are made without
 * the lock (control, notify, readers) may be somebody's this moment: they go when the process that made them is gone. A prepared segment is as large as
 * any other, and a second name of a published one would keep its space after retention has unlinked the first, so this is no mere tidiness.
 */
#include "chr_core.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool begins(const char *name, const char *with) { return strncmp(name, with, strlen(with)) == 0; }

static bool maker_lives(const char *after_tag)
{
    long pid = strtol(after_tag, NULL, 10);
    return pid > 0 && (kill((pid_t)pid, 0) == 0 || errno != ESRCH);
}

static void sweep(const char *dir, bool readers)
{
    static const char tag[] = ".tmp-";
    char path[1024];
    DIR *d = opendir(dir);
    for (struct dirent *entry = d ? readdir(d) : NULL; entry != NULL; entry = readdir(d)) {
        const char *at = strstr(entry->d_name, tag);
        if (at == NULL)
            continue;
        bool unlocked = readers || begins(entry->d_name, "control.meta") || begins(entry->d_name, "notify.meta");
        if (unlocked && maker_lives(at + strlen(tag)))
            continue;
        if (chr_join(path, sizeof path, dir, entry->d_name))
            unlink(path);
    }
    if (d)
        closedir(d);
}

void chr_sweep_leftovers(const char *dir)
{
    char readers[640];
    sweep(dir, false);
    if (chr_join(readers, sizeof readers, dir, "readers"))
        sweep(readers, true);
}
