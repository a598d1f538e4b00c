/*  hot.h - the loops that bench_hot and bench_peers measure

    hot_measure.c lets two of them take turns. hot_loops.c is compiled twice: into the program, where a thread-local is an
    offset, and into a shared library, where it has to be found.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_BENCH_HOT_H
#define ZB_BENCH_HOT_H

#include <stddef.h>

//  What is measured is called, as what it stands for would be.
#if defined __has_attribute
#if __has_attribute(noipa)
#define HOT_CALLED __attribute__ ((noipa))
#endif
#endif
#ifndef HOT_CALLED
#define HOT_CALLED __attribute__ ((noinline))
#endif

//  A loop over a function of the same name.
#define HOT_LOOP(name)                                                         \
    static void name##_loop (long n)                                           \
    {                                                                          \
        while (n-- > 0)                                                        \
            name ();                                                           \
    }

typedef struct {
    const char *name;
    void (*run) (long n);
} hot_loop_t;

//  What either of the two has. In the library it belongs to the instance that
//  the library has to itself.
typedef struct {
    const hot_loop_t *loops;  //  ends with a null name

    //  Opens the default instance, with so many series more than those of the
    //  loops. Returns when the time-stamp counter is used, if it is to be, and
    //  level "info" has a listener, if it is to have one.
    void (*prepare) (int series, int heard, int counter);

    //  Lets the pump empty the ring, if this thread has filled it.
    void (*rest) (void);
} hot_t;

//  Exported under this name by the library.
extern const hot_t hot;

//  Prints a figure: nanoseconds a pass of ours, and of another, each in so many
//  passes a slice. Slices take turns, in each thread on a core of its own; what
//  counts is the thread's own processor time, and the median slice. Between
//  slices `rest`, unless it is NULL or passes are many.
void
hot_compare (const char *name, int threads, void (*ours) (long), long passes,
             void (*other) (long), long other_passes, void (*rest) (void));

//  Starts a process that takes in what level "info" has to say, and ends with
//  its parent. Fills in the endpoint at which it listens.
void hot_listener (char *endpoint, size_t size);

#endif
