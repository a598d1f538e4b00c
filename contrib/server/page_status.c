/*  page_status - one line: how much there is, how new it is, and what was lost

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "page.h"
#include "inbox.h"
#include "out.h"
#include "sql.h"

#include <time.h>

//  The ID of the first row, of a store in which nothing was packed yet; else 0.
static const char s_oldest[] =
  "SELECT CASE WHEN EXISTS (SELECT 1 FROM series WHERE first IS NOT NULL)"
  " THEN 0 ELSE (SELECT min (id) FROM inbox) END";

//  Is there a metric that is not one of Zibrato itself?
static const char s_others[] =
  "SELECT EXISTS (SELECT 1 FROM metric WHERE name NOT LIKE 'zibrato.%')";

enum { LOST_S = 86400 };  //  losses of a day are news

static void
s_answer (web_request_t *request)
{
    store_stats_t stats;
    sqlite3 *db = reader_db (request->reader);
    buffer_t *out = &request->out;
    int64_t now = (int64_t) time (NULL);
    double lost = page_lost (request->reader, now - LOST_S, now + 1);
    struct timespec clock;
    store_stats (request->store, &stats);
    clock_gettime (CLOCK_REALTIME, &clock);
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {{"metrics", (int64_t) stats.metrics},
                   {"series", (int64_t) stats.series},
                   {"received", (int64_t) stats.received},
                   {"stored", (int64_t) stats.stored},
                   {"repeated", (int64_t) stats.repeated},
                   {"refused", (int64_t) stats.refused},
                   {"failing", stats.failing},
                   {"newest", stats.newest_s},
                   {"bytes", stats.bytes},
                   {"disk_bytes", store_disk_bytes (request->store)},
                   {"max_bytes", stats.max_bytes},
                   {"oldest", inbox_time (sql_number (db, s_oldest))},
                   {"others", sql_number (db, s_others)},
                   {"lost_s", LOST_S}};
    if (lost < 0) {
        page_failed (request);
        return;
    }
    out_begin (out, '{');
    out_key (out, "now");
    out_number (out, (double) clock.tv_sec + (double) clock.tv_nsec / 1e9);
    out_key (out, "lost");
    out_number (out, lost);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        out_key (out, numbers[i].name);
        out_integer (out, numbers[i].value);
    }
    out_end (out, '}');
}

void
page_status (web_request_t *request)
{
    page_of_one_moment (request, s_answer);
}
