/*  public - the address by which browsers come. The contract is in public.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "public.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

//  Of what is in a header, in a cookie and in the log, nothing has a meaning there.
static const char s_safe[] = "abcdefghijklmnopqrstuvwxyz"
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "0123456789-._~[]:/";

//  A part of the address, in lower case: browsers send it so. Caller frees it by
//  curl_free.
static char *
s_part (CURLU *url, CURLUPart part)
{
    char *text = NULL;
    if (curl_url_get (url, part, &text, CURLU_NO_DEFAULT_PORT) != CURLUE_OK)
        return NULL;
    for (char *c = text; part != CURLUPART_PATH && *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char) (*c - 'A' + 'a');
    return text;
}

static bool
s_is_there (CURLU *url, CURLUPart part)
{
    char *text = s_part (url, part);
    curl_free (text);
    return text != NULL;
}

//  Is it nothing but scheme, host, port and path?
static bool
s_is_plain (CURLU *url)
{
    static const CURLUPart others[] = {CURLUPART_USER, CURLUPART_PASSWORD,
                                       CURLUPART_OPTIONS, CURLUPART_QUERY,
                                       CURLUPART_FRAGMENT};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (s_is_there (url, others[i]))
            return false;
    return true;
}

static bool
s_fill (public_t *self, CURLU *url)
{
    char *scheme = s_part (url, CURLUPART_SCHEME);
    char *host = s_part (url, CURLUPART_HOST);
    char *port = s_part (url, CURLUPART_PORT);
    char *path = s_part (url, CURLUPART_PATH);
    bool is_web =
      scheme && host && path
      && (strcmp (scheme, "https") == 0 || strcmp (scheme, "http") == 0);
    if (is_web) {
        size_t size = strlen (path);
        while (size && path[size - 1] == '/')
            path[--size] = 0;
        self->tls = scheme[4] == 's';
        snprintf (self->host, PUBLIC_MAX, "%s", host);
        snprintf (self->path, PUBLIC_MAX, "%s", path);
        snprintf (self->origin, PUBLIC_MAX, "%s://%s%s%s", scheme, host,
                  port ? ":" : "", port ? port : "");
    }
    curl_free (scheme);
    curl_free (host);
    curl_free (port);
    curl_free (path);
    return is_web;
}

const char *
public_read (public_t *self, const char *text)
{
    static char wrong[PUBLIC_MAX + 80];
    CURLU *url = curl_url ();
    bool good = strlen (text) < PUBLIC_MAX && !text[strspn (text, s_safe)]
                && curl_url_set (url, CURLUPART_URL, text, 0) == CURLUE_OK
                && s_is_plain (url) && s_fill (self, url);
    curl_url_cleanup (url);
    if (good)
        return NULL;
    snprintf (wrong, sizeof wrong,
              "expected https://HOST[:PORT][/PATH], not %.*s", PUBLIC_MAX,
              text);
    return wrong;
}

const char *
public_route (const public_t *self, const char *path)
{
    size_t size = strlen (self->path);
    return size && strncmp (path, self->path, size) == 0 && path[size] == '/'
             ? path + size
             : path;
}
