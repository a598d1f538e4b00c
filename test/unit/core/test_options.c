/*  test_options.c - what the command line takes, and how it refuses the rest

    What ends the program is tried in a child of its own.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "../executable.h"

#include <sys/wait.h>

static const char *s_text, *s_secret;
static int64_t s_count, s_size;
static int s_flag;
static zb_list_t s_list;

// clang-format off
static const zb_option_t s_first[] = {
  {.name = "text", .argument = "TEXT", .text = &s_text, .help = "a text",
   .env = "ZB_TEST_TEXT"},
  {.name = "secret", .argument = "WORD", .text = &s_secret, .secret = 1,
   .help = "a secret", .env = "ZB_TEST_SECRET"},
  {.name = NULL}};
static const zb_option_t s_second[] = {
  {.name = "count", .argument = "N", .number = &s_count, .min = -5, .max = 70,
   .help = "a count"},
  {.name = "size", .argument = "BYTES", .number = &s_size, .min = 0,
   .max = INT64_MAX, .help = "a size"},
  {.name = "flag", .flag = &s_flag, .help = "a flag"},
  {.name = "word", .argument = "WORD", .list = &s_list, .help = "as many",
   .env = "ZB_TEST_WORD"},
  {.name = NULL}};
// clang-format on

static const zb_mode_t s_usage = {
  .name = "test", .summary = "Tests", .tables = {s_first, s_second}};

static const char *s_from, *s_to;

// clang-format off
static const zb_option_t s_arguments[] = {
  {.name = "FROM", .text = &s_from, .help = "must be given"},
  {.name = "TO", .text = &s_to, .help = "need not"},
  {.name = NULL}};
// clang-format on

static const zb_mode_t s_both = {.name = "both",
                                 .summary = "Tests",
                                 .tables = {s_first, s_second},
                                 .arguments = s_arguments};
static const zb_mode_t s_only = {
  .name = "only", .summary = "Tests", .arguments = s_arguments};

static int
s_reset (void **state)
{
    (void) state;
    s_text = "default";
    s_secret = NULL;
    s_from = NULL;
    s_to = "there";
    s_count = 7;
    s_size = 4096;
    s_flag = 0;
    return 0;
}

//  --------------------------------------------------------------------------
//  Numbers and units

static void
test_number (void **state)
{
    static const struct {
        const char *text;
        int rc;
        int64_t number;
    } numbers[] = {{"0", 0, 0},
                   {"42", 0, 42},
                   {"-42", 0, -42},
                   {"007", 0, 7},
                   {"9223372036854775807", 0, INT64_MAX},
                   {"-9223372036854775808", 0, INT64_MIN},
                   {"9223372036854775808", -1, 0},
                   {"-9223372036854775809", -1, 0},
                   {"1K", 0, 1024},
                   {"1k", 0, 1024},
                   {"3M", 0, 3 << 20},
                   {"3m", 0, 3 << 20},
                   {"2G", 0, 2ll << 30},
                   {"2g", 0, 2ll << 30},
                   {"0K", 0, 0},
                   {"8589934591G", 0, 8589934591ll << 30},
                   {"8589934592G", -1, 0},
                   {"9007199254740991K", 0, 9007199254740991ll << 10},
                   {"9007199254740992K", -1, 0},
                   {"-1K", -1, 0},
                   {"", -1, 0},
                   {"K", -1, 0},
                   {"-", -1, 0},
                   {"x", -1, 0},
                   {"1x", -1, 0},
                   {"1KK", -1, 0},
                   {"1KB", -1, 0},
                   {"1T", -1, 0},
                   {"1.5", -1, 0},
                   {"1 ", -1, 0},
                   {"1e3", -1, 0},
                   {"0x10", -1, 0},
                   {"99999999999999999999", -1, 0}};
    size_t i;
    (void) state;
    for (i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        int64_t number = 99;
        int rc = option_number (numbers[i].text, &number);
        if (rc != numbers[i].rc || (rc == 0 && number != numbers[i].number))
            fail_msg ("%s: %d %" PRId64, numbers[i].text, rc, number);
    }
}

//  --------------------------------------------------------------------------
//  Command lines: up to six words

enum { WORDS = 6 };

static int
s_words (char *const words[])
{
    int count = 0;
    while (count < WORDS && words[count])
        count++;
    return count;
}

#define PARSE(...) PARSE_AS (&s_usage, __VA_ARGS__)
#define PARSE_AS(usage, ...)                                                   \
    do {                                                                       \
        char *words[WORDS + 1] = {__VA_ARGS__};                                \
        options_parse (usage, s_words (words), words);                         \
    } while (0)

static void
test_parse (void **state)
{
    char secret[] = "hush";
    (void) state;
    PARSE (NULL);
    assert_string_equal (s_text, "default");
    assert_int_equal (s_count, 7);
    PARSE ("--text", "a b", "--count=-5", "--flag", "--size", "2K");
    assert_string_equal (s_text, "a b");
    assert_int_equal (s_count, -5);
    assert_int_equal (s_size, 2048);
    assert_int_equal (s_flag, 1);
    PARSE ("--text=", "--count", "70");
    assert_string_equal (s_text, "");
    assert_int_equal (s_count, 70);
    PARSE ("--text=a=b", "--count=1", "--count=2");
    assert_string_equal (s_text, "a=b");
    assert_int_equal (s_count, 2);
    //  a value may look like an option
    PARSE ("--text", "--flag");
    assert_string_equal (s_text, "--flag");
    //  a secret is wiped from where ps reads
    PARSE ("--secret", secret);
    assert_string_equal (s_secret, "hush");
    assert_string_equal (secret, "xxxx");
    free ((char *) s_secret);
}

//  Words without "--" in the order of their table, wherever they stand.
static void
test_arguments (void **state)
{
    (void) state;
    PARSE_AS (&s_both, "here", "--count", "1");
    assert_string_equal (s_from, "here");
    assert_string_equal (s_to, "there");
    assert_int_equal (s_count, 1);
    PARSE_AS (&s_both, "--count=2", "a", "--flag", "b=c");
    assert_string_equal (s_from, "a");
    assert_string_equal (s_to, "b=c");
    assert_int_equal (s_count, 2);
    assert_int_equal (s_flag, 1);
    PARSE_AS (&s_only, "x");
    assert_string_equal (s_from, "x");
    //  behind "--" nothing is an option
    PARSE_AS (&s_both, "--count=3", "--", "--count=4", "--");
    assert_int_equal (s_count, 3);
    assert_string_equal (s_from, "--count=4");
    assert_string_equal (s_to, "--");
}

static void
test_environment (void **state)
{
    (void) state;
    setenv ("ZB_TEST_TEXT", "from outside", 1);
    setenv ("ZB_TEST_SECRET", "hush", 1);
    PARSE (NULL);
    assert_string_equal (s_text, "from outside");
    assert_string_equal (s_secret, "hush");
    assert_string_equal (getenv ("ZB_TEST_SECRET"), "xxxx");
    free ((char *) s_secret);
    unsetenv ("ZB_TEST_SECRET");
    //  the command line wins, an empty variable is none
    PARSE ("--text", "said");
    assert_string_equal (s_text, "said");
    setenv ("ZB_TEST_TEXT", "", 1);
    s_text = "default";
    PARSE (NULL);
    assert_string_equal (s_text, "default");
    unsetenv ("ZB_TEST_TEXT");
}

//  --------------------------------------------------------------------------
//  A file

static char s_path[] = "/tmp/zibrato-options-XXXXXX";

static void
s_write (const char *text)
{
    FILE *file = fopen (s_path, "w");
    assert_non_null (file);
    fputs (text, file);
    fclose (file);
}

//  Variables win over it, the command line over both, wherever it is named.
static void
test_config (void **state)
{
    (void) state;
    s_write ("# of all\n[other]\nnonsense = 1\n\n [test] \r\n"
             "\ttext= a = b # c \n;\ncount =  -3\nflag = yes\n[other]\n"
             "count = 1\n[test]\nsize = 1K");
    PARSE ("--config", s_path);
    assert_string_equal (s_text, "a = b # c");
    assert_int_equal (s_count, -3);
    assert_int_equal (s_flag, 1);
    assert_int_equal (s_size, 1024);
    setenv ("ZB_TEST_TEXT", "from outside", 1);
    PARSE ("--count=5", "--config", s_path);
    assert_int_equal (s_count, 5);
    assert_string_equal (s_text, "from outside");
    unsetenv ("ZB_TEST_TEXT");
    s_write ("[test]\nflag = off\n");
    PARSE ("--config", s_path);
    assert_int_equal (s_flag, 0);
    //  a value that looks like it names none
    PARSE ("--text", "--config");
    assert_string_equal (s_text, "--config");
}

static void
s_expect_list (const char *first, const char *second)
{
    assert_int_equal (s_list.count, (first != NULL) + (second != NULL));
    if (first)
        assert_string_equal (s_list.texts[0], first);
    if (second)
        assert_string_equal (s_list.texts[1], second);
}

//  What one place says adds up, and takes the place of what earlier ones have
//  said.
static void
test_list (void **state)
{
    (void) state;
    PARSE (NULL);
    s_expect_list (NULL, NULL);
    s_write ("[test]\nword = a b\nflag = no\nword = c\n");
    PARSE ("--config", s_path);
    s_expect_list ("a b", "c");
    PARSE ("--word=x", "--config", s_path, "--word", "a b");
    s_expect_list ("x", "a b");
    setenv ("ZB_TEST_WORD", "from outside", 1);
    PARSE ("--config", s_path);
    s_expect_list ("from outside", NULL);
    unsetenv ("ZB_TEST_WORD");
    PARSE (NULL);
    s_expect_list (NULL, NULL);
}

//  --------------------------------------------------------------------------
//  Command lines that end the program

//  Runs in a child; returns its exit status and what it wrote to both streams.
static int
s_child (const zb_mode_t *usage, char *const words[], char *text, size_t size)
{
    int pipes[2], status;
    size_t used = 0;
    ssize_t got;
    pid_t child;
    assert_int_equal (pipe (pipes), 0);
    fflush (NULL);
    child = fork ();
    if (child == 0) {
        dup2 (pipes[1], STDOUT_FILENO);
        dup2 (pipes[1], STDERR_FILENO);
        options_parse (usage, s_words (words), (char **) words);
        if (!options_checked ())
            _exit (99);
        fflush (stdout);
        _exit (0);
    }
    close (pipes[1]);
    while ((got = read (pipes[0], text + used, size - 1 - used)) > 0)
        used += (size_t) got;
    text[used] = 0;
    close (pipes[0]);
    assert_int_equal (waitpid (child, &status, 0), child);
    assert_true (WIFEXITED (status));
    return WEXITSTATUS (status);
}

//  A word that is unknown: 2 and the usage. A value that is no good: 1.
static void
test_endings (void **state)
{
    static struct {
        char *words[WORDS + 1];
        int status;
        const char *says;
    } lines[] = {
      {{"--count", "71"}, 1, "--count 71: expected a number from -5 to 70"},
      {{"--count=-6"}, 1, "--count -6: expected a number from -5 to 70"},
      {{"--count", "x"}, 1, "--count x: expected"},
      {{"--count", ""}, 1, "expected a number"},
      {{"--size=-1"}, 1, "expected a number from 0"},
      {{"--size", "99999999999G"}, 1, "expected a number"},
      {{"--counts", "1"}, 2, "--counts: no such option"},
      {{"--coun=1"}, 2, "--coun: no such option"},
      {{"--", "x"}, 2, "x: expected an option"},
      {{"--", "--text"}, 2, "--text: expected an option"},
      {{"--=1"}, 2, "no such option"},
      {{"-c", "1"}, 2, "-c: expected an option"},
      {{"count"}, 2, "count: expected an option"},
      {{"--count=1", "more"}, 2, "more: expected an option"},
      {{""}, 2, "expected an option"},
      {{"--flag=1"}, 2, "--flag takes no value"},
      {{"--flag", "1"}, 2, "1: expected an option"},
      {{"--text"}, 2, "--text: expected TEXT"},
      {{"--count=1", "--size"}, 2, "--size: expected BYTES"}};
    char text[4096];
    size_t i;
    (void) state;
    for (i = 0; i < sizeof lines / sizeof *lines; i++) {
        int status = s_child (&s_usage, lines[i].words, text, sizeof text);
        if (status != lines[i].status || !strstr (text, lines[i].says))
            fail_msg ("line %zu: status %d, %s", i, status, text);
        assert_int_equal (strncmp (text, "zibrato: ", 9), 0);
        assert_true ((strstr (text, "usage: zibrato test") != NULL)
                     == (status == 2));
    }
}

//  Each says the file and the line, and what was expected there.
static void
test_config_endings (void **state)
{
    static const struct {
        const char *file, *says;
    } files[] = {{"[test]\ncount = 71\n",
                  ":2: count = 71: expected a number from -5 to 70"},
                 {"\n[test]\ncounts = 1\n", ":3: counts: no such option"},
                 {"[test]\nflag = 2\n", ":2: flag = 2: expected yes or no"},
                 {"[test]\nflag\n", ":2: expected NAME = VALUE"},
                 {"[test]\n= 2\n", ":2: expected NAME = VALUE"},
                 {"[other]\nnonsense\n", ":2: expected NAME = VALUE"},
                 {"[test\n", ":1: expected [MODE]"},
                 {"[test] x\n", ":1: expected [MODE]"},
                 {"[]\n", ":1: expected [MODE]"},
                 {"[test]\nconfig = x\n", ":2: config: no such option"},
                 {"[other]\ncount = 1\n", ": expected a section [test]"},
                 {"", ": expected a section [test]"},
                 {"count = 1\n[test]\n", ":1: expected [MODE] before it"},
                 {"[test]\nsecret HUSH==\n", ":2: expected NAME = VALUE\n"},
                 {"[test]\nsecret: HUSH=\n", ":2: expected NAME = VALUE\n"},
                 {"[test]\nSECRET = HUSH\n", ":2: expected NAME = VALUE\n"}};
    char *words[WORDS + 1] = {"--config", s_path};
    char text[4096];
    size_t i;
    (void) state;
    for (i = 0; i < sizeof files / sizeof *files; i++) {
        s_write (files[i].file);
        if (s_child (&s_usage, words, text, sizeof text) != 1
            || strncmp (text, "zibrato: --config /tmp/", 23) != 0
            || !strstr (text, files[i].says))
            fail_msg ("file %zu: %s", i, text);
    }
    words[1] = "/nonexistent";
    assert_int_equal (s_child (&s_usage, words, text, sizeof text), 1);
    assert_string_equal (text, "zibrato: --config /nonexistent: No such file "
                               "or directory\n");
    words[1] = "/";
    assert_int_equal (s_child (&s_usage, words, text, sizeof text), 1);
    assert_string_equal (text, "zibrato: --config /: Is a directory\n");
}

//  Each option with its value, but for secrets, and where that comes from.
static void
test_check (void **state)
{
    static const char *const says[] = {
      "  text             said                             command line\n",
      "  count            7                                default\n",
      "  flag             no                               default\n",
      ("  word             a                                command line\n"
       "  word             b                                command line\n"),
      "  secret           (not shown)                      ZB_TEST_SECRET\n"};
    char *words[WORDS + 1] = {"--config", s_path,     "--check",
                              "--word=a", "--word=b", "--text=said"};
    char text[4096], size[sizeof s_path + 128];
    size_t i;
    (void) state;
    s_write ("[test]\nsize = 2M\n");
    setenv ("ZB_TEST_SECRET", "hush", 1);
    assert_int_equal (s_child (&s_usage, words, text, sizeof text), 0);
    unsetenv ("ZB_TEST_SECRET");
    for (i = 0; i < sizeof says / sizeof *says; i++)
        if (!strstr (text, says[i]))
            fail_msg ("%s not in:\n%s", says[i], text);
    snprintf (size, sizeof size, "  size             2M %30s%s:2\n", "",
              s_path);
    assert_non_null (strstr (text, size));
    assert_null (strstr (text, "hush"));
}

//  The help is the rows; it tells defaults, and never a secret.
static void
test_help (void **state)
{
    char *words[2][WORDS + 1] = {{"--count=9", "--help"}, {"-h"}};
    char text[4096];
    size_t i;
    (void) state;
    setenv ("ZB_TEST_SECRET", "hush", 1);
    for (i = 0; i < 2; i++) {
        assert_int_equal (s_child (&s_usage, words[i], text, sizeof text), 0);
        assert_non_null (strstr (text, "usage: zibrato test [OPTION]..."));
        assert_non_null (strstr (text, "--text TEXT"));
        assert_non_null (strstr (text, "(default)"));
        assert_non_null (strstr (text, "ZB_TEST_TEXT"));
        assert_non_null (strstr (text, "--secret WORD"));
        assert_non_null (strstr (text, "(4K)"));
        assert_non_null (strstr (text, i == 0 ? "(9)" : "(7)"));
        assert_non_null (strstr (text, "--flag"));
        assert_non_null (strstr (text, "--help"));
        assert_null (strstr (text, "hush"));
    }
    unsetenv ("ZB_TEST_SECRET");
}

static void
test_arguments_end (void **state)
{
    static struct {
        const zb_mode_t *usage;
        char *words[WORDS + 1];
        int status;
        const char *says;
    } lines[] = {
      {&s_both, {NULL}, 2, "expected FROM"},
      {&s_both, {"--count", "1"}, 2, "expected FROM"},
      {&s_both, {"a", "b", "c"}, 2, "c: expected an option"},
      {&s_both, {"a", "-c"}, 2, "-c: expected an option"},
      {&s_only, {"a", "--count", "1"}, 2, "--count: no such option"},
      {&s_both, {"--help"}, 0, "usage: zibrato both FROM [TO] [OPTION]..."},
      {&s_only, {"--help"}, 0, "usage: zibrato only FROM [TO]\n"},
      {&s_only,
       {"--help"},
       0,
       "  TO                       need not (there)\n"}};
    char text[4096];
    size_t i;
    (void) state;
    for (i = 0; i < sizeof lines / sizeof *lines; i++) {
        int status =
          s_child (lines[i].usage, lines[i].words, text, sizeof text);
        if (status != lines[i].status || !strstr (text, lines[i].says))
            fail_msg ("line %zu: status %d, %s", i, status, text);
    }
}

//  The rows of the modes themselves: defaults within their own bounds.
static void
test_rows (void **state)
{
    const zb_option_t *const tables[] = {s_worker_options, s_broker_options};
    const zb_option_t *option;
    size_t i;
    (void) state;
    for (i = 0; i < 2; i++)
        for (option = tables[i]; option->name; option++) {
            assert_non_null (option->help);
            assert_int_equal ((option->text != NULL) + (option->number != NULL)
                                + (option->flag != NULL)
                                + (option->list != NULL),
                              1);
            if (option->number) {
                assert_true (*option->number >= option->min);
                assert_true (*option->number <= option->max);
            }
            assert_true (option->flag || option->argument);
        }
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (test_number),
      cmocka_unit_test_setup (test_parse, s_reset),
      cmocka_unit_test_setup (test_arguments, s_reset),
      cmocka_unit_test_setup (test_environment, s_reset),
      cmocka_unit_test_setup (test_config, s_reset),
      cmocka_unit_test_setup (test_list, s_reset),
      cmocka_unit_test_setup (test_config_endings, s_reset),
      cmocka_unit_test_setup (test_check, s_reset),
      cmocka_unit_test_setup (test_endings, s_reset),
      cmocka_unit_test_setup (test_arguments_end, s_reset),
      cmocka_unit_test_setup (test_help, s_reset),
      cmocka_unit_test (test_rows)};
    int rc, fd = mkstemp (s_path);
    assert (fd != -1);
    close (fd);
    rc = cmocka_run_group_tests_name ("options", tests, NULL, NULL);
    unlink (s_path);
    return rc;
}
