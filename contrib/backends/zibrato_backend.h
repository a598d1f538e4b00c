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

        1. Data        zb_row_t, zb_line_t: what goes in and out
        2. The table   zb_backend_t, and the options of a command line
        3. Help        what the executable has for backends

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZIBRATO_BACKEND_H
#define ZIBRATO_BACKEND_H

#include "zibrato.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ZB_BACKEND_ABI 4
#define ZB_ROW_MAX     4096  //  bytes that post may write

//  --------------------------------------------------------------------------
//  1. Data

//  Nanoseconds that add up: 10,000 connections that wait have the 292 years of
//  63 bits together within eleven days.
__extension__ typedef unsigned __int128 zb_ns_t;

//  Nanoseconds that a line can have, at most: sums of such have room to spare.
#define ZB_NS_MAX ((zb_ns_t) 1 << 96)

//  One row of a flush: what a series measured in a window (a counter) or in
//  one second of it (a timer or gauge). Valid during the call only.
typedef struct {
    zb_type_t type;
    const char *name;
    const char *source;
    int64_t time;          //  Unix seconds
    uint64_t count;        //  samples; with 1 of them only value counts
    double value;          //  counter: the increment; else the one sample
    double sum, min, max;  //  of all samples: seconds, or the gauge's unit
    double sum_squares;
} zb_row_t;

//  One measurement as parsed from a line. The texts are not terminated, and
//  point into the message.
typedef struct {
    zb_type_t type;
    const char *level, *name, *source, *id, *buckets;
    size_t level_size, name_size, source_size, id_size, buckets_size;
    double value;  //  increment or reading; a Timer's is in value_ns
    zb_ns_t value_ns;
    int64_t time;  //  Unix seconds, rounded down
    uint64_t seq, first;
    uint64_t sent;   //  Gauge, if it says so:
    int sent_given;  //  1: it does
    double total;    //  Counter
    uint64_t count;  //  Timer, the following too
    int64_t min_ns, max_ns;
    double sum_squares;
    zb_ns_t sum_ns;
    //  what the message says of the stream (zibrato.h, section 3: Stream)
    int64_t age_ms;    //  of it, when the message was made; -1: not said
    uint64_t recent;   //  Timer: samples since the last report, if it says so:
    int recent_given;  //  1: it does
} zb_line_t;

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

//  Filled in by connect and flush, printed by the runtime.
typedef struct {
    char reason[512];        //  why not, one line for a person, no secret
    int64_t retry_after_ms;  //  what the service asked for; 0: nothing
    char *at_fault;  //  of ZB_REFUSED: a byte for each row, all 0; 1 for
                     //  those at fault, if the service says which. NULL
                     //  for connect
    int unsure;  //  1: it may have been taken all the same, so that only the
                 //  same rows with the same key are harmless
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

typedef struct {
    int abi;              //  ZB_BACKEND_ABI
    const char *name;     //  the subcommand
    const char *summary;  //  one line of help
    const zb_option_t *options;
    size_t batch;  //  rows a request, at most; 0: a flush at once

    //  Looks over what the options say, before anything starts. Returns NULL,
    //  or what is wrong with them, a static text. Default: nothing is.
    const char *(*check) (void);

    //  Asks whether the service would let us in. Called once, on the sender's
    //  thread. Default: ZB_DELIVERED.
    zb_outcome_t (*connect) (zb_reply_t *reply);

    //  Reads one line into *line, which is all zero, but for an age of -1.
    //  Returns NULL, or in two or three words what is wrong with it, a static
    //  text. What could not stand
    //  in a line of the wire format (zibrato.h, section 3) is malformed, too: a
    //  name or source that is empty, has more than 255 bytes, control
    //  characters or a '|', a number beyond its range. Called on the ingest
    //  thread. Default: the wire format.
    const char *(*parse) (const char *text, size_t size, zb_line_t *line);

    //  Writes a row as text without '\n', as flush is to get it. Returns its
    //  length, or 0 to leave it out. Called on a thread of its own, which is
    //  neither parse's nor flush's. Default: a JSON object.
    size_t (*post) (const zb_row_t *row, char *text, size_t size);

    //  Delivers rows, each a terminated text. On the sender's thread; with
    //  senders, below, on others as well. Default: prints them on stdout.
    zb_outcome_t (*flush) (const char *const *rows, size_t count,
                           zb_reply_t *reply);

    //  Frees what connect has made. On the sender's thread.
    void (*close) (void);

    //  How many threads may be in flush at once, looked up when delivery
    //  begins. NULL: one.
    const int64_t *senders;

    //  Reads secrets and lists again, on SIGHUP. Returns NULL, or what is wrong
    //  with them, a static text: then those from before go on. Called on the
    //  ingest thread, while others may be in flush. Default: there are none.
    const char *(*reload) (void);

    //  1: flush writes to standard output, and the worker ends when nobody
    //  reads that any more. It does so, too, where flush is left out.
    int prints;

    //  1: rows of one series and one time add up where they go, so that a flush
    //  gives out all that there is. 0: the last one would take the place of the
    //  others, so there is one only, and what is measured in the last two
    //  seconds waits for the next flush.
    int adds;

    //  Writes what the service makes of a name (or source, 1) to `fitted`, with
    //  1 to 255 bytes; returns 1 if that is another text. Names that become one
    //  are one row. Called on post's thread. Default: it takes them as they are.
    int (*fit) (const char *text, int is_source, char fitted[256]);
} zb_backend_t;

//  A shared object for `zibrato worker --plugin` defines this one.
const zb_backend_t *zibrato_backend (void);

//  --------------------------------------------------------------------------
//  3. Help: the executable's own functions, for the use of backends

#pragma GCC visibility push(default)

//  Writes a row as a JSON object: its time by that name, type (unless it is 0),
//  name, source, and "value" of one sample, or "count", "sum", "min", "max" and
//  "sum_squares" of more. Numbers read back to the last digit; bytes that are
//  no UTF-8 become '?'. Returns the length, 0 if it does not fit. The default
//  of post, with "time".
size_t zb_row_json (const zb_row_t *row, const char *time_name, char *text,
                    size_t size);

//  Milliseconds that a delivery may still take: a stop sets a deadline.
int64_t zb_time_left_ms (void);

//  The key of the rows that flush is delivering: the same whenever the same
//  rows are tried again, also by the worker's next process, and no other rows'.
//  A service that keeps it can tell a repetition whose first answer was lost.
const char *zb_request_key (void);

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
