/*  options - rows of a table that parse the command line and print the help

    The rows are zb_option_t, of zibrato_backend.h: a mode has its own, and a
    backend adds some.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_OPTIONS_H
#define ZB_OPTIONS_H

#include "zibrato_backend.h"

#include <stdbool.h>

enum { TABLES_MAX = 2 };

//  A mode of the executable.
typedef struct {
    const char *name, *summary;
    const zb_option_t *tables[TABLES_MAX];
    //  Without "--", in this order; who has no default must be given. A list, which
    //  is the last one, takes all words that are left
    const zb_option_t *arguments;
    int (*run) (void);  //  with the options read; returns the exit status
} zb_mode_t;

//  A whole number, with K, M or G for 1024 and its powers. Returns 0, or -1.
int option_number (const char *text, int64_t *number);

//  Reads the file of --config, then variables, then the command line: the last one
//  holds. "--" ends the options. What argv and the environment have must stay, as
//  must the mode. Ends the program if that fails (status 2: a word that we do not
//  know; 1: a value that cannot be used), or if help is asked for (0).
void options_parse (const zb_mode_t *mode, int argc, char **argv);

//  Was the first of two options, which are known by their variables, given at a later
//  place than the other: on the command line, and that one in the file?
bool options_outrank (const char **text, const char **other);

//  With --check: prints which options hold and where they come from, and returns
//  true; then the mode ends with status 0. To be called when the options have
//  been looked over, before anything is opened.
bool options_checked (void);

//  Ends the program for a word that we do not know: exit status 2.
void usage_die (const zb_mode_t *self, const char *format, ...)
  __attribute__ ((format (printf, 2, 3), noreturn));

#endif
