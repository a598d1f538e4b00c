/*  fiber.c - scopes that end on another thread than they began

    usage: fiber COMMAND [NUMBER]

    A fiber begins on one thread inside of scopes that count and time, waits
    there, and is resumed and finished by another thread, as schedulers of
    coroutines do. test_fibers.c says what must come of it.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "edge.h"

#include <ucontext.h>

enum { STACK_SIZE = 64 * 1024, AT_ONCE = 100 };

typedef struct {
    ucontext_t self, caller;  //  caller: who runs it at the moment
    char *stack;
    bool slowly;
} fiber_t;

static _Thread_local fiber_t *s_current;

//  Goes back to the thread that runs the fiber. Not inlined, so that nothing of
//  a thread is kept in the fiber's registers.
__attribute__ ((noinline)) static void
s_fiber_yield (fiber_t *self)
{
    swapcontext (&self->self, &self->caller);
}

__attribute__ ((noinline)) static void
s_fiber_measure (fiber_t *self)
{
    ZB_COUNT_ME ("info", "fiber.count");
    ZB_TIME_ME ("info", "fiber.time");
    s_fiber_yield (self);
}

//  The same, as a program has it that was compiled to be debugged: what a scope
//  knows of its thread is in memory, and not found anew.
#ifdef __clang__
__attribute__ ((noinline, optnone)) static void
#else
__attribute__ ((noinline, optimize ("O0"))) static void
#endif
s_fiber_measure_slowly (fiber_t *self)
{
    ZB_COUNT_ME ("info", "fiber.count");
    ZB_TIME_ME ("info", "fiber.time");
    s_fiber_yield (self);
}

static void
s_fiber_run (void)
{
    if (s_current->slowly)
        s_fiber_measure_slowly (s_current);
    else
        s_fiber_measure (s_current);
}

//  Runs the fiber on this thread until it yields or ends.
static void
s_fiber_resume (fiber_t *self)
{
    s_current = self;
    swapcontext (&self->caller, &self->self);
}

static fiber_t *
s_fiber_new (void)
{
    static _Atomic long number;
    fiber_t *self = calloc (1, sizeof *self);
    self->slowly = number++ % 2;
    self->stack = malloc (STACK_SIZE);
    getcontext (&self->self);
    self->self.uc_stack.ss_sp = self->stack;
    self->self.uc_stack.ss_size = STACK_SIZE;
    self->self.uc_link = &self->caller;
    makecontext (&self->self, s_fiber_run, 0);
    return self;
}

static void
s_fiber_destroy (fiber_t *self)
{
    free (self->stack);
    free (self);
}

static pthread_barrier_t s_all_begun;

static void *
s_begin (void *argument)
{
    s_fiber_resume (argument);
    pthread_barrier_wait (&s_all_begun);
    return NULL;
}

//  Fibers are begun by a thread each, and finished by main when all of these
//  have ended and most of their memory is no more there.
static int
s_after_the_end (void)
{
    fiber_t *fibers[AT_ONCE];
    pthread_t threads[AT_ONCE];
    pthread_barrier_init (&s_all_begun, NULL, AT_ONCE);
    for (long done = 0; done < s_number; done += AT_ONCE) {
        for (int i = 0; i < AT_ONCE; i++) {
            fibers[i] = s_fiber_new ();
            threads[i] = s_thread_new (NULL, s_begin, fibers[i]);
        }
        for (int i = 0; i < AT_ONCE; i++)
            s_thread_join (threads[i]);
        for (int i = 0; i < AT_ONCE; i++) {
            s_fiber_resume (fibers[i]);
            s_fiber_destroy (fibers[i]);
        }
    }
    printf ("fibers=%ld\n", s_number);
    return s_leave ();
}

static atomic_bool s_stop;
static _Atomic (fiber_t *) s_begun;
static _Atomic long s_own;

//  Begins fibers, one after the other, and goes through others from beginning to
//  end until another thread has finished it.
static void *
s_begin_many (void *argument)
{
    (void) argument;
    for (long i = 0; i < s_number; i++) {
        fiber_t *self = s_fiber_new ();
        s_fiber_resume (self);
        s_begun = self;
        while (s_begun) {
            fiber_t *mine = s_fiber_new ();
            s_fiber_resume (mine);
            s_fiber_resume (mine);
            s_fiber_destroy (mine);
            s_own++;
        }
    }
    s_stop = true;
    return NULL;
}

//  Fibers are finished by main while the thread that began them measures the
//  same. What that thread went through is said, too.
static int
s_meanwhile (void)
{
    long finished = 0;
    pthread_t thread = s_thread_new (NULL, s_begin_many, NULL);
    while (!s_stop) {
        fiber_t *self = s_begun;
        if (!self)
            sched_yield ();
        else {
            s_fiber_resume (self);
            s_begun = NULL;
            s_fiber_destroy (self);
            finished++;
        }
    }
    s_thread_join (thread);
    printf ("fibers=%ld\n", finished + s_own);
    return s_leave ();
}

static const command_t s_commands[] = {{"after-the-end", s_after_the_end},
                                       {"meanwhile", s_meanwhile}};

EDGE_MAIN (s_commands)
