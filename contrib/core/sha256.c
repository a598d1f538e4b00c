/*  sha256 - SHA-256 and HMAC. The contract is in sha256.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "sha256.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64, ROUNDS = 64 };

//  The first 32 bits of the fractions of the cube roots of the first 64 primes.
static const uint32_t s_constant[ROUNDS] = {
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
  0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
  0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
  0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
  0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
  0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
  0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
  0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
  0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t
s_rotate (uint32_t word, int by)
{
    return word >> by | word << (32 - by);
}

//  The message schedule of a block (6.2.2, step 1).
static void
s_schedule (const unsigned char *block, uint32_t w[ROUNDS])
{
    for (int t = 0; t < 16; t++)
        w[t] = (uint32_t) block[4 * t] << 24 | (uint32_t) block[4 * t + 1] << 16
               | (uint32_t) block[4 * t + 2] << 8 | block[4 * t + 3];
    for (int t = 16; t < ROUNDS; t++) {
        uint32_t a = w[t - 15], b = w[t - 2];
        w[t] = w[t - 16] + w[t - 7]
               + (s_rotate (a, 7) ^ s_rotate (a, 18) ^ a >> 3)
               + (s_rotate (b, 17) ^ s_rotate (b, 19) ^ b >> 10);
    }
}

//  Steps 2 to 4; the letters are the standard's.
static void
s_block (uint32_t hash[8], const unsigned char *block)
{
    uint32_t w[ROUNDS], v[8];
    s_schedule (block, w);
    memcpy (v, hash, sizeof v);
    for (int t = 0; t < ROUNDS; t++) {
        uint32_t a = v[0], e = v[4];
        uint32_t t1 = v[7]
                      + (s_rotate (e, 6) ^ s_rotate (e, 11) ^ s_rotate (e, 25))
                      + ((e & v[5]) ^ (~e & v[6])) + s_constant[t] + w[t];
        uint32_t t2 = (s_rotate (a, 2) ^ s_rotate (a, 13) ^ s_rotate (a, 22))
                      + ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
        memmove (v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        hash[i] += v[i];
}

void
sha256 (const void *bytes, size_t size, unsigned char digest[SHA256_BYTES])
{
    uint32_t hash[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    const unsigned char *text = (const unsigned char *) bytes;
    unsigned char end[2 * BLOCK] = {0};
    size_t left = size % BLOCK, whole = size - left;
    size_t padded = left < BLOCK - 8 ? BLOCK : 2 * BLOCK;
    for (size_t at = 0; at < whole; at += BLOCK)
        s_block (hash, text + at);
    if (left)
        memcpy (end, text + whole, left);
    end[left] = 0x80;
    for (size_t i = 0; i < 8; i++)
        end[padded - 1 - i] = (unsigned char) ((uint64_t) size * 8 >> 8 * i);
    for (size_t at = 0; at < padded; at += BLOCK)
        s_block (hash, end + at);
    for (size_t i = 0; i < SHA256_BYTES; i++)
        digest[i] = (unsigned char) (hash[i / 4] >> (24 - 8 * (i % 4)));
    explicit_bzero (end, sizeof end);
}

void
sha256_hmac (const void *key, size_t key_size, const void *bytes, size_t size,
             unsigned char digest[SHA256_BYTES])
{
    unsigned char *inner = (unsigned char *) calloc (1, BLOCK + size);
    unsigned char outer[BLOCK + SHA256_BYTES] = {0};
    assert (inner && key_size <= BLOCK);
    memcpy (inner, key, key_size);
    memcpy (outer, key, key_size);
    for (size_t i = 0; i < BLOCK; i++) {
        inner[i] ^= 0x36;
        outer[i] ^= 0x5c;
    }
    memcpy (inner + BLOCK, bytes, size);
    sha256 (inner, BLOCK + size, outer + BLOCK);
    sha256 (outer, sizeof outer, digest);
    explicit_bzero (inner, BLOCK);
    explicit_bzero (outer, sizeof outer);
    free (inner);
}

void
sha256_hex (const unsigned char digest[SHA256_BYTES], char hex[SHA256_HEX])
{
    for (size_t i = 0; i < SHA256_BYTES; i++)
        snprintf (hex + 2 * i, 3, "%02x", digest[i]);
}

bool
sha256_same (const void *a, const void *b, size_t size)
{
    const volatile unsigned char *x = (const volatile unsigned char *) a;
    const volatile unsigned char *y = (const volatile unsigned char *) b;
    unsigned char differs = 0;
    for (size_t i = 0; i < size; i++)
        differs |= (unsigned char) (x[i] ^ y[i]);
    return !differs;
}
