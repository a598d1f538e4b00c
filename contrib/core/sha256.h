/*  sha256 - SHA-256 and HMAC (FIPS 180-4, RFC 2104), of short texts

    For tokens, which are random, so that nothing slower is needed.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_SHA256_H
#define ZB_SHA256_H

#include <stdbool.h>
#include <stddef.h>

enum { SHA256_BYTES = 32, SHA256_HEX = 2 * SHA256_BYTES + 1 };

void
sha256 (const void *bytes, size_t size, unsigned char digest[SHA256_BYTES]);

//  The key has at most 64 bytes, which is one block.
void sha256_hmac (const void *key, size_t key_size, const void *bytes,
                  size_t size, unsigned char digest[SHA256_BYTES]);

//  Writes it in hexadecimal, terminated.
void
sha256_hex (const unsigned char digest[SHA256_BYTES], char hex[SHA256_HEX]);

//  Compares so many bytes in a time that does not depend on them.
bool sha256_same (const void *a, const void *b, size_t size);

#endif
