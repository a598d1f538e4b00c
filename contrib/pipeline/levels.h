/*  levels - what a worker wants, from --levels, and its name

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_LEVELS_H
#define ZB_LEVELS_H

//  Looks over a list of levels, separated by commas; an empty one is all levels.
//  Returns NULL, or what is wrong with it, a static text.
const char *levels_check (const char *levels);

enum { LEVELS_NAME_MAX = 64 };  //  bytes of a worker's name, and the final 0

//  Names a worker that was given no name, so that two on one host differ unless
//  they do the same: by its mode and levels, of which a long list is a hash.
void
levels_name (char name[LEVELS_NAME_MAX], const char *mode, const char *levels);

#endif
