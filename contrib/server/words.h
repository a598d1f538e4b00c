/*  words - what people search by: words in any order and any case

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_WORDS_H
#define ZB_WORDS_H

#include <stdbool.h>
#include <stddef.h>

//  The next word, which begins at or after *at; goes on behind it. Returns its size,
//  0 at the end.
size_t words_next (const char **at, const char **word);

//  Has the text all of the words? Letters are ASCII's.
bool words_match (const char *words, const char *text);

#endif
