/*  replay - what the service refused is sent again

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "log.h"
#include "modes.h"
#include "spool.h"

#include <stdio.h>

static const char *s_replay_dir;

// clang-format off
static const zb_option_t s_replay_arguments[] = {
  {.name = "DIR", .text = &s_replay_dir,
   .help = "the worker's --spool; it may be running"},
  {.name = NULL}};
// clang-format on

static void
replay_print (const char *name, const char *reason)
{
    printf ("%-28s  %s\n", name, reason);
}

static int
replay_run (void)
{
    int count = spool_replay (s_replay_dir, replay_print);
    if (count == -1)
        die ("replay %s: expected the folder of a worker's --spool:",
             s_replay_dir);
    printf ("%d refused row%s to be sent again%s\n", count,
            count == 1 ? "" : "s",
            count ? ", at the worker's next flush or start" : "");
    return 0;
}

const zb_mode_t zb_replay_mode = {
  .name = "replay",
  .summary =
    "Sends again what the service refused, after what was wrong is mended",
  .arguments = s_replay_arguments,
  .run = replay_run};
