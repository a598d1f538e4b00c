/*  zibrato.pml - a model of the protocol, from programs to a service

    A publisher with two series, a broker, a worker with a spool, the worker that
    takes its folder over after a crash, and a service. Whatever can happen in
    between does, in each order: messages are lost, come twice, late and in
    another order, a table is full, a program ends without its End, worker and
    host die between any two steps.

        publisher ──▶ copies ──▶ broker ──▶ pipe ──▶ worker ──▶ post ──▶ service
                     any of them,   counts    may     journal, ledger,
                     at any time    them      lose    requests

    Always: no more is stored than was sent. In the end: what is stored is what
    the worker took in, and that is what the broker took in, unless a counter
    says how it was lost. A host's death is the exception that README makes: it
    takes the journal, and what was in it only heals if it comes again.

    test/model/run searches all of it, or what happens when one rule is broken.
    The comments of ledger, spool, flush and sender name them where they are kept:

        JOURNAL_FIRST    a line is in the journal before it is counted
        HIGHER_SEQ       a line is new only if its SEQ is higher
        WHOLE_END        an End makes a mark of a stream only if nothing is missing
        LONG_MARK        a mark stays until no late copy can come
        YOUNGER          a ledger is younger than each stream that it has dropped
        SYNC_FIRST       requests are on disk before the ledger gets its name
        NAME_FIRST       the ledger has its name before a request is sent
        JOURNAL_LAST     a journal goes when the ledger has its name, not before
        ANSWER_FIRST     a request goes when the service has answered, not before

    SPDX-License-Identifier: BSD-3-Clause                                    */

mtype = { NONE, JOURNAL_FIRST, HIGHER_SEQ, WHOLE_END, LONG_MARK, YOUNGER,
          SYNC_FIRST, NAME_FIRST, JOURNAL_LAST, ANSWER_FIRST }
#ifndef BROKEN
#define BROKEN NONE
#endif
#define RULE(name) (BROKEN != name)
/*  What bounds the search  */
#define COPIES 4    /*  that the broker takes in  */
#define CRASHES 1
#define JOURNAL 2   /*  messages between two flushes  */

/*  --------------------------------------------------------------------------
    The stream is of three messages: A is 1, B is 1, A is 2 and that is the end. A
    message's place is the SEQ of its line, so that "the last message" of a
    series, and 0 for none, is all that a ledger holds.  */

#define LAST 2
#define MARK 3                              /*  the broker's  */
#define SERIES(m) ((m) & 1)                 /*  A is 0, B is 1  */
#define TOTAL(m) ((m) == 2 -> 2 : 1)
#define VALUE 1                             /*  since the report before  */
#define KNOWN(last) ((last) == 0 -> 0 : TOTAL ((last) - 1))
#define COMPLETE (ledger.last[0] == 3 && ledger.last[1] == 2)
#define MAX(a, b) ((a) > (b) -> (a) : (b))

byte sent;          /*  messages so far  */
byte gone;          /*  those of which no copy is left  */
bool has_end;       /*  the third one; else the program has crashed  */

/*  What was sent may come whenever it likes, so it may as well be sent at once:
    a part, and the rest after a silence that no copy outlives. A message that
    was never sent is one of which no copy comes.  */
active proctype publisher ()
{
    atomic {
        select (sent : 1 .. LAST + 1);
        select (has_end : 0 .. 1) }
end:atomic { gone == sent -> sent = LAST + 1 }
}

/*  --------------------------------------------------------------------------
    The broker takes any copy in. With each one that matches, it counts, whether
    the pipe has room or not; a mark tells the worker how many there were.  */

chan pipe = [1] of { byte, byte };
byte copies;        /*  that it took in, and matched  */
byte dropped;       /*  of these  */
bool at_most;       /*  a worker has gone with some, which the broker says  */
byte taken[2];      /*  totals that it has passed on  */
bool marked;        /*  the worker has got the last mark  */

