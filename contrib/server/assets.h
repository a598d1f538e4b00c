/*  assets - the page's files, which the build has packed into the executable

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_ASSETS_H
#define ZB_ASSETS_H

#include "buffer.h"

#include <stdbool.h>

typedef struct {
    const char *name, *type;
    const char *etag;           //  with its quotes
    const unsigned char *data;  //  gzipped
    size_t size;
} asset_t;

//  Made by contrib/server/page/pack.cmake; ends with a null name.
extern const asset_t assets[];

//  Returns NULL if there is none of this name.
const asset_t *assets_find (const char *name);

//  The type of what a file has, by its name, or NULL if the page has no such files.
const char *assets_type (const char *name);

//  Appends the file as it was before it was packed.
void assets_unpack (const asset_t *self, buffer_t *out);

//  While the page is developed, its files are read from this folder; NULL: they are
//  those of the executable. The text must stay.
void assets_folder (const char *folder);

//  Appends a file of that folder. Returns false if there is no folder, or no file.
bool assets_read (const char *name, buffer_t *out);

#endif
