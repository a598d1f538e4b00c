/*  levels - what a worker wants. The contract is in levels.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "levels.h"

#include "line.h"
#include "mark.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

//  ZeroMQ before 4.3.5 breaks a connection when it comes to a subscription of
//  246 to 255 bytes (libzmq issue 4367), and would do so for ever. The
//  subscription is the level and a '|'.
static int
s_breaks_zmq (size_t size)
{
    int major, minor, patch;
    zmq_version (&major, &minor, &patch);
    return size >= 245 && size <= 254
           && ZMQ_MAKE_VERSION (major, minor, patch)
                < ZMQ_MAKE_VERSION (4, 3, 5);
}

const char *
levels_check (const char *levels)
{
    enum { LEVELS_MAX = TOPICS_OF_ONE - TOPICS_OWN };
    static char wrong[96];
    const char *at = levels, *end;
    size_t count = 0;
    for (; *levels && at; at = *end ? end + 1 : NULL) {
        end = at + strcspn (at, ",");
        if (!line_label_ok (at, (size_t) (end - at)))
            return "expected labels separated by commas";
        if (s_breaks_zmq ((size_t) (end - at)))
            return "one of 245 to 254 bytes breaks connections of this ZeroMQ "
                   "(libzmq issue 4367)";
        count++;
    }
    if (count <= LEVELS_MAX)
        return NULL;
    snprintf (wrong, sizeof wrong, "%zu of them; a broker takes %d of a worker",
              count, LEVELS_MAX);
    return wrong;
}

enum { OWN_NAME_MAX = 64 };  //  bytes of a name by mode and levels, and the 0

//  The same in each process, so not table_hash (FNV-1a, Fowler, Noll and Vo).
static uint32_t
s_hash (const char *text)
{
    uint32_t hash = 2166136261u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char) *text) * 16777619u;
    return hash;
}

static void
s_name (char name[OWN_NAME_MAX], const char *mode, const char *levels)
{
    int length =
      snprintf (name, OWN_NAME_MAX, "%s%s%s", mode, *levels ? "." : "", levels);
    char *c;
    if (length >= OWN_NAME_MAX)
        snprintf (name, OWN_NAME_MAX, "%.48s.%08" PRIx32, mode,
                  s_hash (levels));
    for (c = name; (c = strchr (c, ','));)
        *c = '.';
}

const char *
levels_source (char source[256], const char *name, const char *mode,
               const char *levels)
{
    enum { GIVEN_MAX = LINE_LABEL_MAX - HOST_NAME_MAX - 1 };
    static char wrong[64];
    char host[HOST_NAME_MAX + 1] = "", own[OWN_NAME_MAX];
    if (name
        && (strlen (name) > GIVEN_MAX
            || !line_label_ok (name, strlen (name)))) {
        snprintf (wrong, sizeof wrong, "expected a label of 1 to %d bytes",
                  GIVEN_MAX);
        return wrong;
    }
    gethostname (host, sizeof host - 1);
    s_name (own, mode, levels);
    snprintf (source, 256, "%s.%s", host, name ? name : own);
    return NULL;
}
