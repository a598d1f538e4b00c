/*  words - what people search by. The contract is in words.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "words.h"

#include <string.h>
#include <strings.h>

size_t
words_next (const char **at, const char **word)
{
    size_t size;
    *word = *at + strspn (*at, " \t");
    size = strcspn (*word, " \t");
    *at = *word + size;
    return size;
}

static bool
s_has (const char *text, const char *word, size_t size)
{
    for (; *text; text++)
        if (strncasecmp (text, word, size) == 0)
            return true;
    return false;
}

bool
words_match (const char *words, const char *text)
{
    const char *word;
    size_t size;
    while ((size = words_next (&words, &word)))
        if (!s_has (text, word, size))
            return false;
    return true;
}
