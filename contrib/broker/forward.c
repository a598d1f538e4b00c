/*  forward - from the programs of a broker to its workers. The contract is in
    forward.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "forward.h"

enum {
    DRAINED_MS = 10,  //  then only a slow reader still has something to read
    BLAME_MS = 100,   //  at once
    THROW_MS = 2000,  //  to throw away what is old, at most,
    THROW_QUIET_MS = 300  //  and in which nothing comes
};

void
forward_init (forward_t *self, void *programs, void *workers, peers_t *peers,
              curve_t *curve)
{
    memset (self, 0, sizeof *self);
    self->programs = programs;
    self->workers = workers;
    self->peers = peers;
    self->curve = curve;
    zmq_msg_init (&self->message);
}

void
forward_done (forward_t *self)
{
    zmq_msg_close (&self->message);
}

//  Is the frame in hand one that goes to workers? What begins as a mark does
//  would be taken for one, and answers are for us.
static int
forward_admits (forward_t *self)
{
    const unsigned char *text = zmq_msg_data (&self->message);
    if (self->within)
        return !self->ignored;
    self->answer = 0;
    self->ignored =
      self->curve && !curve_admits (self->curve, &self->message, KEYS_PROGRAM);
    if (self->ignored || !zmq_msg_size (&self->message) || *text < MARK_BYTE)
        return !self->ignored;
    if (*text == MARK_BYTE)
        self->peers->faults[PEERS_MARKS]++;
    self->answer = peers_answer (self->peers, &self->message);
    self->ignored = *text == MARK_BYTE || self->answer;
    return !self->ignored;
}

//  Takes in the next frame. Returns 1 if it is to be sent, 0 if it is not, -1 if
//  there is none.
static int
forward_receive (forward_t *self)
{
    int size = zmq_msg_recv (&self->message, self->programs, ZMQ_DONTWAIT);
    int admitted;
    if (size == -1)
        return -1;
    admitted = forward_admits (self);
    if (!self->answer) {
        self->messages++;
        self->bytes += (uint64_t) size;
    }
    if (admitted && !self->within)
        marks_count (&self->peers->marks, zmq_msg_data (&self->message),
                     (size_t) size);
    if (self->peers->suspects)
        peers_met (self->peers, &self->message);
    self->within = zmq_msg_more (&self->message);
    return admitted;
}

//  Sends the frame in hand to all workers that want it. Returns -1 if one of
//  them has no room: then nobody has got it.
static int
forward_send (forward_t *self)
{
    int more = zmq_msg_more (&self->message) ? ZMQ_SNDMORE : 0;
    self->waits =
      zmq_msg_send (&self->message, self->workers, ZMQ_DONTWAIT | more) == -1
      && errno == EAGAIN;
    return self->waits ? -1 : 0;
}

//  The last frame of a message is followed by marks that are due: a reader that
//  never has room must not keep them from the others.
static int
forward_marks (forward_t *self)
{
    return self->within ? 0 : marks_send (&self->peers->marks, self->workers);
}

static forward_state_t
forward_some (forward_t *self)
{
    int messages, got;
    if (self->waits && forward_send (self) == -1)
        return FORWARD_PAUSED;
    if (forward_marks (self) == -1)
        return FORWARD_PAUSED;
    for (messages = 0; messages < FORWARD_SOME; messages++) {
        if (peers_held () == 1)
            return FORWARD_PAUSED;
        got = forward_receive (self);
        if (got == -1)
            return forward_marks (self) == -1 ? FORWARD_PAUSED : FORWARD_DONE;
        if (!got)
            continue;
        peers_hold (&self->message);
        if (forward_send (self) == -1)
            return FORWARD_PAUSED;
    }
    return FORWARD_AGAIN;
}

//  A message of which some frames are sent has to come to its end. Whom it
//  would be for is cut off.
static void
forward_finish (forward_t *self)
{
    int off = 0, on = 1;
    zmq_setsockopt (self->workers, ZMQ_XPUB_NODROP, &off, sizeof off);
    if (self->waits)
        forward_send (self);
    while (self->within
           && zmq_msg_recv (&self->message, self->programs, 0) != -1) {
        self->within = zmq_msg_more (&self->message);
        if (!self->ignored)
            forward_send (self);
    }
    zmq_setsockopt (self->workers, ZMQ_XPUB_NODROP, &on, sizeof on);
}

//  Time has passed that nobody noticed. What is here is as old, and so is what
//  the kernel has, which is to come.
static void
forward_stood_still (forward_t *self, int64_t now_ms)
{
    peers_cut_workers (self->peers);
    forward_finish (self);
    if (!self->throw_ms) {
        self->thrown = 0;
        self->still_ms = now_ms - self->turn_ms;
    }
    self->throw_ms = now_ms + THROW_MS;
    self->old_ms = now_ms;
}

//  Takes in what is too old. What comes next is not, when nothing came for a
//  while.
static forward_state_t
forward_throw (forward_t *self, int64_t now_ms)
{
    uint64_t before = self->messages;
    int messages, got = 0;
    for (messages = 0; got != -1 && (messages < FORWARD_SOME || self->within);
         messages++)
        got = forward_receive (self);
    self->thrown += self->messages - before;
    if (messages > 1)
        self->old_ms = now_ms;
    if (self->within
        || (now_ms < self->throw_ms && now_ms < self->old_ms + THROW_QUIET_MS))
        return got == -1 ? FORWARD_PAUSED : FORWARD_AGAIN;
    self->throw_ms = 0;
    zb_log (LOG_WARNING, "still",
            "ms=%" PRId64 " thrown_away=%" PRIu64
            " reason=\"the broker stood still, what it held is too old\"",
            self->still_ms, self->thrown);
    return FORWARD_AGAIN;
}

//  Programs wait, or wait no more. Only who still has not read when others have
//  had the time to is to blame. For a time in which we did not run nobody is.
static void
forward_pause (forward_t *self, int paused, int64_t now_ms)
{
    if (!paused)
        self->paused_ms = 0;
    else if (!self->paused_ms)
        self->paused_ms = self->charged_ms = now_ms;
    else if (now_ms >= self->paused_ms + DRAINED_MS
             && now_ms >= self->charged_ms + FORWARD_PAUSE_MS) {
        int64_t ms = now_ms - self->charged_ms;
        peers_blame (self->peers, ms < BLAME_MS ? ms : BLAME_MS);
        self->charged_ms = now_ms;
    }
}

forward_state_t
forward_turn (forward_t *self, int64_t now_ms)
{
    forward_state_t state;
    if (self->turn_ms && now_ms > self->turn_ms + FORWARD_STILL_MS)
        forward_stood_still (self, now_ms);
    self->turn_ms = now_ms;
    if (self->throw_ms)
        return forward_throw (self, now_ms);
    //  bytes that are held are given back a good part of before it goes on
    state = self->paused_ms && peers_held () >= 0 && !self->waits
              ? FORWARD_PAUSED
              : forward_some (self);
    forward_pause (self, state == FORWARD_PAUSED, now_ms);
    return state;
}
