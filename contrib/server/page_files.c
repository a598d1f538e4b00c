/*  page_files - the page's files as answers

    They stay the same until the executable is another one. A browser asks each time
    whether that is so (ETag), and gets 304 if it is.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "page.h"
#include "assets.h"

#include <string.h>

static bool
s_takes_gzip (const web_request_t *request)
{
    const char *encodings = web_header (request, "Accept-Encoding");
    const char *gzip = encodings ? strstr (encodings, "gzip") : NULL;
    return gzip && strncmp (gzip, "gzip;q=0", 8) != 0;
}

static void
s_send (web_request_t *request, const asset_t *asset)
{
    const char *known = web_header (request, "If-None-Match");
    web_add_header (request, "ETag", asset->etag);
    web_add_header (request, "Cache-Control", "no-cache");
    web_add_header (request, "Vary", "Accept-Encoding");
    if (known && strstr (known, asset->etag))
        request->status = 304;
    else if (s_takes_gzip (request)) {
        web_add_header (request, "Content-Encoding", "gzip");
        buffer_add (&request->out, asset->data, asset->size);
    }
    else
        assets_unpack (asset, &request->out);
}

static void
s_answer (web_request_t *request, const char *name)
{
    const asset_t *asset = assets_find (name);
    const char *type = assets_type (name);
    if (type && assets_read (name, &request->out))
        web_add_header (request, "Cache-Control", "no-store");
    else if (asset)
        s_send (request, asset);
    else {
        web_error (request, 404, NULL, "Not found");
        return;
    }
    request->type = type;
}

void
page_index (web_request_t *request)
{
    s_answer (request, "index.html");
}

void
page_file (web_request_t *request)
{
    s_answer (request, request->captured[0]);
}
