/*  fuzz_options.c - whatever the command line of a worker is, it is taken with
    each value in its range, or the program ends with 0, 1 or 2

    Each line of the input is a word.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  What ends the program comes back here instead, without freeing.
//  fuzz: -max_len=512 -detect_leaks=0

#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>

static jmp_buf s_end;
static int s_status;

__attribute__ ((noreturn)) static void
s_exit (int status)
{
    s_status = status;
    longjmp (s_end, 1);
}

#define exit  s_exit
#define _exit s_exit
#include "../../contrib/core/log.c"
#include "../../contrib/core/options.c"
#include "fuzz.h"
#undef exit
#undef _exit

static const zb_mode_t s_usage = {
  .name = "fuzz",
  .summary = "Takes any options",
  .tables = {s_broker_options, s_worker_options}};

static void
s_check_ranges (const zb_option_t *option)
{
    for (; option->name; option++)
        if (option->number)
            CHECK (*option->number >= option->min
                   && *option->number <= option->max);
}

static void
s_parse (int argc, char **argv)
{
    static const zb_backend_t backend = {.name = "fuzz"};
    flush_t flush = {.backend = &backend};
    size_t i;
    options_parse (&s_usage, argc, argv);
    s_check_ranges (s_broker_options);
    s_check_ranges (s_worker_options);
    if (flush_percentiles (&flush, s_worker.percentiles))
        return;
    CHECK (flush.percentiles <= PERCENTILES_MAX);
    for (i = 0; i < flush.percentiles; i++)
        CHECK (flush.percentile[i] > 0 && flush.percentile[i] < 100);
}

//  The defaults again: texts are those of the last command line.
static void
s_reset (void)
{
    static __typeof__ (s_broker) broker;
    static __typeof__ (s_worker) worker;
    static int known;
    if (!known++) {
        broker = s_broker;
        worker = s_worker;
    }
    s_broker = broker;
    s_worker = worker;
}

static void
fuzz (const char *text, size_t size)
{
    enum { WORDS_MAX = 32 };
    char *argv[WORDS_MAX], *copy = strndup (text, size), *rest = copy;
    int argc = 0;
    s_reset ();
    while (rest && argc < WORDS_MAX)
        argv[argc++] = strsep (&rest, "\n");
    if (setjmp (s_end) == 0)
        s_parse (argc, argv);
    else
        CHECK (s_status >= 0 && s_status <= 2);
    free (copy);
}
