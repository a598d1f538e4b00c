/*  zibrato_backend.h - what a worker's backend implements

    A worker is the runtime of the `zibrato` executable plus a backend: a table
    of functions, each optional. One process runs one backend, so its state may
    be static. contrib/docs/writing-a-backend.md walks through
    contrib/backends/stdout.c.

        #include "zibrato_backend.h"

    declares all of it. A backend that is built in is a file beside this one; a
    plugin is a shared object, for `zibrato worker --plugin`. Neither links with
    anything of ours: what it calls here is the executable's.

    Sections of this file:

        1. Data        zb_row_t, and what it points to
        2. The table   zb_backend_t, and the options of a command line
        3. Help        what the executable has for backends

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZIBRATO_BACKEND_H
#define ZIBRATO_BACKEND_H

#include "zibrato.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ZB_BACKEND_ABI 6

enum { ZB_NAME_MAX = 1023 };  //  bytes of a name with its tags

//  --------------------------------------------------------------------------
//  1. Data

//  Of a series' name. Both texts are not empty.
typedef struct {
    const char *key, *value;
} zb_tag_t;

//  So many samples of a timer took more than 2^(index/32) seconds, and at most
//  2^((index+1)/32). That is scale 5 of OpenTelemetry's exponential histograms,
//  and schema 5 of Prometheus', which calls this index + 1. Samples of 0 s are
//  in bucket -957, the one of 1 ns.
typedef struct {
    int index;
    uint64_t count;
} zb_bucket_t;

enum { ZB_BUCKET_ZERO = -957 };

//  What a counter or timer has had since a start, all flushes together.
typedef struct {
    int64_t start_ns;  //  Unix time in nanoseconds
    double value;      //  counter
    uint64_t count;    //  timer, the following too
    double sum;        //  seconds
    const zb_bucket_t *buckets;
    size_t bucket_count;
} zb_total_t;

//  One row of a flush: what a series measured in a window or in one second of it.
//  Valid during the call only, as all that it points to.
typedef struct {
    zb_type_t type;
    const char *name;  //  1 to 255 bytes, without tags
    const char *source;
    const zb_tag_t *tags;  //  their keys ascend
    size_t tag_count;
    int64_t start_ns, time_ns;  //  Unix time in nanoseconds: measured from, to
    double value;  //  counter: the increment; else the sum, of one sample that
    uint64_t count;        //  samples; of a counter 1. 0: it rests, or ends
    double last;           //  gauge: the last reading,
    int64_t last_ns;       //  and its own time
    double sum, min, max;  //  of all samples: seconds, or the gauge's unit
    double sum_squares;
    const zb_bucket_t *buckets;  //  timer: their indexes ascend
    size_t bucket_count;
    const zb_total_t
      *total;       //  with ZB_WANTS_TOTALS, of a counter or timer; or
                    //  NULL
    int is_signed;  //  1: a counter that may fall
    int ends;       //  1: the series has rested for so long that this is its
                    //  last row
} zb_row_t;

//  --------------------------------------------------------------------------
//  2. The table

//  What became of a request.
typedef enum {
    ZB_DELIVERED,  //  taken: forget it
    ZB_RETRY,      //  not now: the same again, with backoff
    ZB_REFUSED,    //  never so: split it, set the bad row aside
    ZB_HOLD,       //  credentials or address wrong: keep, retry slowly
    ZB_FAILED      //  an answer that may be about a row, or not, or none, where
                   //  somebody was asked: as ZB_RETRY, but split it when others
                   //  pass
} zb_outcome_t;

//  Filled in by connect and deliver, printed by the runtime.
typedef struct {
    char reason[512];        //  why not, one line for a person, no secret
    int64_t retry_after_ms;  //  what the service asked for; 0: nothing
    char *at_fault;  //  of ZB_REFUSED: a byte for each row, all 0; 1 for
                     //  those at fault, if it is known which. NULL for connect
    int unsure;  //  1: it may have been taken all the same, so that only the
                 //  same rows with the same key are harmless
    size_t refused;  //  of ZB_DELIVERED: so many rows were not taken, and it
                     //  is not said which; counted and logged with the reason
    size_t superseded;  //  of ZB_DELIVERED: so many totals were left out since
                        //  the service has later ones, which is no loss
} zb_reply_t;

//  What an option was given that may be given several times, in that order.
typedef struct {
    const char **texts;
    size_t count;
} zb_list_t;

//  One option of the command line, a row of a table that ends with a null
//  name. It has one of text, list, number and flag, whose value before the
//  command line is read is the default that --help shows. A list is empty then:
//  the command line's takes the place of one that a file has.
typedef struct {
    const char *name;      //  "flush": given as --flush SECONDS
    const char *argument;  //  "SECONDS"; NULL for a flag
    const char *help;
    const char **text;
    zb_list_t *list;
    int64_t *number;  //  min..max; K, M and G multiply by 1024 ...
    int *flag;
    int64_t min, max;
    const char *env;  //  variable that gives it too, or NULL
    int secret;       //  1: wiped where ps could see it, never printed
} zb_option_t;

//  What rows a backend wants, in zb_backend_t.wants, added up. Gauges have a row
//  for each second in which they were read, unless all rows are of flushes.
enum {
    ZB_WANTS_SECONDS = 1,  //  of timers, too; else they have one a flush
    ZB_WANTS_TOTALS = 2,  //  rows with totals. A counter that falls is refused,
                          //  unless --signed names it
    ZB_WANTS_IDLE = 4,    //  and those of series that rest, in each flush until
                          //  --stale is over. Without it they have a row in the
                          //  first flush of a process, and one that ends
    ZB_WANTS_SLOTS =
      8  //  of all types one a flush, its time a multiple of --flush,
         //  since the place keeps one value for such a time. No
         //  two flushes have the same, whatever came between them
};

typedef struct {
    int abi;              //  ZB_BACKEND_ABI
    const char *name;     //  the subcommand
    const char *summary;  //  one line of help
    const zb_option_t *options;
    const zb_option_t *arguments;  //  without "--"; NULL: none
    int wants;                     //  ZB_WANTS_..., added up
    const int *wants_too;  //  what its options add to that, looked up after
                           //  check; NULL: nothing
    size_t batch;          //  rows a request, at most; 0: a flush at once
    int64_t flush;         //  seconds, the default of --flush; 0: 60
    int64_t flush_most;    //  that it may be; 0: a day

    //  Looks over what the options say, before anything starts. Returns NULL,
    //  or what is wrong with them, a static text. Default: nothing is.
    const char *(*check) (void);

    //  Opens what it cannot do without, such as a port to listen at: nothing was
    //  started yet. Returns NULL, or why it cannot, a static text; that ends the
    //  process. Default: nothing.
    const char *(*open) (void);

    //  Asks whether the service would let us in. Called once, on the sender's
    //  thread. Default: ZB_DELIVERED.
    zb_outcome_t (*connect) (zb_reply_t *reply);

    //  Delivers rows, at least one. On the sender's thread; with senders, below,
    //  on others as well. Default: prints them on stdout as JSON.
    zb_outcome_t (*deliver) (const zb_row_t *rows, size_t count,
                             zb_reply_t *reply);

    //  Frees what connect has made. On the sender's thread.
    void (*close) (void);

    //  How many threads may be in deliver at once, looked up when delivery
    //  begins. NULL: one.
    const int64_t *senders;

    //  Reads secrets and lists again, on SIGHUP. Returns NULL, or what is wrong
    //  with them, a static text: then those from before go on. Called on the
    //  ingest thread, while others may be in deliver. Default: there are none.
    const char *(*reload) (void);

    //  1: deliver writes to standard output, and the worker ends when nobody
    //  reads that any more. It does so, too, where deliver is left out.
    int prints;

    //  1: rows of one series and one time add up where they go, so that a flush
    //  gives out all that there is. 0: the last one would take the place of the
    //  others, so there is one only, and what is measured in the last two
    //  seconds waits for the next flush.
    int adds;

    //  1: what is delivered must have rising times. Then the halves of a refused
    //  request are tried before what waits.
    int ordered;

    //  Writes what the service makes of a name with its tags (or of a source, 1)
    //  to `fitted`, terminated; returns 1 if that is another text. The result is
    //  again a name with tags or without. Names that become one are one row.
    //  Called on the thread that makes rows. Default: it takes them as they are.
    int (*fit) (const char *text, int is_source, char fitted[ZB_NAME_MAX + 1]);

    //  Takes the list of --percentiles, each between 0 and 100, before anything
    //  starts: the backend makes them of its rows' buckets, in a form of its own.
    //  Default: there is a gauge more for each, NAME.p50.
    void (*percentiles) (const double *percentile, size_t count);

    //  What fit's results depend on, of the options: a text of at most 100 bytes
    //  without a line's end. A spool keeps it, and a start with another one is
    //  refused while rows wait. Default: nothing.
    const char *(*naming) (void);

    //  The folder of the spool where --spool names none. Asked after check, made
    //  after open; the folder that it is in must be there by then. Default: there
    //  is no spool.
    const char *(*spool) (void);
} zb_backend_t;

//  A shared object for `zibrato worker --plugin` defines this one.
const zb_backend_t *zibrato_backend (void);

//  --------------------------------------------------------------------------
//  3. Help: the executable's own functions, for the use of backends

#pragma GCC visibility push(default)

//  Writes a row as a JSON object: time and, if it began before, start (Unix
//  seconds), type, name, tags, source, and "value" of one sample, or "count",
//  "sum", "min", "max" and "sum_squares" of more; with `whole` buckets and
//  totals, too. Numbers read back to the last digit; bytes that are no UTF-8
//  become '?'. Caller owns the return value, and frees it.
char *zb_row_json (const zb_row_t *row, int whole);

//  Prints each as such a line on standard output: the default of deliver.
zb_outcome_t
zb_rows_print (const zb_row_t *rows, size_t count, zb_reply_t *reply);

//  Milliseconds that a delivery may still take: a stop sets a deadline.
int64_t zb_time_left_ms (void);

//  The key of the rows that are being delivered: the same whenever the same
//  rows are tried again, also by the worker's next process, and no other rows'.
//  A service that keeps it can tell a repetition whose first answer was lost.
const char *zb_request_key (void);

//  This worker, so that what another one delivers to the same place can be told
//  from it: the name of --worker, and an ID, which is the spool's, or else of the
//  process. Known when connect is called.
const char *zb_worker (void);
const char *zb_worker_id (void);

//  Writes event=... and what format makes, key=value pairs, to stderr with
//  time and severity (of <syslog.h>). What is no UTF-8, or steers a terminal,
//  becomes '?'.
void zb_log (int severity, const char *event, const char *format, ...)
  __attribute__ ((format (printf, 3, 4)));

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
