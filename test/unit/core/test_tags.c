/*  test_tags.c - is what stands behind a name a list of tags, and which ones?

    An expression of POSIX and a loop over its parts say the same in another way.

    Sections: names, any name.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "../unit.h"

#include "line.h"
#include "tags.h"

#include <regex.h>

//  The name that is split, in memory of its size, so that ASan sees who reads on.
static char *s_name;

//  Writes the name alone, and each tag as [key|value].
static const char *
s_split_bytes (const char *text, size_t size)
{
    static char parts[4096];
    span_t tags, name;
    tag_t tag;
    int at;
    free (s_name);
    s_name = malloc (size);
    assert_non_null (s_name);
    memcpy (s_name, text, size);
    name = tags_split (s_name, size, &tags);
    assert_ptr_equal (name.text, s_name);
    assert_int_equal (name.size, tags_name_size (s_name, size));
    at = snprintf (parts, sizeof parts, "%.*s", (int) name.size, name.text);
    while (tags_next (&tags, &tag))
        at += snprintf (parts + at, sizeof parts - (size_t) at, "[%.*s|%.*s]",
                        (int) tag.key.size, tag.key.text, (int) tag.value.size,
                        tag.value.text);
    assert_int_equal (tags_next (&tags, &tag), 0);
    return parts;
}

static const char *
s_split (const char *text)
{
    return s_split_bytes (text, strlen (text));
}

//  --------------------------------------------------------------------------
//  Names

static void
test_tags (void **state)
{
    (void) state;
    assert_string_equal (s_split ("requests;code=200;route=/a"),
                         "requests[code|200][route|/a]");
    assert_string_equal (s_split ("n;k=v"), "n[k|v]");
    assert_string_equal (s_split ("n;A=1;_=2;a=3;a-b=4;a.b=5;a0=6;ab=7"),
                         "n[A|1][_|2][a|3][a-b|4][a.b|5][a0|6][ab|7]");
    assert_string_equal (s_split ("n;k== a=b \xc3\xa9~\xff"),
                         "n[k|= a=b \xc3\xa9~\xff]");
    assert_string_equal (s_split ("n n;k=v"), "n n[k|v]");
}

//  What begins no tags is the name's own.
static void
test_no_tags (void **state)
{
    static const char *const names[] = {
      "n",      "n;",       "n;k",     "n;k=",        "n;=v",       ";k=v",
      "n;k=v;", "n;;k=v",   "n;1=v",   "n;.k=v",      "n;k=v;k=w",  "n;b=1;a=2",
      "n; k=v", "n;k =v",   "n;a=1;b", "n;\xc3\xa9=", "n;ab=1;a=2", "n;-=v",
      "n;k;=v", "n;k=\x7f", "n;k=\t",  "n;k=a|b",     "n;a=1;;b=2", ";"};
    size_t i;
    (void) state;
    for (i = 0; i < sizeof names / sizeof *names; i++)
        assert_string_equal (s_split (names[i]), names[i]);
}

//  --------------------------------------------------------------------------
//  Any name

//  One in three of many short texts of these has tags.
static size_t
s_any_name (char *name, size_t max)
{
    static const char *const pieces[] = {
      "n", ";", ";a=1", ";b=", "=", "x", ";c.d=2", ";_=3", "~", "\x7f", "|"};
    size_t count = s_any () % 8, size = 0, i;
    for (i = 0; i < count && size + 8 < max; i++)
        size += (size_t) snprintf (name + size, max - size, "%s",
                                   pieces[s_any () % (s_any () % 4 ? 8 : 11)]);
    return size;
}

//  Do the keys ascend in what the expression has matched?
static int
s_ascend (const char *name)
{
    char copy[128], before[128] = "", *key, *rest;
    snprintf (copy, sizeof copy, "%s", strchr (name, ';') + 1);
    for (key = strtok_r (copy, ";", &rest); key;
         key = strtok_r (NULL, ";", &rest)) {
        *strchr (key, '=') = 0;
        if (strcmp (before, key) >= 0)
            return 0;
        snprintf (before, sizeof before, "%s", key);
    }
    return 1;
}

static void
test_any_name (void **state)
{
    enum { RUNS = 200000 };
    size_t i, tagged = 0, size;
    char name[128];
    regex_t expression;
    (void) state;
    assert_int_equal (regcomp (&expression,
                               "^[^;]+(;[A-Za-z_][A-Za-z0-9_.-]*=[^;|\x7f]+)+$",
                               REG_EXTENDED | REG_NOSUB),
                      0);
    for (i = 0; i < RUNS; i++) {
        size = s_any_name (name, sizeof name);
        if (!size)
            continue;
        if (regexec (&expression, name, 0, NULL, 0) == 0 && s_ascend (name)) {
            assert_int_equal (tags_name_size (name, size),
                              strchr (name, ';') - name);
            tagged++;
        }
        else
            assert_string_equal (s_split (name), name);
    }
    regfree (&expression);
    assert_true (tagged > RUNS / 50);
}

//  Tags that were put together are the same when they are taken apart.
static void
test_any_tags (void **state)
{
    enum { RUNS = 2000, SIZE = LINE_NAME_MAX };
    char name[SIZE + 1], parts[2 * SIZE];
    size_t i, j;
    (void) state;
    for (i = 0; i < RUNS; i++) {
        int at = snprintf (name, sizeof name, "n");
        int to = snprintf (parts, sizeof parts, "n");
        size_t count = 1 + s_any () % 20;
        for (j = 0; j < count; j++) {
            char value[32];
            size_t size = 1 + s_any () % 30, k;
            for (k = 0; k < size; k++)
                do
                    value[k] = (char) (' ' + s_any () % (256 - ' '));
                while (strchr (";|\x7f", value[k]));
            value[size] = 0;
            at += snprintf (name + at, sizeof name - (size_t) at, ";k%02zu=%s",
                            j, value);
            to += snprintf (parts + to, sizeof parts - (size_t) to,
                            "[k%02zu|%s]", j, value);
        }
        assert_string_equal (s_split (name), parts);
    }
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_tags), cmocka_unit_test (test_no_tags),
      cmocka_unit_test (test_any_name), cmocka_unit_test (test_any_tags)};
    int rc = cmocka_run_group_tests (tests, NULL, NULL);
    free (s_name);
    return rc;
}
