/*  form - texts as addresses and HTML's forms have them: NAME=VALUE&...

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_FORM_H
#define ZB_FORM_H

#include <cjson/cJSON.h>

//  Decodes %XX in place, and '+' if it stands for a blank. What is no such code, and
//  %00, which would end the text, stays as it is.
void form_decode (char *text, int plus);

//  Calls for each NAME=VALUE, decoded, in order. The text is written over.
typedef void form_fn (void *argument, const char *name, const char *value);
void form_each (char *text, form_fn *each, void *argument);

//  a[0][b]=c becomes {"a":[{"b":"c"}]}, and so does what is counted from 0 on; a[]=b and
//  a repeated a are arrays; all values are texts. NULL if a name is nested too deeply,
//  or its brackets do not match. The text is written over. Caller owns the return value.
cJSON *form_tree (char *text);

#endif
