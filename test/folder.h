/*  folder.h - removes a folder of a test, with all that is in it

    Who includes it has defined _GNU_SOURCE before, for nftw.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef FOLDER_H
#define FOLDER_H

#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

static int
folder_remove_item (const char *path, const struct stat *status, int type,
                    struct FTW *place)
{
    (void) status, (void) type, (void) place;
    return remove (path);
}

//  Returns 0, or -1 if something is left.
static int
folder_remove (const char *path)
{
    return nftw (path, folder_remove_item, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
