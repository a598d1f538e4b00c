/*  utf8 - what is UTF-8. The contract is in utf8.h.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "utf8.h"

#include <string.h>

//  RFC 3629, section 4: no overlong forms, no surrogates, nothing beyond
//  U+10FFFF.
size_t
utf8_size (const char *text)
{
    const unsigned char *c = (const unsigned char *) text;
    size_t i, size = *c < 0x80   ? 1
                     : *c < 0xc2 ? 0
                     : *c < 0xe0 ? 2
                     : *c < 0xf0 ? 3
                     : *c < 0xf5 ? 4
                                 : 0;
    for (i = 1; i < size; i++)
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    if ((*c == 0xe0 && c[1] < 0xa0) || (*c == 0xed && c[1] >= 0xa0)
        || (*c == 0xf0 && c[1] < 0x90) || (*c == 0xf4 && c[1] >= 0x90))
        return 0;
    return size;
}

int
utf8_mend (char *text)
{
    int mended = 0;
    while (*text) {
        size_t size = (unsigned char) *text < 0x80 ? 1 : utf8_size (text);
        if (!size) {
            *text = '?';
            mended = 1;
            size = 1;
        }
        text += size;
    }
    return mended;
}

//  C0 and DEL; C1, which are U+0080 to U+009F; the separators of lines and
//  paragraphs, and what turns the direction of a text: U+2028 to U+202E, U+2066
//  to U+2069.
static int
s_steers (const char *text)
{
    const unsigned char *c = (const unsigned char *) text;
    return *c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] < 0xa0)
           || (*c == 0xe2 && c[1] == 0x80 && c[2] >= 0xa8 && c[2] <= 0xae)
           || (*c == 0xe2 && c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9);
}

void
utf8_make_printable (char *text)
{
    while (*text) {
        size_t size = utf8_size (text);
        int shown = size && !s_steers (text);
        size = size ? size : 1;
        if (!shown)
            memset (text, '?', size);
        text += size;
    }
}
