/*  options - the command line and the help. The contract is in options.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "options.h"

#include "log.h"

#include <ctype.h>
#include <czmq.h>

//  A default, in the largest unit that option_number reads.
static void
s_number_print (char *text, size_t size, int64_t number)
{
    static const char *const units[] = {"", "K", "M", "G"};
    int unit = 0;
    for (; number && number % 1024 == 0 && unit < 3; unit++)
        number /= 1024;
    snprintf (text, size, " (%" PRId64 "%s)", number, units[unit]);
}

//  A row of the help: its default is read from its variable.
static void
s_option_print (const zb_option_t *self, const char *name, FILE *out)
{
    char value[64] = "";
    if (self->number)
        s_number_print (value, sizeof value, *self->number);
    else if (self->text && *self->text && **self->text && !self->secret)
        snprintf (value, sizeof value, " (%s)", *self->text);
    fprintf (out, "  %-24s %s%s", name, self->help, value);
    if (self->env)
        fprintf (out, "; or %s", self->env);
    fprintf (out, "\n");
}

//  The rows that parse are the rows that are printed: the help cannot say what
//  is not so.
static void
s_usage_print (const zb_mode_t *self, FILE *out)
{
    const zb_option_t *option;
    char name[64];
    int i;
    fprintf (out, "usage: zibrato %s", self->name);
    for (option = self->arguments; option && option->name; option++)
        fprintf (out, *option->text ? " [%s]" : " %s", option->name);
    fprintf (out, "%s\n%s.\n\n", *self->tables ? " [OPTION]..." : "",
             self->summary);
    for (option = self->arguments; option && option->name; option++)
        s_option_print (option, option->name, out);
    for (i = 0; i < TABLES_MAX; i++)
        for (option = self->tables[i]; option && option->name; option++) {
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

//  Secrets are copied and wiped where ps shows them: in argv and the
//  environment.
static void
s_option_set (const zb_option_t *self, char *value)
{
    int64_t number;
    if (self->flag)
        *self->flag = 1;
    else if (self->text && self->secret) {
        *self->text = strdup (value);
        memset (value, 'x', strlen (value));
    }
    else if (self->text)
        *self->text = value;
    else if (option_number (value, &number) == 0 && number >= self->min
             && number <= self->max)
        *self->number = number;
    else
        die ("--%s %s: expected a number from %" PRId64 " to %" PRId64,
             self->name, value, self->min, self->max);
}

//  The mode's own options come first, so that a backend may not be shadowed.
static const zb_option_t *
s_option_find (const zb_mode_t *mode, const char *name, size_t size)
{
    const zb_option_t *option;
    int i;
    for (i = 0; i < TABLES_MAX; i++)
        for (option = mode->tables[i]; option && option->name; option++)
            if (strlen (option->name) == size
                && memcmp (option->name, name, size) == 0)
                return option;
    return NULL;
}

//  Variables first: what the command line says wins.
static void
s_options_environment (const zb_mode_t *mode)
{
    const zb_option_t *option;
    int i;
    for (i = 0; i < TABLES_MAX; i++)
        for (option = mode->tables[i]; option && option->name; option++) {
            char *value = option->env ? getenv (option->env) : NULL;
            if (value && *value)
                s_option_set (option, value);
        }
}

//  --name VALUE, --name=VALUE or --flag at argv[i]. Returns the last place that
//  it takes.
static int
s_option_parse (const zb_mode_t *mode, int i, int argc, char **argv)
{
    char *name = argv[i] + 2, *value = strchr (argv[i], '=');
    const zb_option_t *option = s_option_find (
      mode, name, value ? (size_t) (value - name) : strlen (name));
    if (!option)
        usage_die (mode, "%s: no such option", argv[i]);
    if (value && option->flag)
        usage_die (mode, "--%s takes no value", option->name);
    if (value)
        value++;
    else if (!option->flag && i + 1 < argc)
        value = argv[++i];
    else if (!option->flag)
        usage_die (mode, "--%s: expected %s", option->name, option->argument);
    s_option_set (option, value);
    return i;
}

void
options_parse (const zb_mode_t *mode, int argc, char **argv)
{
    const zb_option_t *argument = mode->arguments;
    int i;
    s_options_environment (mode);
    for (i = 0; i < argc; i++)
        if (streq (argv[i], "--help") || streq (argv[i], "-h")) {
            s_usage_print (mode, stdout);
            exit (0);
        }
        else if (strncmp (argv[i], "--", 2) == 0)
            i = s_option_parse (mode, i, argc, argv);
        else if (argument && argument->name && *argv[i] != '-')
            s_option_set (argument++, argv[i]);
        else
            usage_die (mode, "%s: expected an option", argv[i]);
    if (argument && argument->name && !*argument->text)
        usage_die (mode, "expected %s", argument->name);
}
