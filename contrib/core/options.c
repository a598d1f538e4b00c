/*  options - the command line and the help. The contract is in options.h.

    Sections: help, values, the three places that they come from, what holds.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "options.h"

#include "config.h"
#include "log.h"

#include <ctype.h>
#include <czmq.h>

enum { OPTIONS_MAX = 64 };  //  of a mode

//  What every mode with options has beside its own.
static const char *s_config;
static int s_check;

// clang-format off
static const zb_option_t s_common[] = {
  {.name = "config", .argument = "FILE", .text = &s_config,
   .help = "options as lines NAME = VALUE, below the name of the mode, [MODE]"},
  {.name = "check", .flag = &s_check,
   .help = "print which options hold, and end"},
  {.name = NULL}};
// clang-format on

//  The mode that was parsed, and where its options come from.
static const zb_mode_t *s_parsed;
typedef enum { ORIGIN_FILE, ORIGIN_VARIABLE, ORIGIN_WORD } origin_t;
static origin_t s_reading;
static struct {
    const zb_option_t *option;
    origin_t origin;
    char from[PATH_MAX + 16];
    char *text;  //  of a file, which is not there any more
} s_origin[OPTIONS_MAX];

//  The tables of a mode: its own come first, so that none of ours takes the
//  place of one of theirs. NULL: there is no such table.
static const zb_option_t *
s_table (const zb_mode_t *mode, int i)
{
    if (i < TABLES_MAX)
        return mode->tables[i];
    return *mode->tables ? s_common : NULL;
}

//  The row behind this one in all tables, the first one for NULL. *i is where
//  we are, 0 at first.
static const zb_option_t *
s_option_next (const zb_mode_t *mode, const zb_option_t *option, int *i)
{
    option = option ? option + 1 : s_table (mode, *i);
    while ((!option || !option->name) && *i < TABLES_MAX)
        option = s_table (mode, ++*i);
    return option && option->name ? option : NULL;
}

//  --------------------------------------------------------------------------
//  Help

//  A default, in the largest unit that option_number reads.
static void
s_number_print (char *text, size_t size, int64_t number)
{
    static const char *const units[] = {"", "K", "M", "G"};
    int unit = 0;
    for (; number && number % 1024 == 0 && unit < 3; unit++)
        number /= 1024;
    snprintf (text, size, "%" PRId64 "%s", number, units[unit]);
}

//  A row of the help: its default is read from its variable.
static void
s_option_print (const zb_option_t *self, const char *name, FILE *out)
{
    char value[64] = "", number[32];
    if (self->number) {
        s_number_print (number, sizeof number, *self->number);
        snprintf (value, sizeof value, " (%s)", number);
    }
    else if (self->text && *self->text && **self->text && !self->secret)
        snprintf (value, sizeof value, " (%s)", *self->text);
    fprintf (out, "  %-24s %s%s", name, self->help, value);
    if (self->env)
        fprintf (out, "; or %s", self->env);
    fprintf (out, "\n");
}

//  Has an argument a default, or was it given?
static bool
s_has_value (const zb_option_t *argument)
{
    return argument->list ? argument->list->count > 0 : *argument->text != NULL;
}

//  The rows that parse are the rows that are printed: the help cannot say what
//  is not so.
static void
s_usage_print (const zb_mode_t *self, FILE *out)
{
    const zb_option_t *option;
    char name[64];
    int i = 0;
    fprintf (out, "usage: zibrato %s", self->name);
    for (option = self->arguments; option && option->name && !option->list;
         option++)
        fprintf (out, s_has_value (option) ? " [%s]" : " %s", option->name);
    fprintf (out, "%s", *self->tables ? " [OPTION]..." : "");
    if (option && option->name)
        fprintf (out, " -- %s...", option->name);
    fprintf (out, "\n%s.\n\n", self->summary);
    for (option = self->arguments; option && option->name; option++)
        s_option_print (option, option->name, out);
    option = NULL;
    while ((option = s_option_next (self, option, &i))) {
        snprintf (name, sizeof name, "--%s %s", option->name,
                  option->argument ? option->argument : "");
        s_option_print (option, name, out);
    }
    fprintf (out, "  %-24s %s\n", "--help", "print this, and end");
}

void
usage_die (const zb_mode_t *self, const char *format, ...)
{
    va_list args;
    va_start (args, format);
    fprintf (stderr, "zibrato: ");
    vfprintf (stderr, format, args);
    fprintf (stderr, "\n");
    va_end (args);
    s_usage_print (self, stderr);
    exit (2);
}

int
option_number (const char *text, int64_t *number)
{
    static const char units[] = "KMG";
    const char *unit;
    char *end;
    errno = 0;
    *number = strtoll (text, &end, 10);
    if (end == text || errno)
        return -1;
    unit = *end ? strchr (units, toupper ((unsigned char) *end)) : NULL;
    if (unit) {
        int shift = 10 * (int) (unit - units + 1);
        if (*number > INT64_MAX >> shift || *number < 0)
            return -1;
        *number <<= shift;
        end++;
    }
    return *end ? -1 : 0;
}

//  The place of an option in s_origin, the first free one if it is not there.
static int
s_origin_find (const zb_option_t *option)
{
    int i = 0;
    while (i < OPTIONS_MAX - 1 && s_origin[i].option
           && s_origin[i].option != option)
        i++;
    return i;
}

//  Remembers where an option's value comes from; the last one holds. Takes the
//  text over, or NULL.
static void
s_origin_set (const zb_option_t *option, const char *from, char *text)
{
    int i = s_origin_find (option);
    s_origin[i].option = option;
    s_origin[i].origin = s_reading;
    snprintf (s_origin[i].from, sizeof s_origin[i].from, "%s", from);
    free (s_origin[i].text);
    s_origin[i].text = text;
}

static void
s_list_clear (zb_list_t *list)
{
    while (list->count)
        free ((char *) list->texts[--list->count]);
    free (list->texts);
    list->texts = NULL;
}

static void
s_origins_clear (void)
{
    for (int i = 0; i < OPTIONS_MAX; i++) {
        if (s_origin[i].option && s_origin[i].option->list)
            s_list_clear (s_origin[i].option->list);
        free (s_origin[i].text);
    }
    memset (s_origin, 0, sizeof s_origin);
}

//  Adds to what is read; what was read at an earlier origin does not hold any more.
static void
s_list_add (const zb_option_t *self, const char *value)
{
    zb_list_t *list = self->list;
    if (s_origin[s_origin_find (self)].origin != s_reading)
        s_list_clear (list);
    list->texts =
      realloc (list->texts, (list->count + 1) * sizeof *list->texts);
    assert (list->texts);
    list->texts[list->count++] = strdup (value);
}

static int
s_flag_read (const char *value, int *flag)
{
    static const char *const words[] = {"no", "yes",   "off",
                                        "on", "false", "true"};
    for (int i = 0; i < 6; i++)
        if (streq (value, words[i])) {
            *flag = i & 1;
            return 0;
        }
    return -1;
}

//  Returns NULL, or what was expected. Secrets are copied and wiped where ps
//  shows them: in argv and the environment. A flag of the command line has no
//  value.
static const char *
s_option_set (const zb_option_t *self, char *value)
{
    static char expected[96];
    int64_t number;
    if (self->flag && !value)
        *self->flag = 1;
    else if (self->flag)
        return s_flag_read (value, self->flag) == 0 ? NULL : "yes or no";
    else if (self->list)
        s_list_add (self, value);
    else if (self->text)
        *self->text = self->secret ? strdup (value) : value;
    else if (option_number (value, &number) == 0 && number >= self->min
             && number <= self->max)
        *self->number = number;
    else {
        snprintf (expected, sizeof expected,
                  "a number from %" PRId64 " to %" PRId64, self->min,
                  self->max);
        return expected;
    }
    if (self->secret)
        memset (value, 'x', strlen (value));
    return NULL;
}

//  The same, or ends the program.
static void
s_option_must (const zb_option_t *self, char *value, const char *from)
{
    const char *expected = s_option_set (self, value);
    s_origin_set (self, from, NULL);
    if (expected)
        die ("--%s %s: expected %s", self->name, value, expected);
}

static const zb_option_t *
s_option_find (const zb_mode_t *mode, const char *name, size_t size)
{
    const zb_option_t *option = NULL;
    int i = 0;
    while ((option = s_option_next (mode, option, &i)))
        if (strlen (option->name) == size
            && memcmp (option->name, name, size) == 0)
            return option;
    return NULL;
}

//  --------------------------------------------------------------------------
//  Where options come from: the file, then variables, then the command line

//  Handler for config_read.
static const char *
s_config_key (void *argument, const char *key, char *value, int line)
{
    static char wrong[512];
    const zb_option_t *option =
      s_option_find ((const zb_mode_t *) argument, key, strlen (key));
    char from[sizeof s_origin->from], *text;
    const char *expected;
    if (!option || option->text == &s_config || option->flag == &s_check) {
        snprintf (wrong, sizeof wrong, "%.200s: no such option", key);
        return wrong;
    }
    snprintf (from, sizeof from, "%s:%d", s_config, line);
    text = strdup (value);
    expected = s_option_set (option, text);
    s_origin_set (option, from, text);
    if (!expected)
        return NULL;
    snprintf (wrong, sizeof wrong, "%.200s = %.200s: expected %s", key, value,
              expected);
    return wrong;
}

static void
s_options_environment (const zb_mode_t *mode)
{
    const zb_option_t *option = NULL;
    char from[sizeof s_origin->from];
    int i = 0;
    while ((option = s_option_next (mode, option, &i))) {
        char *value = option->env ? getenv (option->env) : NULL;
        snprintf (from, sizeof from, "%s", option->env ? option->env : "");
        if (value && *value)
            s_option_must (option, value, from);
    }
}

//  --name VALUE, --name=VALUE or --flag at argv[i]. Returns the last place that
//  it takes. The first time only the name of the file is looked for.
static int
s_option_parse (const zb_mode_t *mode, int i, int argc, char **argv, bool first)
{
    char *name = argv[i] + 2, *value = strchr (argv[i], '=');
    const zb_option_t *option = s_option_find (
      mode, name, value ? (size_t) (value - name) : strlen (name));
    if (!option)
        usage_die (mode, "%.*s: no such option", (int) strcspn (argv[i], "="),
                   argv[i]);
    if (value && option->flag)
        usage_die (mode, "--%s takes no value", option->name);
    if (value)
        value++;
    else if (!option->flag && i + 1 < argc)
        value = argv[++i];
    else if (!option->flag)
        usage_die (mode, "--%s: expected %s", option->name, option->argument);
    if (!first || option->text == &s_config)
        s_option_must (option, value, "command line");
    return i;
}

static void
s_options_words (const zb_mode_t *mode, int argc, char **argv, bool first)
{
    const zb_option_t *argument = mode->arguments;
    bool words = false;  //  behind "--", or behind a word of a list
    int i;
    for (i = 0; i < argc; i++)
        if (!words && (streq (argv[i], "--help") || streq (argv[i], "-h"))) {
            if (first)
                return;
            s_usage_print (mode, stdout);
            exit (0);
        }
        else if (!words && streq (argv[i], "--"))
            words = true;
        else if (!words && strncmp (argv[i], "--", 2) == 0)
            i = s_option_parse (mode, i, argc, argv, first);
        else if (!argument || !argument->name || (!words && *argv[i] == '-'))
            usage_die (mode, "%s: expected an option", argv[i]);
        else {
            if (!first)
                s_option_must (argument, argv[i], "command line");
            words |= argument->list != NULL;
            argument += !argument->list;
        }
    if (argument && argument->name && !s_has_value (argument) && !first)
        usage_die (mode, "expected %s", argument->name);
}

void
options_parse (const zb_mode_t *mode, int argc, char **argv)
{
    const char *wrong = NULL;
    s_parsed = mode;
    s_config = NULL;
    s_origins_clear ();
    s_reading = ORIGIN_FILE;
    s_options_words (mode, argc, argv, true);
    if (s_config)
        wrong = config_read (s_config, mode->name, s_config_key, (void *) mode);
    if (wrong)
        die ("--config %s", wrong);
    s_reading = ORIGIN_VARIABLE;
    s_options_environment (mode);
    s_reading = ORIGIN_WORD;
    s_options_words (mode, argc, argv, false);
}

//  Where an option was given, -1 if it was not.
static int
s_origin_of (const char **text)
{
    for (int i = 0; i < OPTIONS_MAX && s_origin[i].option; i++)
        if (s_origin[i].option->text == text)
            return (int) s_origin[i].origin;
    return -1;
}

bool
options_outrank (const char **text, const char **other)
{
    return s_origin_of (text) > s_origin_of (other);
}

//  --------------------------------------------------------------------------
//  What holds

static void
s_value_report (const zb_option_t *self, const char *value)
{
    int i = s_origin_find (self);
    if (!value || !*value)
        value = "-";
    else if (self->secret)
        value = "(not shown)";
    printf ("  %-16s %-32s %s\n", self->name, value,
            s_origin[i].option == self ? s_origin[i].from : "default");
}

//  A line, or one for each text of a list.
static void
s_option_report (const zb_option_t *self)
{
    char number[32];
    if (self->number) {
        s_number_print (number, sizeof number, *self->number);
        s_value_report (self, number);
    }
    else if (self->flag)
        s_value_report (self, *self->flag ? "yes" : "no");
    else if (self->text)
        s_value_report (self, *self->text);
    else if (!self->list->count)
        s_value_report (self, NULL);
    for (size_t i = 0; self->list && i < self->list->count; i++)
        s_value_report (self, self->list->texts[i]);
}

bool
options_checked (void)
{
    const zb_option_t *option = NULL;
    int i = 0;
    if (!s_check)
        return false;
    while ((option = s_option_next (s_parsed, option, &i)))
        if (option->flag != &s_check)
            s_option_report (option);
    return true;
}
