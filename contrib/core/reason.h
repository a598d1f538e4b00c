/*  reason - why a handshake failed, in words for either side

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_REASON_H
#define ZB_REASON_H

//  What an event and its value mean (zmq_socket_monitor(3)), to a worker or a
//  broker with CURVE or without: a static text. NULL if no handshake has failed.
const char *reason_worker (int event, int value, int curve);
const char *reason_broker (int event, int value, int curve);

#endif
