/*  faults - what is wrong with a broker's peers, in its health and its log

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_FAULTS_H
#define ZB_FAULTS_H

#include "peers.h"

typedef struct {
    struct {
        uint64_t published, logged;
        int64_t quiet_ms;  //  no log line before
    } told[PEERS_FAULTS];
} faults_t;

//  What is new in the counts is counted by the default instance, and logged when
//  it begins and then once in a while: a flood makes no flood of lines.
void faults_tell (faults_t *self, const uint64_t counts[PEERS_FAULTS],
                  int64_t now_ms);

#endif
