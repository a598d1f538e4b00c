/*  fitted - names and sources that a service could not tell apart

    What a backend's fit makes of a name may be what it makes of another one. Then
    they are one row, and somebody should know. There is one backend in a process,
    so that what became what is static.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_FITTED_H
#define ZB_FITTED_H

enum { FITTED_MAX = 10000 };  //  texts that are remembered

//  Says, once, that another text has become the same. To be called with all, also
//  those that did not have to be changed.
void
fitted_tell (const char *fitted, const char *text, int is_source, int changed);

//  Frees what is remembered.
void fitted_forget (void);

#endif
