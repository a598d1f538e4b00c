/*  test_filter.c - does a filter mean the series that it says?

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "../unit.h"

#include "../../../contrib/server/filter.c"

static bool
s_pattern (const char *pattern, const char *text)
{
    return pattern_match (pattern, text, strlen (text));
}

static void
test_patterns (void **state)
{
    (void) state;
    assert_true (s_pattern ("us-west", "US-west"));
    assert_true (s_pattern ("*", ""));
    assert_true (s_pattern ("us*", "us"));
    assert_true (s_pattern ("*prod*", "db-prod-1"));
    assert_true (s_pattern ("cpu*.90", "cpu.load.90"));
    assert_true (s_pattern ("a*b*c", "abbcbc"));
    assert_true (s_pattern ("a**c", "abc"));
    assert_false (s_pattern ("", "a"));
    assert_false (s_pattern ("us", "us-west"));
    assert_false (s_pattern ("cpu*.90", "cpu.load.9"));
    assert_false (s_pattern ("a*b*c", "abcb"));
    assert_false (pattern_match ("abc", "abcd", 2));
}

//  What takes an exponential time with a naive matcher.
static void
test_pattern_of_stars (void **state)
{
    char text[4001];
    (void) state;
    memset (text, 'a', 4000);
    text[4000] = 0;
    assert_false (s_pattern ("a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
}

static const series_t s_series[] = {
  {.source = "web1", .tags = "db=db-prod-1;host=a;region=us-east"},
  {.source = "web2", .tags = "region=us-west"},
  {.source = "", .tags = "db=test;region=eu"},
  {.source = "", .tags = ""}};

//  Which of the series a filter means, as digits.
static const char *
s_which (const filter_t *filter)
{
    static char which[8];
    size_t size = 0;
    for (size_t i = 0; i < sizeof s_series / sizeof *s_series; i++)
        if (filter_match (filter, &s_series[i]))
            which[size++] = (char) ('0' + i);
    which[size] = 0;
    return which;
}

//  The same of KEY, PATTERN, KEY, PATTERN, ..., NULL.
static const char *
s_tags (const char *const *tags)
{
    filter_t *filter = filter_new ();
    const char *which;
    for (; *tags; tags += 2)
        assert_null (filter_tag (filter, tags[0], tags[1]));
    which = s_which (filter);
    filter_destroy (&filter);
    assert_null (filter);
    return which;
}

#define TAGS(...) s_tags ((const char *const[]){__VA_ARGS__, NULL})

static void
test_tags (void **state)
{
    (void) state;
    assert_string_equal (s_tags ((const char *const[]){NULL}), "0123");
    assert_string_equal (TAGS ("region", "us*"), "01");
    assert_string_equal (TAGS ("REGION", "US-west"), "1");
    assert_string_equal (TAGS ("region", "us-west", "region", "eu"), "12");
    assert_string_equal (TAGS ("region", "us*", "db", "*prod*"), "0");
    //  without the tag it does not match
    assert_string_equal (TAGS ("db", "!test"), "0");
    assert_string_equal (TAGS ("db", "*"), "02");
    assert_string_equal (TAGS ("!db", ""), "13");
    assert_string_equal (TAGS ("region", "us*", "region", "!us-east"), "1");
    assert_string_equal (TAGS ("region", "!us-east", "region", "!eu"), "1");
    assert_string_equal (TAGS ("source", "web*"), "01");
    assert_string_equal (TAGS ("!source", ""), "23");
    assert_string_equal (TAGS ("reg", "*"), "");
}

static const char *
s_search (const char *text)
{
    filter_t *filter = filter_new ();
    const char *wrong = filter_search (filter, text);
    const char *which = wrong ? wrong : s_which (filter);
    filter_destroy (&filter);
    return which;
}

static void
test_search (void **state)
{
    (void) state;
    assert_string_equal (s_search ("region=us-east* and db=*prod*"), "0");
    assert_string_equal (s_search ("region=us-west OR db=test"), "12");
    assert_string_equal (s_search ("not region=us*"), "23");
    assert_string_equal (s_search ("!db"), "13");
    assert_string_equal (s_search ("db"), "02");
    assert_string_equal (s_search ("region!=eu"), "013");
    assert_string_equal (s_search ("region and !region=eu"), "01");
    assert_string_equal (s_search ("  region = \"us-west\"  "), "1");
    //  "and" binds more than "or"
    assert_string_equal (s_search ("db=test or region=us* and host=b"), "2");
    assert_string_equal (s_search ("(db=test or region=us*) and host=a"), "0");
    assert_string_equal (s_search ("not (db=test or source=web1)"), "13");
    //  words are names where nothing else fits
    assert_string_equal (s_search ("android=1 or order=2"), "");
    assert_string_equal (s_search ("and=1"), "");
}

static void
test_wrong_searches (void **state)
{
    char deep[1000], broad[20000];
    filter_t *filter = filter_new ();
    (void) state;
    assert_string_equal (s_search (""), "lacks the name of a tag");
    assert_string_equal (s_search ("a=1 and "), "lacks the name of a tag");
    assert_string_equal (s_search ("(a=1"), "lacks a closing parenthesis");
    assert_string_equal (s_search ("a=1)"), "has something after its end");
    assert_string_equal (s_search ("a=1 b=2"), "has something after its end");
    assert_string_equal (s_search ("a=\"x"),
                         "has a quotation mark without its end");
    memset (deep, '(', sizeof deep);
    deep[sizeof deep - 1] = 0;
    assert_string_equal (s_search (deep), "is nested too deeply");
    strcpy (broad, "a=1");
    while (strlen (broad) < sizeof broad - 20)
        strcat (broad, " or a=1");
    assert_string_equal (s_search (broad), "has too many conditions");
    assert_string_equal (filter_tag (filter, "", "x"), "has no name of a tag");
    assert_string_equal (filter_tag (filter, "!", "x"), "has no name of a tag");
    assert_null (filter_tag (filter, "a", "x"));
    assert_string_equal (filter_search (filter, "b=1"),
                         "may not be given beside tags");
    for (int i = 1; i < FILTER_PARTS_MAX; i++)
        assert_null (filter_tag (filter, "a", "x"));
    assert_string_equal (filter_tag (filter, "a", "x"),
                         "has too many conditions");
    filter_destroy (&filter);
}

static void
test_tags_written (void **state)
{
    buffer_t out = {NULL, 0, 0};
    (void) state;
    out_begin (&out, '{');
    series_tags_write (&out, &s_series[0]);
    out_end (&out, '}');
    buffer_add (&out, "", 1);
    assert_string_equal (out.text, "{\"source\":\"web1\",\"db\":\"db-prod-1\","
                                   "\"host\":\"a\",\"region\":\"us-east\"}");
    buffer_clear (&out);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_patterns),
      cmocka_unit_test (test_pattern_of_stars),
      cmocka_unit_test (test_tags),
      cmocka_unit_test (test_search),
      cmocka_unit_test (test_wrong_searches),
      cmocka_unit_test (test_tags_written),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
