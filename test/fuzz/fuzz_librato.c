/*  fuzz_librato.c - whatever a service answers, the request gets an outcome that
    its status allows and a reason that fits; whatever a label is, the service
    could take what is sent in its place

    The first two bytes of the input are the status, the rest is the body, and
    taken for a name.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  fuzz: -max_len=4096

#include "fuzz.h"

#include "../../contrib/backends/librato.c"

static void
s_check_outcome (long status, const char *body)
{
    zb_reply_t reply;
    zb_outcome_t outcome;
    bool too_old = true;
    memset (&reply, 'x', sizeof reply);
    outcome = librato_outcome (status, body, &reply, &too_old);
    CHECK (memchr (reply.reason, 0, sizeof reply.reason));
    CHECK (strncmp (reply.reason, "status ", 7) == 0);
    CHECK ((outcome == ZB_DELIVERED) == (status >= 200 && status < 300));
    if (outcome == ZB_REFUSED)
        CHECK (status >= 400 && status < 500);
    if (status >= 500)
        CHECK (outcome == ZB_RETRY || outcome == ZB_FAILED);
    CHECK (!too_old || outcome == ZB_REFUSED);
}

static void
s_check_clean (const char *text, int is_source)
{
    char clean[LABEL_MAX + 2], again[LABEL_MAX + 2];
    int changed = label_clean (clean, text, is_source);
    size_t size = strlen (clean);
    CHECK (size <= LABEL_MAX && (size > 0) == (*text != 0));
    CHECK (strspn (clean, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                          "0123456789.:_-")
           == size);
    CHECK (changed == (strcmp (clean, text) != 0));
    CHECK (!is_source || strcasecmp (clean, "all") != 0);
    //  what is clean stays so
    CHECK (label_clean (again, clean, is_source) == 0);
}

static void
fuzz (const char *text, size_t size)
{
    char *body;
    long status;
    if (size < 2)
        return;
    status =
      100 + ((unsigned char) text[0] << 8 | (unsigned char) text[1]) % 500;
    body = strndup (text + 2, size - 2);
    s_check_outcome (status, body);
    s_check_clean (body, 0);
    s_check_clean (body, 1);
    free (body);
}
