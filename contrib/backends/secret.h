/*  secret - a secret in a file, which may be replaced while the worker runs

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_SECRET_H
#define ZB_SECRET_H

#include <stdbool.h>
#include <sys/stat.h>

typedef struct {
    const char *path;    //  not the secret's
    bool whole;          //  it is all of the file, not its first line only
    char *text;          //  or NULL
    struct stat status;  //  of the file when it was read
} secret_t;

//  Reads the file if it has changed. Returns true if the secret has. A file that
//  cannot be read, or is empty, leaves what was known: whoever replaces it may
//  not be done.
bool secret_read (secret_t *self);

//  It was refused: the next time the file is read even if it looks the same.
void secret_doubt (secret_t *self);

//  Wipes it.
void secret_clear (secret_t *self);

#endif
