/*  sanitized.h - is this built with a sanitizer? Then what is random has fewer
    rounds: what it proves the other trees have proven.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef SANITIZED_H
#define SANITIZED_H

#if defined __SANITIZE_ADDRESS__
#define SANITIZED   1
#define SANITIZED_T 0
#elif defined __SANITIZE_THREAD__
#define SANITIZED   1
#define SANITIZED_T 1
#else
#define SANITIZED   0
#define SANITIZED_T 0
#endif

#endif