active proctype broker ()
{
    byte m;
    do
    :: atomic { copies < COPIES && gone < sent && len (pipe) == 0 ->
        select (m : gone .. sent - 1);
        taken[SERIES (m)] = MAX (taken[SERIES (m)], TOTAL (m));
        pipe!m,0;
        copies++; m = 0 }
    :: atomic { copies < COPIES && gone < sent && dropped == 0 ->
        copies++; dropped++ }
    :: atomic { len (pipe) == 0 -> gone = sent }
    :: break
    od;
end:do
    :: atomic { len (pipe) == 0 && !marked -> pipe!MARK,copies }
    od
}

/*  --------------------------------------------------------------------------
    The service stores what has a new key.  */

chan post = [0] of { byte, byte };
byte stored[2];
byte kept[2];       /*  totals that a worker says it has counted  */
bool answered;      /*  it has the key of the request that waits  */

active proctype service ()
{
    byte a, b;
end:do
    :: atomic { post?a,b ->
        stored[0] = stored[0] + (answered -> 0 : a);
        stored[1] = stored[1] + (answered -> 0 : b);
        answered = true; a = 0; b = 0;
        assert (stored[0] <= kept[0] && stored[1] <= kept[1]) }
    od
}

/*  --------------------------------------------------------------------------
    The worker. What a ledger is, in memory, in a flush, and on disk  */

typedef ledger_t {
    byte last[2];   /*  line of each series, 0 for none  */
    bool end;       /*  has come, and something is missing  */
    bool mark;      /*  that is all that is left of the stream  */
    bool younger;   /*  than the stream  */
    byte got[2];    /*  what the ledger, or one before, took in: for the proof  */
}

ledger_t ledger, flush, disk, none;
bool knows_end;             /*  that something should have come  */
byte window[2];             /*  increments  */
byte journal[JOURNAL];
byte in_journal, in_flush;  /*  messages; of these, the flush's  */
bool spent;                 /*  which has been committed  */
byte request;               /*  0 none, 1 written, 2 on disk  */
byte row[2];                /*  its increments  */
bool committed;             /*  its flush is  */
byte received, missed;      /*  messages  */
bool refused, lost;         /*  these counters are not zero  */
bool forgotten;             /*  nor that of streams dropped with a gap  */
bool dark;                  /*  a host has died  */

inline copy (to, from)
{
    to.last[0] = from.last[0]; to.last[1] = from.last[1];
    to.end = from.end; to.mark = from.mark; to.younger = from.younger;
    to.got[0] = from.got[0]; to.got[1] = from.got[1]
}

/*  Nothing more is known of the stream than a mark, or than its absence  */
inline shrink (to_mark)
{
    ledger.last[0] = 0; ledger.last[1] = 0;
    ledger.end = false; ledger.mark = to_mark
}

inline count_state (m)
{
    s = SERIES (m);
    if
    :: ledger.last[s] > m && RULE (HIGHER_SEQ)      /*  a repetition  */
    :: else ->
        window[s] = window[s] + (ledger.last[s] == 0 && ledger.younger ->
            VALUE : TOTAL (m) - KNOWN (ledger.last[s]));
        ledger.last[s] = m + 1;
        ledger.got[s] = MAX (ledger.got[s], TOTAL (m));
        kept[s] = MAX (kept[s], TOTAL (m))
    fi;
    s = 0
}

/*  The table may be full when the stream is met  */
inline count (m)
{
    if
    :: ledger.mark
    :: !ledger.mark && ledger.last[0] + ledger.last[1] == 0 -> refused = true
    :: !ledger.mark ->
        count_state (m);
        ledger.end = ledger.end || has_end && m == LAST;
        knows_end = knows_end || ledger.end
    fi;
    if
    :: ledger.end && (COMPLETE || !RULE (WHOLE_END)) -> shrink (true)
    :: else
    fi
}

inline journal_remove ()
{
    for (i : 0 .. JOURNAL - 1) {
        journal[i] =
            (i + in_flush < in_journal -> journal[i + in_flush] : 0)
    }
    in_journal = in_journal - in_flush;
    i = 0; in_flush = 0; spent = false
}

/*  A worker that dies leaves its folder, and what is in the pipe is lost. A host
    takes with it what was not synced. Then another takes the folder over.  */
