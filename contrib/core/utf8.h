/*  utf8 - what is UTF-8, and what a line may show of it

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_UTF8_H
#define ZB_UTF8_H

#include <stddef.h>

//  How many bytes the character takes that a terminated text begins with, 0 if
//  it is no UTF-8.
size_t utf8_size (const char *text);

//  Puts a '?' in place of each byte that is no UTF-8. Returns 1 if there was one.
int utf8_mend (char *text);

//  Puts a '?' in place of each byte that is no UTF-8, and of each byte of a
//  character that steers a terminal or ends a line.
void utf8_make_printable (char *text);

#endif
