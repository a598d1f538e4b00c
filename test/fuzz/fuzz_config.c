/*  fuzz_config.c - whatever is in a file of options, each key and value is a
    trimmed part of one of its lines, and an error names the file

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  fuzz: -max_len=2048

#define _GNU_SOURCE  //  memmem

#include "../../contrib/core/config.h"

#include "fuzz.h"

typedef struct {
    int line;  //  of the key before
    int keys;
} seen_t;

static void
s_check_trimmed (const char *text)
{
    size_t size = strlen (text);
    CHECK (!strchr (text, '\n'));
    CHECK (!size
           || (!strchr (" \t", *text) && !strchr (" \t\r", text[size - 1])));
}

static const char *
s_key (void *argument, const char *key, char *value, int line)
{
    seen_t *seen = (seen_t *) argument;
    CHECK (line > seen->line && *key != '[' && !strchr (key, '='));
    s_check_trimmed (key);
    s_check_trimmed (value);
    seen->line = line;
    seen->keys++;
    return streq (key, "wrong") ? "is wrong" : NULL;
}

static void
fuzz (const char *text, size_t size)
{
    const char *place = getenv ("TMPDIR"), *wrong;
    char path[PATH_MAX];
    seen_t seen = {0, 0};
    FILE *file;
    snprintf (path, sizeof path, "%s/zibrato-fuzz-%d", place ? place : "/tmp",
              (int) getpid ());
    file = fopen (path, "w");
    CHECK (file);
    fwrite (text, 1, size, file);
    fclose (file);
    wrong = config_read (path, "mode", s_key, &seen);
    CHECK (!wrong || strncmp (wrong, path, strlen (path)) == 0);
    CHECK (wrong || memmem (text, size, "mode", 4));
    unlink (path);
}
