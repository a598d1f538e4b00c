/*  leaving.pml - a model of a worker that leaves, and of one that follows it

    A program measures, and sends what it has while somebody listens. Its ZeroMQ
    hears before it does that nobody does, and what it sends then goes nowhere.
    Worker 1 leaves at any moment, has no spool, and stores all that it has got;
    worker 2 comes at any moment after that.

        program ──▶ sent ──▶ broker ──▶ pipe ──▶ worker 1, then worker 2
           ▲                    │
           └── heard ◀── said ◀─┘      in between is ZeroMQ's list of topics

    In the end: what was measured is stored, or the program still has it.

    test/model/run searches all of it, or what happens when one rule is broken.
    They are kept in contrib/broker/farewell.c and zibrato.h:

        PAUSE_FIRST      programs pause before the worker unsubscribes
        ANSWER_LAST      an answer comes behind what was sent before
        TRUTH_FIRST      programs hear what is wanted before a pause ends

    SPDX-License-Identifier: BSD-3-Clause                                    */

mtype = { NONE, PAUSE_FIRST, ANSWER_LAST, TRUTH_FIRST };
mtype = { READING, ANSWER, LEAVE, LEFT, UNSUBSCRIBE, SUBSCRIBE,
          WANTED, UNWANTED, PAUSE, QUESTION, RESUME };
#ifndef BROKEN
#define BROKEN NONE
#endif
#define RULE(name) (BROKEN != name)
#define READINGS 4

chan said = [4] of { mtype };   /*  the broker, to programs  */
chan heard = [4] of { mtype };  /*  not read by the program yet  */
chan sent = [2] of { mtype };
chan early = [1] of { mtype };  /*  an answer that overtakes  */
chan pipe = [2] of { mtype };
chan asked = [2] of { mtype };  /*  the workers, the broker  */

byte measured, held, stored;
bool topic = true;              /*  is on ZeroMQ's list  */
bool wanted = true;             /*  by a worker, as the broker knows  */

/*  The broker's last words come in the order in which they were said  */
active proctype zeromq ()
{
    mtype word;
end:do
    :: atomic { said?word ->
        topic = (word == WANTED || topic && word != UNWANTED);
        heard!word }
    od
}

active proctype program ()
{
    bool listens = true, paused = false;
    mtype word;
end:do
    :: atomic { measured < READINGS -> measured++; held++ }
    :: atomic { held && listens && !paused && nfull (sent) ->
        held--;
        if
        :: topic -> sent!READING
        :: else
        fi }
    :: atomic { heard?word ->
        if
        :: word == WANTED -> listens = true
        :: word == UNWANTED -> listens = false
        :: word == PAUSE -> paused = true
        :: word == RESUME -> paused = false
        :: word == QUESTION && RULE (ANSWER_LAST) -> sent!ANSWER
        :: word == QUESTION && !RULE (ANSWER_LAST) -> early!ANSWER
        fi }
    od
}

active proctype broker ()
{
    mtype word;
end:do
    :: atomic { sent?word ->
        if
        :: word == ANSWER -> pipe!LEFT
        :: word == READING && wanted -> pipe!READING
        :: word == READING && !wanted
        fi }
    :: atomic { early?ANSWER -> pipe!LEFT }
    :: atomic { asked?word ->
        if
        :: word == LEAVE && RULE (PAUSE_FIRST) -> said!PAUSE; said!QUESTION
        :: word == LEAVE && !RULE (PAUSE_FIRST) -> pipe!LEFT
        :: word == UNSUBSCRIBE && RULE (TRUTH_FIRST) ->
            wanted = false; said!UNWANTED; said!RESUME
        :: word == UNSUBSCRIBE && !RULE (TRUTH_FIRST) ->
            wanted = false; said!RESUME; said!UNWANTED
        :: word == SUBSCRIBE -> wanted = true; said!WANTED
        fi }
    od
}

/*  Who has heard `left` unsubscribes, and takes what has come until the broker
    knows that  */
active proctype workers ()
{
    mtype word;
    asked!LEAVE;
    do
    :: atomic { pipe?word ->
        if
        :: word == READING -> stored++
        :: word == LEFT -> break
        fi }
    od;
    asked!UNSUBSCRIBE;
    do
    :: atomic { pipe?READING -> stored++ }
    :: atomic { !wanted && empty (pipe) -> break }
    od;
    asked!SUBSCRIBE;
end:do
    :: atomic { pipe?READING -> stored++ }
    od
}

/*  When nothing moves any more  */
active proctype balance ()
{
    timeout -> assert (stored + held == measured && held == 0)
}
