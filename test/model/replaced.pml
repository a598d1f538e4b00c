/*  replaced.pml - a model of a worker that is replaced at two brokers

    A program measures, and reports its total by both brokers. Worker 1 leaves
    them at any moment, has no spool, and stores all that it has got. Worker 2
    comes after that, to one broker and then to the other, and counts what was
    measured since. That a worker leaves one broker without a loss is shown by
    leaving.pml; here it is a step.

        program ──▶ to[0] ──▶ broker 0 ──▶ pipe[0] ──▶ worker 1,
           └──────▶ to[1] ──▶ broker 1 ──▶ pipe[1] ──▶ then worker 2

    One of the brokers may be slow: it stops waiting for the program's answer,
    and passes on later what was sent before that. That worker 2 meets the program
    by this, before it has anything from the other, is left out: nothing tells it
    then how old that is, and it counts twice.

    In the end: what was measured is stored, once.

    test/model/run searches all of it, or what happens when one rule is broken.
    They are kept in contrib/pipeline/ledger_late.c and zibrato.h:

        LATE_COUNTS      a series begins with the lowest line that comes
        WHOLE_GAP        all counts that lies between that and what came before
        AFTER_BIRTH      but only a line that was made since the ledger's birth
        ANY_PAUSE        a program pauses while any of its brokers says so

    SPDX-License-Identifier: BSD-3-Clause                                    */

mtype = { NONE, LATE_COUNTS, WHOLE_GAP, AFTER_BIRTH, ANY_PAUSE };
#ifndef BROKEN
#define BROKEN NONE
#endif
#define RULE(name) (BROKEN != name)
#define COUNTS 4
#define NOBODY 2

/*  A line: the total before and after it, and whether worker 2 was born. A total
    of 0 is the program's answer, and the mark of a broker that says `left`.  */
chan to[2] = [COUNTS + 1] of { byte, byte, bool };
chan pipe[2] = [COUNTS + 1] of { byte, byte, bool };

byte measured, told, stored;
bool topic[2] = true;       /*  is on ZeroMQ's list of this broker  */
bool wanted[2] = true;      /*  by a worker, as the broker knows  */
bool paused[2];
bool asked[2], left[2];     /*  worker 1 leaves; the broker has said so  */
byte slow = NOBODY;
bool born, met;             /*  worker 2; it has something of the program's,  */
bool out;                   /*  made before it was born  */

#define PAUSED (RULE (ANY_PAUSE) -> paused[0] || paused[1]                     \
                                  : paused[0] && paused[1])

#define COUNTS_LATE (RULE (LATE_COUNTS) && (ours || !RULE (AFTER_BIRTH)))

active proctype program ()
{
end:do
    :: atomic { measured < COUNTS -> measured++ }
    :: atomic { told < measured && !PAUSED && (topic[0] || topic[1]) ->
        if
        :: topic[0] -> to[0]!told,measured,born
        :: else
        fi;
        if
        :: topic[1] -> to[1]!told,measured,born
        :: else
        fi;
        told = measured }
    od
}

/*  A broker that said `left` before the answer came has no use for it  */
proctype broker (bit me)
{
    byte lower, total;
    bool ours, gave_up;
end:do
    :: atomic { to[me]?lower,total,ours ->
        if
        :: total && wanted[me] -> pipe[me]!lower,total,ours
        :: !total && !gave_up -> pipe[me]!0,0,false
        :: else
        fi;
        lower = 0; total = 0; ours = false }
    :: atomic { asked[me] ->
        asked[me] = false; paused[me] = true; to[me]!0,0,false }
    :: atomic { slow == me && paused[me] && !gave_up && nempty (to[me]) ->
        gave_up = true; pipe[me]!0,0,false }
    od
}

/*  Programs hear that nobody wants the topic, and then the end of the pause  */
inline unsubscribe (b)
{
    atomic { wanted[b] = false; topic[b] = false; paused[b] = false }
}

/*  It was there from the beginning  */
inline take_first (b)
{
    atomic { pipe[b]?lower,total,ours ->
        if
        :: total == 0 -> left[b] = true
        :: total > last -> stored = stored + total - last; last = total
        :: else
        fi;
        lower = 0; total = 0; ours = false }
}

/*  What came before the first line is another's, unless a lower one comes  */
inline take (b)
{
    atomic { pipe[b]?lower,total,ours ->
        if
        :: total && !met ->
            met = true; out = !ours; base = lower; last = total;
            stored = stored + total - lower
        :: total && met && total > last ->
            stored = stored + total - last; last = total
        :: total && met && total <= base && COUNTS_LATE ->
            stored = stored + (RULE (WHOLE_GAP) -> base : total) - lower;
            base = lower
        :: else
        fi;
        lower = 0; total = 0; ours = false }
}

inline subscribe (b)
{
    wanted[b] = true;
    topic[b] = true
}

active proctype workers ()
{
    byte lower, total, last, base;
    bool ours;
    if
    :: slow = 0
    :: slow = 1
    :: skip
    fi;
    asked[0] = true; asked[1] = true;
    do
    :: take_first (0)
    :: take_first (1)
    :: left[0] && left[1] -> break
    od;
    if
    :: unsubscribe (0); unsubscribe (1)
    :: unsubscribe (1); unsubscribe (0)
    fi;
    do
    :: take_first (0)
    :: take_first (1)
    :: empty (pipe[0]) && empty (pipe[1]) -> break
    od;
    atomic { born = true; last = 0 };
    if
    :: subscribe (0); do :: take (0) :: take (1) :: break od; subscribe (1)
    :: subscribe (1); do :: take (0) :: take (1) :: break od; subscribe (0)
    fi;
end:do
    :: take (0)
    :: take (1)
    od
}

init { atomic { run broker (0); run broker (1) } }

/*  When nothing moves any more  */
active proctype balance ()
{
    timeout -> assert (out || stored == measured && told == measured)
}
