/*  pair.h - two sockets with nothing in between, so that a test decides what is lost

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef PAIR_H
#define PAIR_H

#include <czmq.h>

//  The caller owns both. A name is taken for a while after its end, so each pair has
//  a new one.
static void
pair_new (zsock_t **one, zsock_t **other)
{
    static int number;
    char name[64];
    snprintf (name, sizeof name, "inproc://zibrato-pair-%d", ++number);
    *one = zsock_new (ZMQ_PAIR);
    *other = zsock_new (ZMQ_PAIR);
    assert_int_equal (zsock_bind (*one, "%s", name), 0);
    assert_int_equal (zsock_connect (*other, "%s", name), 0);
}

#endif
