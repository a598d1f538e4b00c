/*  folder - where a server keeps its data

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_FOLDER_H
#define ZB_FOLDER_H

enum { FOLDER_MAX = 1024 };

//  Writes the folder that was given; or if that is NULL /var/lib/zibrato for root, for
//  others zibrato in $XDG_STATE_HOME or in ~/.local/state (XDG Base Directory
//  Specification 0.8). Returns 0, or -1 if there is none.
int folder_default (char folder[FOLDER_MAX], const char *given);

//  Makes a folder, and those that it is in. Only we can read it. Returns 0, or -1 with
//  errno.
int folder_make_all (const char *folder);

#endif
