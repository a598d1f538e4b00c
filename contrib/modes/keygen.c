/*  keygen - a CURVE certificate, two files

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "curve.h"
#include "log.h"
#include "modes.h"

#include <stdio.h>

static struct {
    const char *dir, *name;
} s_keygen = {.name = "server"};

// clang-format off
static const zb_option_t s_keygen_arguments[] = {
  {.name = "DIR", .text = &s_keygen.dir,
   .help = "where it goes; made if it is not there"},
  {.name = "NAME", .text = &s_keygen.name,
   .help = "NAME is the public half, NAME_secret has both"},
  {.name = NULL}};
// clang-format on

static int
keygen_run (void)
{
    char key[CERTIFICATE_KEY];
    const char *wrong = curve_keygen (s_keygen.dir, s_keygen.name, key);
    if (wrong)
        die ("keygen: %s", wrong);
    printf ("public  %s/%s\nsecret  %s/%s_secret\nkey     %s\n", s_keygen.dir,
            s_keygen.name, s_keygen.dir, s_keygen.name, key);
    return 0;
}

const zb_mode_t zb_keygen_mode = {
  .name = "keygen",
  .summary =
    "Makes a CURVE certificate: a key pair for a broker, program or worker",
  .arguments = s_keygen_arguments,
  .run = keygen_run};
