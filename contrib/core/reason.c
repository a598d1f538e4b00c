/*  reason - why a handshake failed. The contract is in reason.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "reason.h"

#include "curve.h"

enum {
    NO_CURVE_THERE,  //  the row is for who has CURVE
    NO_CURVE_HERE,   //  or for who has not
    ANY
};

//  One failure, in the words of either side.
static const struct {
    int event, value;  //  0: any
    int here;          //  for whom the row is
    const char *worker, *broker;
} s_reasons[] = {
  {ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, CURVE_OTHER_PORT, ANY,
   "the broker lists our key for programs only: move the public half of "
   "--curve-cert to the folder workers of its --authorized folder, and send it "
   "SIGHUP",
   "its key is not listed for this port, but for the other one"},
  {ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, CURVE_NOT_LISTED, ANY,
   "the broker does not list our key: add the public half of --curve-cert to "
   "its --authorized folder, and send it SIGHUP",
   "its key is not listed"},
  {ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, 0, ANY, "the broker could not look up keys",
   "the keys could not be looked up"},
  {ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL,
   ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH, NO_CURVE_THERE,
   "the broker has no CURVE: leave out --curve-server and --curve-cert, or "
   "start it with --curve",
   "it has no CURVE"},
  {ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL,
   ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH, NO_CURVE_HERE,
   "the broker wants CURVE: give --curve-server and --curve-cert",
   "it wants CURVE, and this broker has none"},
  {ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL, ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC,
   ANY, "the broker has another key than --curve-server",
   "it has a wrong key of this broker"},
  {ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL, 0, ANY,
   "it answers, but not as a broker does", "it does not speak ZMTP"},
  {ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, 0, NO_CURVE_THERE,
   "the connection was closed at once: is --curve-server the broker's key, and "
   "has it CURVE?",
   "it broke off the handshake: has it CURVE?"},
  {ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, 0, NO_CURVE_HERE,
   "the connection was closed at once: is that a broker's upper port, and does "
   "it want --curve-server and --curve-cert?",
   "it broke off the handshake"},
};

static int
s_row (int event, int value, int curve)
{
    int rows = sizeof s_reasons / sizeof *s_reasons, row;
    for (row = 0; row < rows; row++)
        if (s_reasons[row].event == event
            && (s_reasons[row].value == 0 || s_reasons[row].value == value)
            && (s_reasons[row].here == ANY
                || s_reasons[row].here
                     == (curve ? NO_CURVE_THERE : NO_CURVE_HERE)))
            return row;
    return -1;
}

const char *
reason_worker (int event, int value, int curve)
{
    int row = s_row (event, value, curve);
    return row == -1 ? NULL : s_reasons[row].worker;
}

const char *
reason_broker (int event, int value, int curve)
{
    int row = s_row (event, value, curve);
    return row == -1 ? NULL : s_reasons[row].broker;
}
