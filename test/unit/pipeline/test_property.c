/*  test_property.c - do publishers and workers agree, whatever happens between?

    The real publisher (zibrato.h without its thread and socket) and the real
    ingest (worker_message without its socket), and between them a network that
    is made of seeds: it drops, repeats, delays and reorders messages, and dies
    with all that it has in its hands. Workers die, too, and go on with what
    they had saved at a flush, and with or without a journal. Time is simulated:
    a round is an interval of the publisher's.

    In some worlds publishers are older than the workers' ledgers, which then
    answer for what comes after they met.

    At each flush, what has come is what the newest states say that arrived.
    (Where no worker dies: else it would be too much to follow.)

    In the end each series reports once more, to a network that works. Then all
    counters and timers must be what was measured, and each reading must have
    been taken once if it was ever delivered, and be counted as lost if not.

    ZB_SEED=n in the environment runs that world alone, ZB_RUNS=n so many.

    Sections: sums, the world, publishers, workers, network, what happens, the
    property.

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

//  The body, with its statics.
#define ZIBRATO_IMPLEMENTATION
#include "../../../zibrato.h"

#include "../executable.h"

enum {
    RUNS = SANITIZED ? 300 : 2000,
    ROUNDS = 60,
    ROUNDS_BEFORE = 20,  //  that older publishers have behind them
    ROUND_MS = 250,
    PUBLISHERS = 3,
    LEVELS = 3,
    NAMES = 2,
    SOURCES = 2,
    KEYS = 4 * NAMES * SOURCES,
    READINGS = 4096,
    BUCKETS = ZB_PAGES_ * ZB_PAGE_SIZE_,
    UNIX_SECONDS = 1700000000
};

//  --------------------------------------------------------------------------
//  Sums: of what was measured, and of what the rows say

typedef struct {
    double value;  //  of counters and gauges: eighths, which add up exactly
    uint64_t count;
    uint64_t sum_ns;
    double sum_squares, min, max;
    uint64_t bucket[BUCKETS];
} sum_t;

//  The service tells series apart by type, name and source.
static int
s_key (int type, int name, int source)
{
    return (type * NAMES + name) * SOURCES + source;
}

//  Of "n1", "s0".
static int
s_key_of (int type, const char *name, const char *source)
{
    assert_true (*name == 'n' && *source == 's');
    return s_key (type, name[1] - '0', source[1] - '0');
}

static void
sum_range (sum_t *self, double min, double max)
{
    if (self->count == 0 || min < self->min)
        self->min = min;
    if (self->count == 0 || max > self->max)
        self->max = max;
}

static void
sum_entry (sum_t *self, const entry_t *entry)
{
    const samples_t *samples = entry->samples;
    size_t i;
    if (entry->type == ZB_TYPE_COUNTER) {
        sum_range (self, 0, 0);
        self->value += entry->sum;
        return;
    }
    if (samples->count == 0)
        return;
    sum_range (self, samples->min, samples->max);
    self->value += samples->sum;
    self->count += samples->count;
    self->sum_ns += (uint64_t) samples->sum_ns;
    self->sum_squares += samples->sum_squares;
    for (i = 0; i < samples->hist.size; i++)
        self->bucket[samples->hist.bucket[i].index - ZB_BUCKET_0_] +=
          samples->hist.bucket[i].count;
}

//  Takes what other has, which is empty then.
static void
sum_move (sum_t *self, sum_t *other)
{
    size_t i;
    if (other->count)
        sum_range (self, other->min, other->max);
    self->value += other->value;
    self->count += other->count;
    self->sum_ns += other->sum_ns;
    self->sum_squares += other->sum_squares;
    for (i = 0; other->sum_ns && i < BUCKETS; i++)
        self->bucket[i] += other->bucket[i];
    memset (other, 0, sizeof *other);
}

//  --------------------------------------------------------------------------
//  Publishers: of zibrato.h, but that the test calls what their thread would

//  Where a reading is: not there yet, taken in since the last flush, in a flush
//  that does not count yet, or in one that does.
typedef enum { ABSENT, RECENT, FLUSHED, COMMITTED } stage_t;

typedef struct {
    stage_t stage;
    int known;  //  the rest, from the first delivery
    int key;
    double value;
    int64_t time;
} reading_t;

//  The newest state of a series that was delivered.
typedef struct {
    uint64_t seq;
    double total;
    uint64_t count, sum_ns;
} state_t;

typedef struct {
    zb_t *zb;
    int begins;  //  in this round
    state_t state[LEVELS][KEYS];
    reading_t reading[LEVELS][READINGS];  //  by SEQ,
    uint64_t floor[LEVELS];               //  and where they begin to be ours
} publisher_t;

//  A message on its way to one worker.
typedef struct {
    char *text;
    size_t size;
    int path, worker;
    publisher_t *publisher;
    int level;
    int due;  //  in this round,
    uint64_t order;
} packet_t;

typedef struct {
    char *text;
    size_t size, max;
} text_t;

typedef struct {
    worker_t worker;
    int down;                        //  until this round
    text_t journal, journal_before;  //  since the last flush, and before it
    text_t saved, saving;            //  the ledger's lines
    int flushing, whole;
    sum_t came[KEYS],
      coming[KEYS];  //  in flushes that count, and in one not yet
} station_t;

typedef struct {
    uint32_t seed;
    //  what may happen, of its own making: percent, or rounds
    unsigned loss, twice, delay, full, outage, crash, burst;
    int paths, workers, reorder, journal, heal, older;
    size_t message_max;
    int round;
    int64_t born_ms, base_ms;
    publisher_t publisher[PUBLISHERS];
    station_t station[2];
    int path_down[2];  //  until this round
    packet_t *packet;
    size_t packets, packets_max;
    sum_t measured[KEYS];
} world_t;

static const char *const s_levels[LEVELS] = {"info", "debug", "in"};
//  Of the second one tags come in either order.
static const char *const s_names[NAMES] = {"n0", "n1;code=200;route=/a"};
static const char *const s_tags[] = {"code=200;route=/a", "route=/a;code=200"};
static const char *const s_sources[SOURCES] = {"s0", "s1"};

//  Of the world being tried, and whether it came to its end.
static uint32_t s_world;
static int s_done = 1;

static int
s_chance (unsigned percent)
{
    return s_any () % 100 < percent;
}

static void
text_add (text_t *self, const char *text, size_t size)
{
    if (size == 0)
        return;
    if (self->size + size + 1 > self->max) {
        self->max = (self->max + size + 1) * 2;
        self->text = (char *) realloc (self->text, self->max);
        assert_non_null (self->text);
    }
    memcpy (self->text + self->size, text, size);
    self->size += size;
}

static int64_t
world_ms (const world_t *self)
{
    return self->base_ms + (int64_t) self->round * ROUND_MS;
}

//  The wall clock of that world.
static uint64_t
s_unix_ms (const world_t *self)
{
    return (uint64_t) (UNIX_SECONDS * INT64_C (1000) + world_ms (self)
                       - self->base_ms);
}

//  --------------------------------------------------------------------------
//  Publishers

static void
publisher_start (publisher_t *self, int begins)
{
    self->begins = begins;
    self->zb = (zb_t *) calloc (1, sizeof *self->zb);
    assert_non_null (self->zb);
    zb_locks_init_ (self->zb);
    self->zb->epoll_fd = -1;
    self->zb->sum.pool = self->zb->sum_pool;
    self->zb->source = strdup ("s0");
    self->zb->tags = strdup ("");
    self->zb->max_series = 1000;
    self->zb->random = s_any ();
}

//  What a thread would, that then has ended.
static void
publisher_measure_one (publisher_t *self, zb_type_t type, const world_t *world,
                       sum_t *measured)
{
    int name = (int) (s_any () % NAMES), source = (int) (s_any () % SOURCES);
    double value = (double) (int64_t) (s_any () % 2001) / 8 - 100;
    uint64_t ns = 1 + (s_any () >> 28 >> s_any () % 36);
    sum_t *sum = &measured[s_key ((int) type, name, source)];
    const char *named =
      name ? zb_name_make_ (self->zb, "n1", s_tags[s_any () % 2]) : s_names[0];
    zb_label_ label = zb_label_make_ (type, s_levels[s_any () % LEVELS], named,
                                      s_sources[source], NULL);
    zb_series_ *series = zb_series_find_ (self->zb, &label);
    zb_reading_ reading = {series, value, s_unix_ms (world)};
    assert_non_null (series);
    series->maybe_changed = 1;
    if (type == ZB_TYPE_GAUGE)
        zb_queue_put_ (self->zb, &reading);
    else if (type == ZB_TYPE_COUNTER) {
        series->total += value;
        sum->value += value;
    }
    else {
        zb_sample_ sample;
        sample.ns = ns;
        sample.count = 1;
        zb_series_add_ (self->zb, series, &sample);
        sum_range (sum, (double) ns, (double) ns);
        sum->count++;
        sum->sum_ns += ns;
        sum->sum_squares += (double) ns * (double) ns * 1e-18;
        sum->bucket[zb_bucket_ (ns)]++;
    }
}

static void
publisher_measure (publisher_t *self, const world_t *world, sum_t *measured)
{
    size_t i, count = s_any () % 8;
    for (i = 0; i < count; i++)
        publisher_measure_one (self, (zb_type_t) (1 + s_any () % 3), world,
                               measured);
    for (i = 0; s_chance (world->burst) && i < 100; i++)
        publisher_measure_one (self, ZB_TYPE_GAUGE, world, measured);
}

static int
s_level_number (const zb_level_ *level)
{
    int i = 0;
    while (strcmp (s_levels[i], level->name) != 0)
        i++;
    return i;
}

//  Makes a message of what is due at a level. Returns 0 if nothing is.
static int
publisher_message (publisher_t *self, const world_t *world, zb_level_ *level,
                   zb_message_ *message)
{
    memset (message, 0, sizeof *message);
    message->level = level;
    zb_message_begin_ (message, self->zb, world->message_max);
    message->now_ms = world_ms (world);
    zb_message_date_ (message, s_unix_ms (world));
    if (!level->has_listener)
        return 0;
    zb_level_birth_ (
      self->zb, level,
      (uint64_t) (world->born_ms + world_ms (world) - world->base_ms));
    zb_message_series_ (self->zb, message);
    zb_message_readings_ (self->zb, message);
    return message->text.size > 0;
}

//  --------------------------------------------------------------------------
//  Workers: they read, flush, crash and come back

//  Calls a handler of spool_load for each line.
static void
text_each (const text_t *self, void (*handler) (void *, const char *, size_t),
           worker_t *worker)
{
    const char *line = self->text, *end;
    while (line && line < self->text + self->size) {
        end = memchr (line, '\n', (size_t) (self->text + self->size - line));
        handler (worker, line, (size_t) (end - line));
        line = end + 1;
    }
}

static void
station_save (void *argument, const char *text, size_t size)
{
    station_t *self = (station_t *) argument;
    text_add (&self->saving, text, size);
}

static void
station_clear_window (station_t *self)
{
    window_clear (&self->worker.ingest.window);
    window_begin (&self->worker.ingest.window);
}

static void
station_start (station_t *self, const world_t *world)
{
    static const zb_backend_t backend = {
      .abi = ZB_BACKEND_ABI, .name = "property", .adds = 1};
    worker_init (&self->worker, &backend);
    self->worker.ingest.ledger->born_wall_ms = world->born_ms;
}

//  Readings of this worker's levels go from one stage to another.
static void
world_stage (world_t *self, const station_t *station, stage_t from, stage_t to)
{
    int worker = (int) (station - self->station), i, level;
    uint64_t seq;
    zb_level_ *at;
    for (i = 0; i < PUBLISHERS; i++)
        for (at = self->publisher[i].zb->levels; at; at = at->next) {
            level = s_level_number (at);
            if (level % self->workers == worker)
                for (seq = 0; seq < at->gauge_seq; seq++)
                    if (self->publisher[i].reading[level][seq].stage == from)
                        self->publisher[i].reading[level][seq].stage = to;
        }
}

//  The flush counts: its rows, and the ledger of that time.
static void
station_commit (station_t *self, world_t *world)
{
    int i;
    for (i = 0; i < KEYS; i++)
        sum_move (&self->came[i], &self->coming[i]);
    if (self->whole)
        self->saved.size = 0;
    text_add (&self->saved, self->saving.text, self->saving.size);
    self->journal_before.size = 0;
    self->flushing = 0;
    world_stage (world, self, FLUSHED, COMMITTED);
}

static void
station_go_on (station_t *self, world_t *world, size_t most)
{
    if (self->flushing && ledger_save (self->worker.ingest.ledger, most))
        station_commit (self, world);
}

//  What has come is the newest of what was delivered.
static void
station_check (const station_t *self, const world_t *world, int key)
{
    sum_t *newest = (sum_t *) zmalloc (sizeof *newest);
    int i, level;
    for (i = 0; i < PUBLISHERS; i++)
        for (level = (int) (self - world->station); level < LEVELS;
             level += world->workers) {
            const state_t *state = &world->publisher[i].state[level][key];
            newest->value += state->total;
            newest->count += state->count;
            newest->sum_ns += state->sum_ns;
        }
    if (self->came[key].value + self->coming[key].value != newest->value
        || self->came[key].count + self->coming[key].count != newest->count
        || self->came[key].sum_ns + self->coming[key].sum_ns != newest->sum_ns)
        fail_msg ("seed %u: key %d is not the newest at a flush", s_world, key);
    free (newest);
}

//  Begins a flush: the ledger is saved while the next window is being filled.
static void
station_flush (station_t *self, world_t *world, int whole)
{
    const entry_t *entry;
    text_t journal = self->journal;
    size_t i;
    station_go_on (self, world, SIZE_MAX);
    for (entry = self->worker.ingest.window.first; entry; entry = entry->next)
        sum_entry (&self->coming[s_key_of (entry->type, entry->text,
                                           entry->text + entry->name_size + 1)],
                   entry);
    for (i = 0; world->crash == 0 && !world->older
                && i < (size_t) s_key (ZB_TYPE_GAUGE, 0, 0);
         i++)
        station_check (self, world, (int) i);
    station_clear_window (self);
    self->journal = self->journal_before;
    self->journal_before = journal;
    self->saving.size = 0;
    self->flushing = 1;
    self->whole = whole;
    world_stage (world, self, RECENT, FLUSHED);
    ledger_save_begin (self->worker.ingest.ledger, whole, station_save, self);
}

//  Killed. What comes next restores what was saved; without a journal all is
//  lost that was taken in since then.
static void
station_crash (station_t *self, world_t *world)
{
    text_t both = self->journal_before;
    int i;
    station_clear_window (self);
    ledger_destroy (&self->worker.ingest.ledger);
    for (i = 0; i < KEYS; i++)
        memset (&self->coming[i], 0, sizeof self->coming[i]);
    self->flushing = 0;
    self->worker.ingest.ledger = ledger_new ();
    text_each (&self->saved, worker_load_state, &self->worker);
    assert_int_equal (self->worker.bad_states, 0);
    world_stage (world, self, FLUSHED, world->journal ? RECENT : ABSENT);
    if (world->journal) {
        text_add (&both, self->journal.text, self->journal.size);
        if (both.size)
            worker_load_messages (&self->worker, both.text, both.size, -1);
    }
    else {
        both.size = 0;
        world_stage (world, self, RECENT, ABSENT);
    }
    self->journal_before = self->journal;
    self->journal_before.size = 0;
    self->journal = both;
}

static void
station_stop (station_t *self)
{
    worker_clear (&self->worker);
    free (self->journal.text);
    free (self->journal_before.text);
    free (self->saved.text);
    free (self->saving.text);
}

//  --------------------------------------------------------------------------
//  Network

static void
world_post (world_t *self, const packet_t *model, const char *text)
{
    packet_t *packet;
    if (self->packets == self->packets_max) {
        self->packets_max = self->packets_max ? self->packets_max * 2 : 64;
        self->packet = (packet_t *) realloc (
          self->packet, self->packets_max * sizeof *self->packet);
        assert_non_null (self->packet);
    }
    packet = &self->packet[self->packets++];
    *packet = *model;
    packet->text = (char *) malloc (packet->size);
    assert_non_null (packet->text);
    memcpy (packet->text, text, packet->size);
    packet->due = self->round + (int) (s_any () % (self->delay + 1));
    packet->order = self->reorder ? s_any () : self->packets;
}

//  Over each path that is up.
static void
world_send (world_t *self, publisher_t *publisher, const zb_message_ *message)
{
    int path, level = s_level_number (message->level);
    packet_t packet = {.size = message->text.size,
                       .worker = level % self->workers,
                       .publisher = publisher,
                       .level = level};
    for (path = 0; path < self->paths; path++) {
        packet.path = path;
        if (self->path_down[path] > self->round || s_chance (self->loss))
            continue;
        world_post (self, &packet, message->text.text);
        if (s_chance (self->twice))
            world_post (self, &packet, message->text.text);
    }
}

static int
s_key_of_line (const zb_line_t *line)
{
    char name[8], source[8];
    snprintf (name, sizeof name, "%.*s", (int) line->name_size, line->name);
    snprintf (source, sizeof source, "%.*s", (int) line->source_size,
              line->source);
    return s_key_of ((int) line->type, name, source);
}

static void
state_deliver (state_t *self, const zb_line_t *line)
{
    if (line->seq < self->seq)
        return;
    self->seq = line->seq;
    self->total = line->total;
    self->count = line->count;
    self->sum_ns = (uint64_t) line->sum_ns;
}

//  What a delivered reading is: at each delivery the same.
static void
reading_deliver (reading_t *self, const zb_line_t *line)
{
    int key = s_key_of_line (line);
    if (self->known
        && (self->key != key || self->value != line->value
            || self->time != line->time))
        fail_msg ("seed %u: reading %" PRIu64 " became another one", s_world,
                  line->seq);
    self->known = 1;
    self->key = key;
    self->value = line->value;
    self->time = line->time;
    if (self->stage == ABSENT)
        self->stage = RECENT;
}

static void
world_deliver (world_t *self, packet_t *packet)
{
    station_t *station = &self->station[packet->worker];
    text_t text = {0};
    const char *line, *end;
    zb_line_t parsed;
    publisher_t *publisher = packet->publisher;
    text_add (&text, packet->text, packet->size);
    text_add (&text, "\n", 1);
    for (line = text.text; line < text.text + text.size; line = end + 1) {
        end = strchr (line, '\n');
        assert_null (line_parse (line, (size_t) (end - line), &parsed));
        if (parsed.type == ZB_TYPE_GAUGE) {
            assert_true (parsed.seq < READINGS);
            reading_deliver (&publisher->reading[packet->level][parsed.seq],
                             &parsed);
        }
        else
            state_deliver (
              &publisher->state[packet->level][s_key_of_line (&parsed)],
              &parsed);
    }
    text_add (&station->journal, text.text, text.size);
    ingest_message (&station->worker.ingest, packet->text, packet->size);
    free (text.text);
}

static int
s_by_due (const void *a, const void *b)
{
    const packet_t *x = a, *y = b;
    if (x->due != y->due)
        return x->due < y->due ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

//  Delivers what is due; a path or a worker that is down takes with it what is
//  on its way.
static void
world_carry (world_t *self)
{
    size_t i, left = 0;
    if (self->packets == 0)
        return;
    qsort (self->packet, self->packets, sizeof *self->packet, s_by_due);
    for (i = 0; i < self->packets; i++) {
        packet_t *packet = &self->packet[i];
        int dead = self->path_down[packet->path] > self->round
                   || self->station[packet->worker].down > self->round;
        if (!dead && packet->due > self->round) {
            self->packet[left++] = *packet;
            continue;
        }
        if (!dead)
            world_deliver (self, packet);
        free (packet->text);
    }
    self->packets = left;
}

//  --------------------------------------------------------------------------
//  What happens in a world

//  Publishers hear of who is there.
static void
world_listen (world_t *self)
{
    int i, level, path, up;
    char topic[16];
    for (level = 0; level < LEVELS; level++) {
        for (path = up = 0; path < self->paths; path++)
            up |= self->path_down[path] <= self->round;
        up = up && self->station[level % self->workers].down <= self->round;
        snprintf (topic, sizeof topic, "%c%s|", up, s_levels[level]);
        for (i = 0; i < PUBLISHERS; i++)
            zb_subscription_apply_ (self->publisher[i].zb, topic,
                                    1 + strlen (topic + 1));
    }
}

static void
world_report (world_t *self)
{
    zb_message_ message;
    zb_level_ *level;
    int i;
    for (i = 0; i < PUBLISHERS; i++)
        for (level = self->publisher[i].zb->levels; level; level = level->next)
            while (
              publisher_message (&self->publisher[i], self, level, &message)) {
                if (s_chance (self->full)) {
                    zb_message_undo_ (self->publisher[i].zb, &message);
                    break;
                }
                world_send (self, &self->publisher[i], &message);
                zb_message_sent_ (self->publisher[i].zb, &message);
            }
}

static void
world_round (world_t *self)
{
    int i;
    for (i = 0; i < self->paths; i++)
        if (s_chance (self->outage))
            self->path_down[i] = self->round + 1 + (int) (s_any () % 8);
    for (i = 0; i < self->workers; i++)
        if (self->round > 1 && s_chance (self->crash)) {
            self->station[i].down = self->round + 1 + (int) (s_any () % 8);
            station_crash (&self->station[i], self);
        }
    world_carry (self);
    world_listen (self);
    for (i = 0; i < PUBLISHERS; i++)
        if (self->round >= self->publisher[i].begins)
            publisher_measure (&self->publisher[i], self, self->measured);
    world_report (self);
    for (i = 0; i < self->workers; i++) {
        station_go_on (&self->station[i], self, s_any () % 4);
        if (s_chance (20))
            station_flush (&self->station[i], self, s_chance (20));
    }
    self->round++;
}

//  The last reports, over a network that works: because all are there again
//  (heal), or because it is time for all to be repeated.
static void
world_end (world_t *self)
{
    int i;
    self->loss = self->full = 0;
    self->round += 100;
    if (self->heal) {
        for (i = 0; i < self->workers; i++)
            self->station[i].down = self->round + 1;
        world_listen (self);
        self->station[0].down = self->station[1].down = 0;
    }
    else
        self->round += ZB_BEAT_MS_ / ROUND_MS;
    world_carry (self);
    world_listen (self);
    world_report (self);
    self->round += 100;
    world_carry (self);
    assert_int_equal (self->packets, 0);
    for (i = 0; i < self->workers; i++) {
        station_flush (&self->station[i], self, 0);
        station_go_on (&self->station[i], self, SIZE_MAX);
    }
}

//  Publishers have worked for an earlier worker, which has got everything; now
//  they turn to new ones. What these get first must not be lost, and neither
//  what they have in memory before a flush: that nobody could tell.
static void
world_grow_old (world_t *self)
{
    sum_t *before = (sum_t *) zmalloc (KEYS * sizeof *before);
    zb_message_ message;
    zb_level_ *level;
    int i;
    self->loss = self->delay = self->outage = 0;
    self->journal = 1;
    for (i = 0; i < 2; i++)
        self->path_down[i] = self->station[i].down = -ROUNDS_BEFORE;
    for (self->round = -ROUNDS_BEFORE; self->round < 0; self->round++)
        for (i = 0; i < PUBLISHERS; i++) {
            publisher_t *publisher = &self->publisher[i];
            publisher->begins = 0;
            if (self->round < -1)
                publisher_measure (publisher, self, before);
            world_listen (self);
            for (level = publisher->zb->levels; level; level = level->next)
                while (publisher_message (publisher, self, level, &message)) {
                    zb_message_sent_ (publisher->zb, &message);
                    publisher->floor[s_level_number (level)] = level->gauge_seq;
                }
        }
    assert_true (before[s_key (ZB_TYPE_TIMER, 0, 0)].count > 0);
    assert_true (self->publisher[0].floor[0] + self->publisher[1].floor[0]
                   + self->publisher[2].floor[0]
                 > 0);
    free (before);
    self->station[0].down = self->station[1].down = 1;
    world_listen (self);
    self->station[0].down = self->station[1].down = 0;
    world_listen (self);
    i = (int) self->full;
    self->full = 0;
    world_report (self);
    self->full = (unsigned) i;
}

static unsigned
s_maybe (unsigned most)
{
    return s_any () % 2 ? (unsigned) (s_any () % (most + 1)) : 0;
}

//  Everything in it follows from its seed. Caller owns the return value.
static world_t *
world_new (uint32_t seed)
{
    world_t *self = (world_t *) zmalloc (sizeof *self);
    int i;
    s_seed = seed;
    self->seed = seed;
    self->loss = s_maybe (50);
    self->twice = s_maybe (50);
    self->delay = s_maybe (20);
    self->full = s_maybe (30);
    self->outage = s_maybe (10);
    self->crash = s_maybe (10);
    self->burst = s_maybe (20);
    self->paths = 1 + (int) (s_any () % 2);
    self->workers = 1 + (int) (s_any () % 2);
    self->reorder = (int) (s_any () % 2);
    self->journal = (int) (s_any () % 2);
    self->heal = (int) (s_any () % 2);
    self->older = s_any () % 4 == 0;
    self->message_max = s_any () % 2 ? ZB_MESSAGE_MAX_ : 1500;
    self->born_ms = zclock_time ();
    self->base_ms = zb_clock_ms_ ();
    for (i = 0; i < PUBLISHERS; i++)
        publisher_start (&self->publisher[i],
                         i ? (int) (s_any () % ROUNDS) : 0);
    for (i = 0; i < self->workers; i++) {
        station_start (&self->station[i], self);
        station_flush (&self->station[i], self, 1);
        station_go_on (&self->station[i], self, SIZE_MAX);
    }
    if (self->older)
        world_grow_old (self);
    return self;
}

static void
world_destroy (world_t **self_p)
{
    world_t *self = *self_p;
    int i;
    for (i = 0; i < PUBLISHERS; i++)
        zb_destroy_ (&self->publisher[i].zb);
    for (i = 0; i < self->workers; i++)
        station_stop (&self->station[i]);
    free (self->packet);
    free (self);
    *self_p = NULL;
}

//  --------------------------------------------------------------------------
//  The property

static void
world_fail (const world_t *self, const char *what, int key, double wanted,
            double came)
{
    fail_msg ("seed %u: %s of key %d: wanted %.17g, came %.17g (loss %u, twice "
              "%u, delay %u, full %u, outage %u, crash %u, paths %d, workers "
              "%d, journal %d, heal %d, older %d)",
              self->seed, what, key, wanted, came, self->loss, self->twice,
              self->delay, self->full, self->outage, self->crash, self->paths,
              self->workers, self->journal, self->heal, self->older);
}

static void
world_check (const world_t *self, const char *what, int key, double wanted,
             double came)
{
    if (wanted != came)
        world_fail (self, what, key, wanted, came);
}

//  The range of a timer is the true one, or wider by a bucket at most.
static void
world_check_timer (const world_t *self, int key, const sum_t *wanted,
                   const sum_t *came)
{
    int i;
    for (i = 0; i < BUCKETS; i++)
        world_check (self, "bucket", key, (double) wanted->bucket[i],
                     (double) came->bucket[i]);
    if (fabs (came->sum_squares - wanted->sum_squares)
        > wanted->sum_squares * 1e-9)
        world_fail (self, "squares", key, wanted->sum_squares,
                    came->sum_squares);
    if (came->min > wanted->min || came->min < wanted->min / 1.0219 - 1)
        world_fail (self, "min", key, wanted->min, came->min);
    if (came->max < wanted->max || came->max > wanted->max * 1.0219 + 1)
        world_fail (self, "max", key, wanted->max, came->max);
}

//  Readings that were delivered, once each, into `measured`. Returns how many
//  are missing: all if `all`, else those of which a later one was delivered.
static uint64_t
publisher_sum_readings (const publisher_t *self, sum_t *measured, int all)
{
    uint64_t missing = 0, seq, end;
    const zb_level_ *level;
    for (level = self->zb->levels; level; level = level->next) {
        const reading_t *reading = self->reading[s_level_number (level)];
        for (end = level->gauge_seq; !all && end && !reading[end - 1].stage;)
            end--;
        for (seq = self->floor[s_level_number (level)]; seq < end; seq++)
            if (reading[seq].stage == ABSENT)
                missing++;
            else {
                sum_t *sum = &measured[reading[seq].key];
                sum_range (sum, reading[seq].value, reading[seq].value);
                sum->value += reading[seq].value;
                sum->sum_squares += reading[seq].value * reading[seq].value;
                sum->count++;
            }
    }
    return missing;
}

//  Is nothing lost that is not sent again? With two paths a level may keep its
//  listener while one of them loses what it has.
static int
world_heals (const world_t *self, unsigned loss)
{
    return self->heal || (self->paths == 1 && loss == 0);
}

static void
world_judge (world_t *self, unsigned loss)
{
    uint64_t missing = 0, lost = 0;
    int i, key;
    for (i = 0; i < PUBLISHERS; i++)
        missing += publisher_sum_readings (&self->publisher[i], self->measured,
                                           world_heals (self, loss));
    for (i = 0; i < self->workers; i++)
        lost += ledger_lost (self->station[i].worker.ingest.ledger);
    world_check (self, "lost readings", 0, (double) missing, (double) lost);
    if (world_heals (self, loss))
        world_check (self, "readings that do not heal", 0, 0, (double) missing);
    for (i = 1; i < self->workers; i++)
        for (key = 0; key < KEYS; key++)
            sum_move (&self->station[0].came[key], &self->station[i].came[key]);
    for (key = 0; key < KEYS; key++) {
        const sum_t *wanted = &self->measured[key];
        const sum_t *came = &self->station[0].came[key];
        world_check (self, "value", key, wanted->value, came->value);
        world_check (self, "count", key, (double) wanted->count,
                     (double) came->count);
        world_check (self, "ns", key, 0,
                     (double) (int64_t) (wanted->sum_ns - came->sum_ns));
        if (wanted->sum_ns)
            world_check_timer (self, key, wanted, came);
    }
}

static void
s_try (uint32_t seed)
{
    world_t *world;
    unsigned loss;
    s_world = seed;
    s_done = 0;
    world = world_new (seed);
    loss = world->loss;
    while (world->round < ROUNDS)
        world_round (world);
    world_end (world);
    world_judge (world, loss);
    world_destroy (&world);
    s_done = 1;
}

static void
test_agreement (void **state)
{
    const char *seed = getenv ("ZB_SEED"), *runs = getenv ("ZB_RUNS");
    uint32_t i, count = runs ? (uint32_t) atoi (runs) : RUNS;
    (void) state;
    if (seed)
        s_try ((uint32_t) atoi (seed));
    else
        for (i = 0; i < count; i++)
            s_try (i);
}

//  For what fails elsewhere than in a check of the property.
static int
s_say_seed (void **state)
{
    (void) state;
    if (!s_done)
        print_error ("the world of ZB_SEED=%u\n", s_world);
    return 0;
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown (test_agreement, s_say_seed)};
    return cmocka_run_group_tests_name ("property", tests, NULL, NULL);
}
