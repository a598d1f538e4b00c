/*  faults - what is wrong with a broker's peers. The contract is in faults.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "faults.h"

#include "zibrato.h"
#include "zibrato_backend.h"

#include <inttypes.h>
#include <syslog.h>

enum { QUIET_MS = 10000 };  //  between two lines of one kind

// clang-format off
static const struct {
    const char *measurement, *event, *reason;
} s_faults[PEERS_FAULTS] = {
  [PEERS_IGNORED] = {"zibrato.broker.ignored", "ignored",
                     "messages of workers that are no subscriptions"},
  [PEERS_MARKS] = {"zibrato.broker.ignored", "ignored",
                   "messages of programs that look like marks"},
  [PEERS_REFUSED] = {"zibrato.broker.refused", NULL, NULL},
  [PEERS_MISSED] = {"zibrato.broker.missed", "missed",
                    "messages for workers that did not come back, at most"},
  [PEERS_CROWD] = {"zibrato.broker.cut", "cut", "too many connections"},
  [PEERS_GREEDY] = {"zibrato.broker.cut", "cut", "too many subscriptions"},
  [PEERS_ENDLESS] = {"zibrato.broker.cut", "cut", "a message without an end"},
  [PEERS_SLOW] = {"zibrato.broker.cut", "cut", "does not read"},
  [PEERS_STILL] = {"zibrato.broker.cut", "cut", "the broker stood still"}};
// clang-format on

//  Logs what is new, unless that was done a moment ago.
static void
faults_log (faults_t *self, int fault, uint64_t count, int64_t now_ms)
{
    if (!s_faults[fault].event || count == self->told[fault].logged
        || now_ms < self->told[fault].quiet_ms)
        return;
    zb_log (LOG_WARNING, s_faults[fault].event, "reason=\"%s\" count=%" PRIu64,
            s_faults[fault].reason, count - self->told[fault].logged);
    self->told[fault].logged = count;
    self->told[fault].quiet_ms = now_ms + QUIET_MS;
}

void
faults_tell (faults_t *self, const uint64_t counts[PEERS_FAULTS],
             int64_t now_ms)
{
    int i, new_ones = 0;
    for (i = 0; i < PEERS_FAULTS; i++) {
        uint64_t more = counts[i] - self->told[i].published;
        if (more) {
            zb_count ("zibrato", s_faults[i].measurement,
                      .value = (double) more);
            self->told[i].published = counts[i];
            new_ones = 1;
        }
        faults_log (self, i, counts[i], now_ms);
    }
    if (new_ones)
        zb_flush (NULL, 0);
}
