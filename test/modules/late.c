/*  late.c - to be loaded before a program: ZeroMQ's threads begin a second late

    So they may on a busy machine, and only then do they block signals. Until
    then they are as whoever began them.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#define _GNU_SOURCE  //  RTLD_NEXT, dladdr

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    void *(*run) (void *argument);
    void *argument;
} late_t;

static void *
s_run (void *argument)
{
    late_t late = *(late_t *) argument;
    free (argument);
    sleep (1);
    return late.run (late.argument);
}

int
pthread_create (pthread_t *thread, const pthread_attr_t *attributes,
                void *(*run) (void *argument), void *argument)
{
    int (*real) (pthread_t *, const pthread_attr_t *, void *(*) (void *),
                 void *);
    Dl_info info;
    late_t *late;
    *(void **) &real = dlsym (RTLD_NEXT, "pthread_create");
    if (!dladdr (*(void **) &run, &info) || !strstr (info.dli_fname, "libzmq"))
        return real (thread, attributes, run, argument);
    late = malloc (sizeof *late);
    if (!late)
        return EAGAIN;
    *late = (late_t){run, argument};
    return real (thread, attributes, s_run, late);
}
