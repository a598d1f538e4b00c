/*  peers - connections of a broker. The contract is in peers.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "peers.h"

#include <assert.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

enum {
    WORKER_BYTES_MAX = 64 * 1024,  //  of a worker, without one whole message
    BEATS_PER_SECOND = 64,         //  bytes that heartbeats may be
    DESCRIPTORS_KEPT = 64,         //  for other things than connections
    CHANGES_MAX = 4096,            //  of topics, of one worker, at once,
    CHANGES_A_LOOK = 100,          //  and in the long run
    HELD_MIN = 64,                 //  bytes; what is smaller costs no more
    BUFFER_MAX = 8192,             //  bytes that libzmq reads at once
    COPIED_MIN = 512 * 1024,       //  bytes that wait; keeps 64 MiB of buffers
    SAMPLE = 16 * 1024,            //  bytes that a small message stands for
    LOOKS = 16,                    //  in one go, a microsecond each
    RELIEF_MS = 500                //  until one sees what a cut was good for
};

//  Milliseconds. Not zclock_mono: czmq.h brings netinet/tcp.h, whose tcp_info
//  does not know the bytes received, and cannot stand beside linux/tcp.h.
static int64_t
s_now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

//  --------------------------------------------------------------------------
//  Connections: known by descriptor

//  Returns the place of a descriptor at one end, or NULL for what is none. The
//  ends report on their own, so that a descriptor may seem to be at both.
static peer_t *
peers_at (peers_t *self, peer_end_t end, int fd)
{
    size_t at = (size_t) fd * PEER_ENDS + end;
    if (fd < 0)
        return NULL;
    if (at >= self->size) {
        size_t size = (at + 64) * 2;
        self->peer = (peer_t *) realloc (self->peer, size * sizeof *self->peer);
        assert (self->peer);
        memset (self->peer + self->size, 0,
                (size - self->size) * sizeof *self->peer);
        self->size = size;
    }
    return self->peer + at;
}

static int
peers_fd (const peers_t *self, const peer_t *peer)
{
    return (int) ((size_t) (peer - self->peer) / PEER_ENDS);
}

static peer_end_t
peers_end (const peers_t *self, const peer_t *peer)
{
    return (peer_end_t) ((size_t) (peer - self->peer) % PEER_ENDS);
}

//  Connecting a socket to nowhere ends its connection at once, with what the
//  kernel holds of it; a shutdown would let libzmq read that to its end.
static void
peers_cut (peers_t *self, peer_t *peer, peers_fault_t fault)
{
    static const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    if (!peer->here || peer->cut)
        return;
    peer->cut = 1;
    self->faults[fault]++;
    connect (peers_fd (self, peer), &nowhere, sizeof nowhere);
}

static void
peers_unsuspect (peers_t *self, peer_t *peer)
{
    self->suspects -= (size_t) peer->suspect;
    peer->suspect = 0;
}

void
peers_came (peers_t *self, peer_end_t end, int fd)
{
    peer_t *peer = peers_at (self, end, fd);
    if (!peer)
        return;
    self->connected[end] += !peer->here;
    peer->here = 1;
    peer->cut = 0;
    peer->bytes = peer->bytes_met = 0;
    peer->met_ms = s_now_ms ();
    if (self->connected[end] > self->max)
        peers_cut (self, peer, PEERS_CROWD);
}

//  What a worker says may be seen before it is seen to come.
int
peers_went (peers_t *self, peer_end_t end, int fd)
{
    peer_t *peer = peers_at (self, end, fd);
    int spoke;
    if (!peer || !peer->here)
        return 1;
    peers_unsuspect (self, peer);
    self->connected[end]--;
    spoke = end == PEER_PROGRAM || peer->spoke || peer->cut;
    peer->here = peer->spoke = 0;
    peer->answered = 0;
    return spoke;
}

//  --------------------------------------------------------------------------
//  Descriptors

void
peers_init (peers_t *self, void *programs)
{
    struct rlimit files;
    memset (self, 0, sizeof *self);
    topics_init (&self->topics, programs);
    marks_init (&self->marks);
    farewell_init (&self->farewell, &self->topics, &self->marks);
    farewell_ask (&self->farewell);
    self->max = PEERS_MAX;
    if (getrlimit (RLIMIT_NOFILE, &files) != 0)
        return;
    files.rlim_cur = files.rlim_max;
    setrlimit (RLIMIT_NOFILE, &files);
    getrlimit (RLIMIT_NOFILE, &files);
    if (files.rlim_cur < DESCRIPTORS_KEPT * 2)
        self->max = DESCRIPTORS_KEPT / 4;
    else if ((files.rlim_cur - DESCRIPTORS_KEPT) / 4 < PEERS_MAX)
        self->max = (size_t) (files.rlim_cur - DESCRIPTORS_KEPT) / 4;
}

//  --------------------------------------------------------------------------
//  Messages of many frames: libzmq gathers them without a bound

void
peers_met (peers_t *self, zmq_msg_t *message)
{
    int fd = zmq_msg_get (message, ZMQ_SRCFD);
    peer_t *peer = peers_at (self, PEER_PROGRAM, fd);
    if (!peer)
        return;
    peers_unsuspect (self, peer);
    peer->bytes_met = peer->bytes;
    peer->met_ms = s_now_ms ();
}

//  Bytes that libzmq has read of a connection; what still waits in the kernel it
//  does not know. Never fewer than before: more may come between the two calls.
static uint64_t
peers_bytes_read (const peers_t *self, const peer_t *peer)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    int fd = peers_fd (self, peer), waits = 0;
    uint64_t bytes;
    if (getsockopt (fd, IPPROTO_TCP, TCP_INFO, &info, &size) == -1
        || ioctl (fd, SIOCINQ, &waits) == -1)
        return peer->bytes;
    bytes = (uint64_t) info.tcpi_bytes_received - (unsigned) waits;
    return (int64_t) (bytes - peer->bytes) > 0 ? bytes : peer->bytes;
}

//  Much was read since the last message that we looked at. From then on we look at
//  all messages; when as much was read again by the last look, and all that were
//  whole have been looked at since, it is in the midst of one that has no end. What
//  was read after the last look may be whole messages that are on their way to us.
static void
peers_look_endless (peers_t *self, peer_t *peer, int64_t now)
{
    uint64_t max = peers_end (self, peer) == PEER_WORKER ? WORKER_BYTES_MAX
                                                         : PROGRAM_BYTES_MAX;
    uint64_t last = peer->bytes;
    max += (uint64_t) (now - peer->met_ms) * BEATS_PER_SECOND / 1000;
    peer->bytes = peers_bytes_read (self, peer);
    if (peer->suspect && self->drained && last - peer->bytes_met > max)
        peers_cut (self, peer, PEERS_ENDLESS);
    else if (!peer->suspect && peer->bytes - peer->bytes_met > max) {
        peer->suspect = 1;
        peer->bytes_met = peer->bytes;
        self->suspects++;
    }
}

//  --------------------------------------------------------------------------
//  Subscriptions

//  The greediest has the most topics.
static void
peers_relieve_topics (peers_t *self)
{
    peer_t *peer, *most = NULL;
    int64_t now = s_now_ms ();
    if (now < self->relieved_ms + RELIEF_MS)
        return;
    self->relieved_ms = now;
    for (peer = self->peer; peer < self->peer + self->size; peer++)
        if (peer->here && !peer->cut
            && (!most || peer->wanted.size > most->wanted.size))
            most = peer;
    if (most)
        peers_cut (self, most, PEERS_GREEDY);
}

//  One connection less has the topic. If it is a worker's own, and the last,
//  then the worker is gone.
static void
peers_mark_gone (peers_t *self, const char *text, size_t size)
{
    uint64_t id = size == MARK_TOPIC_SIZE ? marks_id (text, size) : 0;
    if (id && !topics_has (&self->topics, text, size))
        marks_gone (&self->marks, id, s_now_ms ());
}

//  A descriptor that has a new connection wants nothing yet. (Its predecessor
//  does not, either: libzmq has said so, or will.)
static void
peers_identify (peer_t *peer, zmq_msg_t *message, const char *identity)
{
    if (peer->identity == identity)
        return;
    if (peer->said)
        zmq_msg_close (peer->said);
    else
        peer->said = (zmq_msg_t *) malloc (sizeof *peer->said);
    assert (peer->said);
    wanted_clear (&peer->wanted);
    zmq_msg_init (peer->said);
    zmq_msg_copy (peer->said, message);
    free (peer->budget);
    peer->budget = NULL;
    peer->identity = identity;
    peer->id = 0;
    peer->changes = 0;
}

//  Whose answer is missing? We look at all programs when there are answers enough,
//  some of which may be of others that have gone, and now and then.
static farewell_silence_t
peers_silence (const peers_t *self)
{
    const peer_t *peer = self->peer + PEER_PROGRAM;
    farewell_silence_t silence = {0, 0};
    for (; peer < self->peer + self->size; peer += PEER_ENDS)
        if (peer->here && peer->answered != self->farewell.question) {
            silence.silent += peer->answered == 0;
            silence.late += peer->answered != 0;
        }
    return silence;
}

static void
peers_farewell (peers_t *self)
{
    if (self->farewell.step)
        farewell_turn (&self->farewell, peers_silence (self), s_now_ms ());
}

//  It may be seen before its connection is seen to come. One to an older question
//  says that more may be on their way.
int
peers_answer (peers_t *self, zmq_msg_t *message)
{
    const char *text = zmq_msg_data (message);
    size_t size = zmq_msg_size (message);
    uint32_t question = topics_answer (&self->topics, text, size);
    peer_t *peer =
      question ? peers_at (self, PEER_PROGRAM, zmq_msg_get (message, ZMQ_SRCFD))
               : NULL;
    if (peer && peer->answered != question) {
        peer->answered = question;
        if (question == self->farewell.question
            && ++self->farewell.answers >= self->connected[PEER_PROGRAM])
            peers_farewell (self);
    }
    return topics_is_answer (text, size);
}

//  A topic is changed: it may be a worker's own, or one that is to be counted
//  for it.
static void
peers_mark (peers_t *self, peer_t *peer, int on, const char *text, size_t size)
{
    uint64_t id = marks_id (text, size);
    if (on && id && size == MARK_TOPIC_SIZE) {
        peer->id = id;
        marks_join (&self->marks, id, &peer->wanted);
    }
    else if (id && size == MARK_TOPIC_SIZE)
        peers_mark_gone (self, text, size);
    else if (id && on && id == peer->id && text[MARK_TOPIC_SIZE] == MARK_LEAVE)
        farewell_begin (&self->farewell, id, &peer->wanted, s_now_ms ());
    else if (peer->id)
        marks_change (&self->marks, peer->id, on, text, size);
}

//  libzmq tells on each message where it came from, but has no such to tell
//  when it makes unsubscriptions of one that is gone.
void
peers_said (peers_t *self, zmq_msg_t *message)
{
    const char *data = (const char *) zmq_msg_data (message);
    size_t size = zmq_msg_size (message);
    const char *identity = zmq_msg_gets (message, "__fd");
    peer_t *peer =
      identity ? peers_at (self, PEER_WORKER, atoi (identity)) : NULL;
    int ours = size > 0 && (data[0] == 0 || data[0] == 1);
    if (peer) {
        peers_unsuspect (self, peer);
        peers_identify (peer, message, identity);
        peer->spoke = 1;
        peer->bytes_met = peer->bytes;
        peer->met_ms = s_now_ms ();
    }
    if (!ours || zmq_msg_more (message))
        self->faults[PEERS_IGNORED]++;
    else if (!peer && data[0] == 0) {
        topics_drop (&self->topics, data + 1, size - 1);
        peers_mark_gone (self, data + 1, size - 1);
    }
    else if (peer
             && topics_change (&self->topics, &peer->wanted, data[0], data + 1,
                               size - 1)
                  == -1)
        self->faults[PEERS_IGNORED]++;
    else if (peer)
        peers_mark (self, peer, data[0], data + 1, size - 1);
    peers_farewell (self);
    if (!peer)
        return;
    if (peer->wanted.size > TOPICS_OF_ONE + TOPICS_OWN
        || ++peer->changes > CHANGES_MAX)
        peers_cut (self, peer, PEERS_GREEDY);
    else if (topics_full (&self->topics,
                          TOPICS_OWN * self->connected[PEER_WORKER]))
        peers_relieve_topics (self);
}

//  --------------------------------------------------------------------------
//  Readers that do not read: bytes wait for them

typedef struct {
    zmq_msg_t message;
    _Atomic size_t size;  //  written last, read first: hands over the rest
} held_t;

static _Atomic size_t s_held;  //  bytes

//  Any thread of libzmq's: the last reader has it.
static void
held_free (void *data, void *argument)
{
    held_t *self = (held_t *) argument;
    size_t size = self->size;
    (void) data;
    atomic_fetch_sub (&s_held, size);
    zmq_msg_close (&self->message);
    free (self);
}

//  What fits into one of libzmq's buffers would keep the whole buffer.
static void
held_copy (zmq_msg_t *message, size_t size)
{
    zmq_msg_t copy;
    int rc = zmq_msg_init_size (&copy, size);
    assert (rc == 0);
    memcpy (zmq_msg_data (&copy), zmq_msg_data (message), size);
    zmq_msg_move (message, &copy);
    zmq_msg_close (&copy);
}

//  Counting takes longer than the rest of forwarding does. So of small messages
//  only some are counted, each for SAMPLE bytes: one in as many bytes in the
//  mean, which makes the sum right, and at random, so that nobody can foresee
//  which.
static int
s_drawn (size_t size)
{
    static uint64_t seed;
    static int64_t left;  //  bytes until the next
    if (size >= SAMPLE)
        return 1;
    left -= (int64_t) size;
    if (left > 0)
        return 0;
    if (!seed)
        seed = table_seed | 1;  //  random, too
    seed ^= seed << 13;         //  xorshift64, G. Marsaglia 2003
    seed ^= seed >> 7;
    seed ^= seed << 17;
    left += (int64_t) (seed >> 32) % (2 * SAMPLE);
    return 1;
}

void
peers_hold (zmq_msg_t *message)
{
    size_t size = zmq_msg_size (message);
    held_t *held;
    if (size < HELD_MIN)
        return;
    if (size < BUFFER_MAX && s_held > COPIED_MIN)
        held_copy (message, size);
    if (!s_drawn (size))
        return;
    held = (held_t *) malloc (sizeof *held);
    assert (held);
    zmq_msg_init (&held->message);
    zmq_msg_move (&held->message, message);
    held->size = size < SAMPLE ? SAMPLE : size;
    atomic_fetch_add (&s_held, held->size);
    zmq_msg_init_data (message, zmq_msg_data (&held->message), size, held_free,
                       held);
}

int
peers_held (void)
{
    return s_held > HELD_MAX ? 1 : s_held > HELD_MAX / 4 * 3 ? 0 : -1;
}

//  Bytes of a worker that its side has not acknowledged, 0 for who is none.
static int
peers_waiting (const peers_t *self, const peer_t *peer)
{
    int waiting;
    return peer->here && !peer->cut && peers_end (self, peer) == PEER_WORKER
               && ioctl (peers_fd (self, peer), SIOCOUTQ, &waiting) == 0
             ? waiting
             : 0;
}

//  A worker with a topic of its own has one budget, however often it comes back.
static budget_t *
peers_budget (peers_t *self, peer_t *peer)
{
    reader_t *reader = peer->id ? marks_find (&self->marks, peer->id) : NULL;
    if (reader)
        return &reader->budget;
    if (!peer->budget)
        peer->budget = (budget_t *) calloc (1, sizeof *peer->budget);
    assert (peer->budget);
    return peer->budget;
}

//  While programs wait, a reader that reads has soon read all. Who has the most
//  to read yet is to blame, by what the kernel holds for it, and who has half as
//  much.
void
peers_blame (peers_t *self, int64_t ms)
{
    peer_t *peer, *end = self->peer + self->size;
    int64_t now = s_now_ms ();
    int most = 0;
    for (peer = self->peer; peer < end; peer++) {
        int waiting = peers_waiting (self, peer);
        most = waiting > most ? waiting : most;
    }
    for (peer = self->peer; peer < end && most; peer++)
        if (peers_waiting (self, peer) > most / 2
            && budget_use (peers_budget (self, peer), now, ms))
            peers_cut (self, peer, PEERS_SLOW);
}

void
peers_cut_workers (peers_t *self)
{
    peer_t *peer;
    for (peer = self->peer; peer < self->peer + self->size; peer++)
        if (peers_end (self, peer) == PEER_WORKER)
            peers_cut (self, peer, PEERS_STILL);
}

//  --------------------------------------------------------------------------

int
peers_look (peers_t *self)
{
    int64_t now = s_now_ms ();
    int looked = 0;
    for (; self->looked < self->size && looked < LOOKS; self->looked++) {
        peer_t *peer = self->peer + self->looked;
        peer->changes -=
          peer->changes < CHANGES_A_LOOK ? peer->changes : CHANGES_A_LOOK;
        if (!peer->here || peer->cut)
            continue;
        looked++;
        peers_look_endless (self, peer, now);
    }
    self->drained = 0;
    if (self->looked < self->size)
        return 1;
    self->looked = 0;
    marks_tick (&self->marks, now);
    peers_farewell (self);
    self->faults[PEERS_MISSED] = self->marks.missed;
    return 0;
}

//  Whoever ends just then would think that his last message had come. So all pause what
//  somebody wants, and keep the rest for the next broker. Who has never answered a
//  question cannot; others are late.
int
peers_leave (peers_t *self)
{
    int64_t now = s_now_ms ();
    farewell_silence_t silence;
    if (!self->leave_ms) {
        self->leave_ms = now;
        self->farewell.step = FAREWELL_NONE;
        topics_pause_all (&self->topics);
        farewell_ask (&self->farewell);
        return 0;
    }
    silence = peers_silence (self);
    return now >= self->leave_ms
                    + (silence.late     ? FAREWELL_LATE_MS
                       : silence.silent ? FAREWELL_PAUSE_MS
                                        : 0);
}

void
peers_done (peers_t *self)
{
    size_t fd;
    for (fd = 0; fd < self->size; fd++) {
        wanted_clear (&self->peer[fd].wanted);
        if (self->peer[fd].said)
            zmq_msg_close (self->peer[fd].said);
        free (self->peer[fd].said);
        free (self->peer[fd].budget);
    }
    free (self->peer);
    farewell_done (&self->farewell);
    table_clear (&self->topics.topics);
    marks_done (&self->marks);
}
