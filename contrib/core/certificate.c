/*  certificate - reads the key pair of a CURVE certificate. The contract is in
    certificate.h.

    czmq's zcert_load is no substitute (czmq 4.2.1, zcert.c, zconfig.c): it
    refuses files that are indented by a tab or by two blanks, takes a text of
    40 bytes that is no key, cuts paths at 255 bytes, and leaves the secret in
    memory that it has freed.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "certificate.h"

#include <czmq.h>

static int
s_key_ok (const char *key)
{
    uint8_t bytes[32];
    int rc = strlen (key) == CERTIFICATE_KEY - 1 && zmq_z85_decode (bytes, key);
    explicit_bzero (bytes, sizeof bytes);
    return rc;
}

//  Reads `name = "key"` of a line. What is no such line is left alone.
static void
s_key_read (const char *line, const char *name, char *key)
{
    char text[CERTIFICATE_KEY] = "";
    size_t size = strlen (name);
    line += strspn (line, " \t");
    if (strncmp (line, name, size) != 0)
        return;
    line += size + strspn (line + size, " \t");
    if (*line != '=')
        return;
    line += 1 + strspn (line + 1, " \t\"'");
    size = strcspn (line, " \t\r\n\"'");
    if (size == sizeof text - 1)
        memcpy (text, line, size);
    if (s_key_ok (text))
        memcpy (key, text, sizeof text);
    explicit_bzero (text, sizeof text);
}

//  Reads the keys in section "curve" (zcert(3), in ZPL:
//  rfc.zeromq.org/spec/4). A key that is not there is left as it was.
static int
s_file_read (const char *path, char *public_key, char *secret_key)
{
    char line[512];
    int in_curve = 0;
    FILE *file = fopen (path, "re");
    if (!file)
        return -1;
    //  a buffer of stdio's own would keep the secret in freed memory
    setvbuf (file, NULL, _IONBF, 0);
    while (fgets (line, sizeof line, file)) {
        //  neither indented, nor a comment, nor blank: a section
        if (!strchr (" \t#\r\n", *line))
            in_curve = strncmp (line, "curve", 5) == 0;
        if (in_curve) {
            s_key_read (line, "public-key", public_key);
            s_key_read (line, "secret-key", secret_key);
        }
    }
    fclose (file);
    explicit_bzero (line, sizeof line);
    return 0;
}

int
certificate_read (const char *path, char public_key[CERTIFICATE_KEY],
                  char secret_key[CERTIFICATE_KEY])
{
    char *secret_path = zsys_sprintf ("%s_secret", path);
    int rc, error;
    *public_key = *secret_key = 0;
    if (!secret_path)
        return -1;
    rc = s_file_read (path, public_key, secret_key);
    error = errno;
    if (!*secret_key && s_file_read (secret_path, public_key, secret_key) == 0)
        rc = 0;
    zstr_free (&secret_path);
    errno = rc == -1 ? error : EINVAL;
    return rc == 0 && *public_key ? 0 : -1;
}
