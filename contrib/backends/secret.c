/*  secret - read again when it changes. The contract is in secret.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "secret.h"

#include <czmq.h>

enum { SECRET_MAX = 8192 };  //  bytes of a file that are read

static bool
s_is_same (const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev
           && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec
           && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec
           && a->st_ctim.tv_sec == b->st_ctim.tv_sec
           && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

bool
secret_read (secret_t *self)
{
    struct stat status;
    zchunk_t *file;
    char *text = NULL;
    if (stat (self->path, &status) == -1
        || (self->text && s_is_same (&status, &self->status)))
        return false;
    file = zchunk_slurp (self->path, SECRET_MAX);
    if (file)
        text = zchunk_strdup (file);
    zchunk_destroy (&file);
    if (text && !self->whole)
        text[strcspn (text, "\r\n")] = 0;
    if (!text || !*text) {
        free (text);
        return false;
    }
    self->status = status;
    if (self->text && strcmp (text, self->text) == 0) {
        free (text);
        return false;
    }
    secret_clear (self);
    self->text = text;
    return true;
}

void
secret_doubt (secret_t *self)
{
    memset (&self->status, 0, sizeof self->status);
}

void
secret_clear (secret_t *self)
{
    if (self->text)
        explicit_bzero (self->text, strlen (self->text));
    free (self->text);
    self->text = NULL;
}
