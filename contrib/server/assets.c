/*  assets - the page's files. The contract is in assets.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "assets.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

static const char *s_folder;

static const struct {
    const char *ending, *type;
} s_types[] = {{".html", "text/html; charset=utf-8"},
               {".css", "text/css; charset=utf-8"},
               {".js", "text/javascript; charset=utf-8"},
               {".svg", "image/svg+xml"}};

const asset_t *
assets_find (const char *name)
{
    for (const asset_t *asset = assets; asset->name; asset++)
        if (strcmp (asset->name, name) == 0)
            return asset;
    return NULL;
}

const char *
assets_type (const char *name)
{
    const char *ending = strrchr (name, '.');
    for (size_t i = 0; ending && i < sizeof s_types / sizeof *s_types; i++)
        if (strcmp (ending, s_types[i].ending) == 0)
            return s_types[i].type;
    return NULL;
}

//  They are our own, so nothing can be wrong with them.
void
assets_unpack (const asset_t *self, buffer_t *out)
{
    z_stream stream = {.next_in = (unsigned char *) self->data,
                       .avail_in = (unsigned) self->size};
    int rc = inflateInit2 (&stream, 16 + MAX_WBITS);
    while (rc == Z_OK) {
        size_t room = 4 * self->size;
        stream.next_out = (unsigned char *) buffer_room (out, room);
        stream.avail_out = (unsigned) room;
        rc = inflate (&stream, Z_NO_FLUSH);
        out->size += room - stream.avail_out;
    }
    inflateEnd (&stream);
}

void
assets_folder (const char *folder)
{
    s_folder = folder;
}

//  Names come from whoever asks: one with a '/' or ".." is in no folder of ours.
bool
assets_read (const char *name, buffer_t *out)
{
    char path[4096];
    size_t got;
    FILE *file;
    if (!s_folder || !*name || *name == '.' || strchr (name, '/')
        || (size_t) snprintf (path, sizeof path, "%s/%s", s_folder, name)
             >= sizeof path)
        return false;
    file = fopen (path, "r");
    if (!file)
        return false;
    do {
        got = fread (buffer_room (out, 65536), 1, 65536, file);
        out->size += got;
    } while (got);
    fclose (file);
    return true;
}
