/*  process - what the kernel gives us: standard descriptors, and signals

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_PROCESS_H
#define ZB_PROCESS_H

#include <czmq.h>

//  Opens what is closed of the descriptors 0 to 2, or the first file or socket
//  that we open would become standard output. Whoever uses them gets EBADF, as
//  before. To be called first.
void process_open_standard (void);

//  What a burst of messages takes is there for the next one: libc keeps more of
//  what was freed.
void process_keep_memory (void);

//  Return a descriptor, readable when one of these signals comes: SIGINT,
//  SIGTERM and SIGQUIT, which ask the program to stop; or SIGHUP, which asks it
//  to read again what may have changed. To be called before there are other
//  threads, of ZeroMQ's, too, which block signals only once they run: one that
//  does not gets them, and ends us all.
int process_stop_fd (void);
int process_hangup_fd (void);

//  Reads a signal from such a descriptor. Returns its number, 0 if none is there.
int process_signal (int fd);

//  Handler for zloop_poller: ends the loop when asked to stop.
int process_stopped (zloop_t *loop, zmq_pollitem_t *item, void *argument);

//  Ends the program, with an error, unless it may have so many threads and
//  descriptors more: ZeroMQ would abort it. To be called after the signals'
//  descriptors are there.
void process_need (int threads, int descriptors);

//  Ends the process as one whose output nobody reads any more ends: by SIGPIPE.
void process_end_unread (void) __attribute__ ((noreturn));

#endif
