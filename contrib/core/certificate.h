/*  certificate - reads the key pair of a CURVE certificate

    A certificate is two files, as czmq's zcert writes them: NAME with the
    public key, NAME_secret with both. Where one is read, either name will do.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_CERTIFICATE_H
#define ZB_CERTIFICATE_H

enum { CERTIFICATE_KEY = 41 };  //  bytes of a key in Z85, terminated

//  Reads a key pair: from the file, or from the one of the same name with
//  "_secret" behind it. *secret_key is "" if there is no secret half. Returns
//  0, or -1: errno of open, EINVAL for what is no certificate. The caller wipes
//  the secret key; nothing else of it stays in memory.
int certificate_read (const char *path, char public_key[CERTIFICATE_KEY],
                      char secret_key[CERTIFICATE_KEY]);

#endif
