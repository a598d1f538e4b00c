/*  levels - what a worker wants, from --levels

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_LEVELS_H
#define ZB_LEVELS_H

//  Looks over a list of levels, separated by commas; an empty one is all levels.
//  Returns NULL, or what is wrong with it, a static text.
const char *levels_check (const char *levels);

#endif