inline die ()
{
    if
    :: pipe?hand,_ ->
        at_most = at_most || hand != MARK;
        received = received + (hand != MARK)
    :: empty (pipe)
    fi;
    marked = false;
    in_flush = (spent -> in_flush : 0);
    copy (ledger, disk);
    if
    :: skip
    :: dark = true;
        in_journal = in_flush;
        request = (request == 1 -> 0 : request);
        kept[0] = ledger.got[0]; kept[1] = ledger.got[1]; knows_end = false
    fi;
    request = (committed -> request : 0);
    copy (flush, none);
    window[0] = 0; window[1] = 0;
    for (i : in_flush .. in_journal - 1) { count (journal[i]) }
    i = 0; hand = 0; stage = 0; phase = (spent -> 3 : 0)
}

/*  One step of a flush after the other  */
inline flush_step ()
{
    if
    :: phase == 0 ->
        copy (flush, ledger); in_flush = in_journal;
        request = (window[0] + window[1] -> 1 : 0);
        row[0] = window[0]; row[1] = window[1]; window[0] = 0; window[1] = 0
    :: phase == 1 && RULE (SYNC_FIRST) -> request = (request -> 2 : 0)
    :: phase == 1 && !RULE (SYNC_FIRST)
    :: phase == 1 && !RULE (JOURNAL_LAST) -> journal_remove ()
    :: phase == 2 ->
        copy (disk, flush); copy (flush, none);
        spent = true; committed = (request > 0)
    :: phase == 3 -> journal_remove ()
    fi;
    phase = (phase + 1) % 4
}

/*  When nothing moves any more: what came in is stored or counted  */
inline balance ()
{
    assert (copies == received + missed && missed == dropped);
    assert (stored[0] == kept[0] && stored[1] == kept[1]
            || refused || forgotten);
    assert (kept[0] == taken[0] && kept[1] == taken[1]
            || at_most || refused || dark);
    assert (!knows_end || kept[0] == 2 && kept[1] == 1
            || ledger.end || lost || refused)
}

#define ADD journal[in_journal] = hand; in_journal++
#define READY stage = 0; hand = 0
#define UP_TO_DATE (ledger.last[0] == (sent > 2 -> 3 : 1)                      \
                    && ledger.last[1] == (sent > 1 -> 2 : 0))
#define QUIET (len (pipe) + stage + phase + in_journal + request == 0)
#define SILENT (gone == sent && len (pipe) == 0 && stage == 0)

active proctype worker ()
{
    byte hand, stage, phase, i, s, crashes;
    do
    :: atomic { stage == 0 && in_journal < JOURNAL && len (pipe) ->
        pipe?hand,i;
        if
        :: hand == MARK -> missed = i - received; marked = true; hand = 0; i = 0
        :: hand != MARK && RULE (JOURNAL_FIRST) -> received++; stage = 1; ADD
        :: hand != MARK && !RULE (JOURNAL_FIRST) ->
            received++; stage = 1; count (hand)
        fi }
    :: atomic { stage == 1 && RULE (JOURNAL_FIRST) -> count (hand); READY }
    :: atomic { stage == 1 && !RULE (JOURNAL_FIRST) -> ADD; READY }
    :: atomic { stage == 0 && (phase || in_journal && !request) ->
        flush_step () }
    :: request && !answered && (committed || !RULE (NAME_FIRST)) ->
        post!row[0],row[1]
    :: atomic { request && committed && (answered || !RULE (ANSWER_FIRST)) ->
        request = 0; committed = false; answered = false;
        row[0] = 0; row[1] = 0 }
    :: atomic { SILENT && ledger.last[0] + ledger.last[1] ->
        forgotten = forgotten || !UP_TO_DATE;
        lost = lost || ledger.end; shrink (false);
        ledger.younger = RULE (YOUNGER) }
    :: atomic { ledger.mark && (SILENT && sent > LAST || !RULE (LONG_MARK)) ->
        shrink (false) }
    :: atomic { crashes < CRASHES -> crashes++; die () }
    :: atomic { marked && QUIET -> balance (); break }
    od
}
