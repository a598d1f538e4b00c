/*  config - a file of options

        #  a comment
        [librato]
        flush = 60

    A section is a mode's, a name is an option without its dashes, a value goes to
    the end of the line, without the blanks around it.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_CONFIG_H
#define ZB_CONFIG_H

//  Called for each key. The texts stay until it returns. Returns NULL, or what is
//  wrong.
typedef const char *(config_fn) (void *argument, const char *key, char *value,
                                 int line);

//  Reads the keys of a section. Other sections are looked over only. Returns NULL,
//  or what is wrong, with the name of the file and the line: a static text.
const char *config_read (const char *path, const char *section, config_fn *each,
                         void *argument);

#endif
