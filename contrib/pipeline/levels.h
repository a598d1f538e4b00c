/*  levels - what a worker wants, from --levels, and its name

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_LEVELS_H
#define ZB_LEVELS_H

//  Looks over a list of levels, separated by commas; an empty one is all levels.
//  Returns NULL, or what is wrong with it, a static text.
const char *levels_check (const char *levels);

//  Makes the source of a worker's health: the host and the worker's name. One that
//  was given no name (NULL) is named by its mode and levels, of which a long list
//  is a hash, so that two on one host differ unless they do the same. Returns NULL,
//  or what is wrong with the name, a static text.
const char *levels_source (char source[256], const char *name, const char *mode,
                           const char *levels);

#endif
