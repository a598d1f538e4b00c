/*  config - a file of options. The contract is in config.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "config.h"

#include <czmq.h>

typedef struct {
    const char *section;
    config_fn *each;
    void *argument;
    bool sections;   //  there was one
    bool ours, any;  //  this is that one, and there was such
} reading_t;

//  The text without the blanks around it.
static char *
s_trim (char *text)
{
    char *end;
    text += strspn (text, " \t");
    end = text + strlen (text);
    while (end > text && strchr (" \t\r\n", end[-1]))
        end--;
    *end = 0;
    return text;
}

static const char *
s_section (reading_t *self, char *text)
{
    char *end = strchr (text, ']');
    if (!end || end[1] || end == text + 1)
        return "expected [MODE]";
    *end = 0;
    self->sections = true;
    self->ours = streq (s_trim (text + 1), self->section);
    self->any |= self->ours;
    return NULL;
}

//  Reads a line. Returns NULL, or what is wrong with it.
static const char *
s_line (reading_t *self, char *text, int line)
{
    char *value;
    size_t size;
    text = s_trim (text);
    if (!*text || *text == '#' || *text == ';')
        return NULL;
    if (*text == '[')
        return s_section (self, text);
    //  what is no name may be a secret: it is not repeated
    size = strspn (text, "abcdefghijklmnopqrstuvwxyz0123456789-");
    value = text + size + strspn (text + size, " \t");
    if (size == 0 || *value != '=')
        return "expected NAME = VALUE";
    if (!self->sections)
        return "expected [MODE] before it";
    text[size] = 0;
    return self->ours
             ? self->each (self->argument, text, s_trim (value + 1), line)
             : NULL;
}

//  Reads all lines. Returns NULL, or what is wrong with the last one.
static const char *
s_lines (reading_t *self, FILE *file, int *line)
{
    const char *wrong = NULL;
    char *text = NULL;
    size_t room = 0;
    while (!wrong && getline (&text, &room, file) != -1)
        wrong = s_line (self, text, ++*line);
    free (text);
    return wrong;
}

const char *
config_read (const char *path, const char *section, config_fn *each,
             void *argument)
{
    static char says[PATH_MAX + 1024];
    reading_t self = {.section = section, .each = each, .argument = argument};
    FILE *file = fopen (path, "r");
    int line = 0;
    const char *wrong = file ? s_lines (&self, file, &line) : NULL;
    *says = 0;
    if (!file || ferror (file))
        snprintf (says, sizeof says, "%s: %s", path, strerror (errno));
    else if (wrong)
        snprintf (says, sizeof says, "%s:%d: %s", path, line, wrong);
    else if (!self.any)
        snprintf (says, sizeof says, "%s: expected a section [%s]", path,
                  section);
    if (file)
        fclose (file);
    return *says ? says : NULL;
}
