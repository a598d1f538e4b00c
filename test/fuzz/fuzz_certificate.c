/*  fuzz_certificate.c - whatever is in the files of a CURVE certificate, what is
    read from them are keys, or nothing, and programs and workers read the same

    The input is the public file and the secret one, separated by a zero byte.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  fuzz: -max_len=2048

//  The body, with its statics.
#define ZIBRATO_IMPLEMENTATION
#include "../../zibrato.h"

#include "fuzz.h"

static void
s_write (const char *path, const char *text, size_t size)
{
    FILE *file = fopen (path, "w");
    CHECK (file);
    fwrite (text, 1, size, file);
    fclose (file);
}

static void
fuzz (const char *text, size_t size)
{
    const char *place = getenv ("TMPDIR"), *zero = memchr (text, 0, size);
    char path[PATH_MAX], other[PATH_MAX + 8];
    char public_key[ZB_KEY_SIZE_], secret_key[ZB_KEY_SIZE_];
    char public_ours[CERTIFICATE_KEY], secret_ours[CERTIFICATE_KEY];
    int rc;
    snprintf (path, sizeof path, "%s/zibrato-fuzz-%d", place ? place : "/tmp",
              (int) getpid ());
    snprintf (other, sizeof other, "%s_secret", path);
    s_write (path, text, zero ? (size_t) (zero - text) : size);
    if (zero)
        s_write (other, zero + 1, (size_t) (text + size - zero - 1));
    memset (public_key, 'x', sizeof public_key);
    memset (secret_key, 'x', sizeof secret_key);
    rc = zb_curve_read_ (path, public_key, secret_key);
    CHECK (rc == 0 || rc == -1);
    CHECK (rc == -1 || *public_key);
    CHECK (!*public_key || zb_key_ok_ (public_key));
    CHECK (!*secret_key || zb_key_ok_ (secret_key));
    CHECK (rc == 0 || errno == EINVAL);
    CHECK (certificate_read (path, public_ours, secret_ours) == rc);
    CHECK (rc == 0 || errno == EINVAL);
    CHECK (streq (public_ours, public_key) && streq (secret_ours, secret_key));
    unlink (path);
    unlink (other);
}
