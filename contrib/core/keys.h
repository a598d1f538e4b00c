/*  keys - a folder of certificates, and what each may do

    Who has a certificate in the folder itself may come as a program and as a
    worker; in its folder "programs" or "workers" as that only.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_KEYS_H
#define ZB_KEYS_H

#include <czmq.h>

enum { KEYS_PROGRAM = 1, KEYS_WORKER = 2 };  //  roles, in a mask

//  Reads the folder. What is no certificate is logged and left out. Caller owns
//  the return value. NULL, errno set, if there is no such folder.
zhashx_t *keys_read (const char *dir);

//  Returns the roles of a public key, Z85; 0 if it is not listed.
int keys_roles (zhashx_t *self, const char *key);

#endif
