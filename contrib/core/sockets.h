/*  sockets - what all our sockets have in common, and random numbers

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_SOCKETS_H
#define ZB_SOCKETS_H

#include <czmq.h>

//  Ends the program if there is no room for another. Before bind or connect,
//  whoever asks for it sets what only that one has. Caller owns the return value.
zsock_t *sockets_new (int type);

//  What nobody can guess. Ends the program if the kernel has none.
uint64_t sockets_random (void);

#endif
