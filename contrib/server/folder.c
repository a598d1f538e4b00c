/*  folder - where a server keeps its data. The contract is in folder.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
folder_default (char folder[FOLDER_MAX], const char *given)
{
    const char *state = getenv ("XDG_STATE_HOME"), *home = getenv ("HOME");
    int size;
    if (given)
        size = snprintf (folder, FOLDER_MAX, "%s", given);
    else if (state && *state == '/')
        size = snprintf (folder, FOLDER_MAX, "%s/zibrato", state);
    else if (geteuid () == 0)
        size = snprintf (folder, FOLDER_MAX, "/var/lib/zibrato");
    else if (home && *home)
        size = snprintf (folder, FOLDER_MAX, "%s/.local/state/zibrato", home);
    else
        return -1;
    return size > 0 && size < FOLDER_MAX ? 0 : -1;
}

int
folder_make_all (const char *folder)
{
    char path[FOLDER_MAX];
    struct stat status;
    snprintf (path, sizeof path, "%s", folder);
    for (char *at = path + 1; *at; at++)
        if (*at == '/') {
            *at = 0;
            if (mkdir (path, 0755) == -1 && errno != EEXIST)
                return -1;
            *at = '/';
        }
    if (mkdir (path, 0700) == 0)
        return 0;
    if (errno != EEXIST || stat (path, &status) == -1)
        return -1;
    errno = ENOTDIR;
    return S_ISDIR (status.st_mode) ? 0 : -1;
}
